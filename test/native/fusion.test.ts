/** Fused programs compute in C what unfused ones do, within the rounding of reductions; with eight lanes, as other machines have. */
import fc from 'fast-check';
import { interpret } from '../../src/ir/interpret.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { expectClose } from '../support/compare.ts';
import { nativeBatch, onNative } from '../support/native.ts';
import { randomGraph } from '../support/random-graph.ts';

const run = await onNative();

run('fused graphs agree with unfused ones', async (t) => {
  t.timeout(300_000);
  const seed = Math.floor(Math.random() * 2 ** 31);
  t.log(`seed ${seed}`);
  const batch = await nativeBatch({ lanes: 8, registers: 16, fma: true });
  // Smooth: no comparison that a last bit decides.
  const members = fc.sample(randomGraph({ smooth: true }), { numRuns: 50, seed }).map(({ module, inputs }) => {
    const plain = decompose(module);
    return {
      inputs,
      fused: batch.add(plain, 'main'),
      alone: batch.add(plain, 'main', { merge: false }),
      exact: interpret(plain, 'main', inputs),
    };
  });
  for (const { inputs, fused, alone, exact } of members) {
    const separate = await alone.run(inputs);
    expectClose(await fused.run(inputs), separate, 2e-5);
    expectClose(separate, exact, 1e-4);
  }
  t.pass();
});
