/** Every row of the op table, compiled as C for this machine, against its float64 reference. */
import { interpret } from '../../src/ir/interpret.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { close } from '../support/close.ts';
import { nativeBatch, onNative } from '../support/native.ts';
import { casesOf } from '../support/op-cases.ts';
import { opModule } from '../support/op-func.ts';

const run = await onNative();
const batch = await nativeBatch();

for (const kind of Object.keys(OPS)) {
  if (opDef(kind).lower.kind === 'control') continue;
  const cases = [...casesOf(kind)].map((c) => {
    const module = opModule(c.kind, c.attrs, c.inputs);
    return { c, module, compiled: batch.add(decompose(module), 'main') };
  });
  run(`${kind} compiles to what it means`, async (t) => {
    t.timeout(300_000); // the first of them waits for the C compiler
    for (const { c, module, compiled } of cases) {
      const wanted = interpret(module, 'main', c.inputs);
      const got = await compiled.run(c.inputs);
      wanted.forEach((w, i) => t.is(close(got[i]!, w), null, `${c.name} result ${i}`));
    }
  });
}
