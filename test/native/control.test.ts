/** Arenas, branches and loops in C against the interpreter. */
import { interpret } from '../../src/ir/interpret.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { close } from '../support/close.ts';
import { CONTROL_CASES } from '../support/control-cases.ts';
import { nativeBatch, onNative } from '../support/native.ts';

const run = await onNative();

for (const c of CONTROL_CASES) {
  run(c.title, async (t) => {
    const module = parseModule(c.text);
    const batch = await nativeBatch();
    const compiled = batch.add(module, 'main', { roles: c.roles });
    const want = interpret(module, 'main', c.inputs, { round: true });
    const got = await compiled.run(c.inputs);
    want.forEach((w, i) => t.is(close(got[i]!, w), null));
  });
}
