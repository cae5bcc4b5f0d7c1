/** Arenas, branches and loops on WebGPU: unrolled, predicated, and waited for where only the data tell when to stop. */
import { interpret } from '../../src/ir/interpret.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { close } from '../support/close.ts';
import { CONTROL_CASES } from '../support/control-cases.ts';
import { linkFunc } from '../support/run-linked.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const run = await onAdapter();

for (const c of CONTROL_CASES) {
  run(c.title, async (t) => {
    const module = parseModule(c.text);
    const linked = linkFunc(module, 'main', c.roles, { target: 'webgpu' });
    const want = interpret(module, 'main', c.inputs, { round: true });
    const got = await linked.run(c.inputs);
    want.forEach((w, i) => t.is(close(got[i]!, w), null));
  });
}
