/** The library's functions against PyTorch, values and gradients: in the float64 interpreter, and compiled for the cpu. */
import test from 'ava';
import { WASM } from '../../src/codegen/targets.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { checkCase, compiledFor, FUNCTION_CASES, LOOPS, ROUNDING } from '../support/function-cases.ts';
import { runCompiled } from '../support/run-lowered.ts';

for (const c of FUNCTION_CASES) {
  test(`${c.name}: ${c.torch}`, async (t) => {
    await checkCase(t, c, interpret);
    if (!LOOPS.has(c.name)) await checkCase(t, c, (m, f, x) => runCompiled(compiledFor(m, f, WASM), f, x), ROUNDING);
  });
}
