/** Threads of native code: results have the same bits whatever their number. */
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { expectSameBits } from '../support/compare.ts';
import { nativeBatch, onNative } from '../support/native.ts';
import { casesOf } from '../support/op-cases.ts';
import { opModule } from '../support/op-func.ts';
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

run(`every row of the op table has the same bits on ${COUNTS.join(', ')} threads`, async (t) => {
  t.timeout(900_000);
  const batches = await Promise.all(COUNTS.map((n) => nativeBatch(undefined, n)));
  const cases = Object.keys(OPS)
    .filter((kind) => opDef(kind).lower.kind !== 'control')
    .flatMap((kind) => [...casesOf(kind)])
    .map((c) => {
      const module = decompose(opModule(c.kind, c.attrs, c.inputs));
      return { c, members: batches.map((b) => b.add(module, 'main')) };
    });
  for (const { c, members } of cases) {
    const wanted = await members[0]!.run(c.inputs);
    for (const [i, member] of members.slice(1).entries()) {
      const found = await member.run(c.inputs);
      t.notThrows(() => expectSameBits(found, wanted), `${c.name} on ${COUNTS[i + 1]} threads`);
    }
  }
});
