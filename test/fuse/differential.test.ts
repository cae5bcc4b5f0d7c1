/** Fused programs compute what unfused ones do: in the interpreter exactly, compiled within the rounding of reductions. */
import test from 'ava';
import fc from 'fast-check';
import { interpret } from '../../src/ir/interpret.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { verify } from '../../src/ir/verify.ts';
import { WASM } from '../../src/codegen/targets.ts';
import { expectClose, expectNone, expectSameBits } from '../support/compare.ts';
import { randomGraph } from '../support/random-graph.ts';
import { runCompiled } from '../support/run-lowered.ts';

test('fused graphs are legal and mean the same', (t) => {
  fc.assert(
    fc.property(randomGraph({ control: true }), ({ module, inputs }) => {
      const plain = decompose(module);
      const fused = fuse(plain, WASM);
      expectNone(verify(fused));
      const alone = fuse(plain, WASM, { merge: false });
      expectNone(verify(alone));
      expectSameBits(interpret(fused, 'main', inputs), interpret(alone, 'main', inputs));
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('compiled fused graphs agree with unfused ones', (t) => {
  fc.assert(
    // Smooth: no comparison that a last bit decides.
    fc.property(randomGraph({ smooth: true }), ({ module, inputs }) => {
      const plain = decompose(module);
      const alone = runCompiled(plain, 'main', inputs, { merge: false });
      expectClose(runCompiled(plain, 'main', inputs, { inPlace: true }), alone, 2e-5);
      const exact = interpret(plain, 'main', inputs);
      expectClose(alone, exact, 1e-4);
    }),
    { numRuns: 150 },
  );
  t.pass();
});
