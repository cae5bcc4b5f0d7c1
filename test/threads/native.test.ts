/** Threads of native code: results have the same bits whatever their number. */
import { onNative } from '../support/native.ts';
import { COUNTS, sameTraining, sameUneven, type On } from '../support/thread-bits.ts';

const run = await onNative();
const NATIVE: On = { targets: ['wasm', 'native'], device: 'native' };

for (const name of ['lenet', 'alexnet_mini', 'gpt2_mini', 'resnet18_w10', 'char_lstm'])
  run(`${name}: training steps have the same bits on ${COUNTS.join(', ')} threads`, async (t) => {
    t.timeout(900_000); // the C compiler on a busy machine
    await sameTraining(t, name, NATIVE);
  });

run('sizes that no number of threads divides', async (t) => {
  t.timeout(900_000);
  await sameUneven(t, NATIVE);
});
