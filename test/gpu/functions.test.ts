/** The library's functions on a GPU against PyTorch: values and gradients. */
import test from 'ava';
import { WGSL } from '../../src/codegen/targets.ts';
import { absent } from '../support/absent.ts';
import { adapterDevice } from '../support/adapter.ts';
import { checkCase, compiledFor, FUNCTION_CASES, LOOPS, ROUNDING } from '../support/function-cases.ts';
import { runOnGrid } from '../support/run-grid.ts';

const device = await adapterDevice();
if (!device) test('skipped: the package `webgpu` finds no adapter', absent);

for (const c of FUNCTION_CASES) {
  if (!device || LOOPS.has(c.name)) continue;
  test.serial(`${c.name}: ${c.torch}`, (t) =>
    checkCase(t, c, (m, f, x) => runOnGrid(device, compiledFor(m, f, WGSL), f, x), ROUNDING),
  );
}
