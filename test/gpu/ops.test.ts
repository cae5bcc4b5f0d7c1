/** Every row of the op table, compiled for a GPU and run on an adapter, against its float64 reference. */
import test from 'ava';
import { absent } from '../support/absent.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { adapterDevice } from '../support/adapter.ts';
import { close } from '../support/close.ts';
import { casesOf } from '../support/op-cases.ts';
import { opModule } from '../support/op-func.ts';
import { runOnGrid } from '../support/run-grid.ts';

const device = await adapterDevice();
if (!device) test('skipped: the package `webgpu` finds no adapter', absent);

for (const kind of Object.keys(OPS)) {
  if (!device || opDef(kind).lower.kind === 'control') continue;
  test.serial(`${kind} compiles to what it means`, async (t) => {
    for (const c of casesOf(kind)) {
      const module = opModule(c.kind, c.attrs, c.inputs);
      const wanted = interpret(module, 'main', c.inputs);
      const got = await runOnGrid(device, decompose(module), 'main', c.inputs);
      wanted.forEach((w, i) => t.is(close(got[i]!, w), null, `${c.name} result ${i}`));
    }
  });
}
