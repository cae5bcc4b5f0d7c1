/** Every row of the op table on threads of WebAssembly that share every kernel they can: the bits of one thread. */
import test from 'ava';
import { WASM } from '../../src/codegen/targets.ts';
import { printWasm } from '../../src/codegen/wasm/print.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { createExecutor } from '../../src/runtime/backend.ts';
import { cpuDevice } from '../../src/runtime/devices.ts';
import { Batch } from '../support/batch.ts';
import { expectSameBits } from '../support/compare.ts';
import { casesOf } from '../support/op-cases.ts';
import { opModule } from '../support/op-func.ts';
import { bareArtifact } from '../support/run-linked.ts';
import { COUNTS } from '../support/thread-bits.ts';

const onThreads = (threads: number): Batch =>
  new Batch(WASM, async ({ kernels, programs, segments }) => {
    const code = { kernels, programs };
    const artifact = { ...bareArtifact('batch'), segments, programs, wasm: printWasm(code, { sharedFrom: 0 }) };
    const executor = await createExecutor(artifact, cpuDevice(), { threads });
    await cpuDevice().threads().ready();
    return executor;
  });

const batches = COUNTS.map(onThreads);

for (const kind of Object.keys(OPS)) {
  if (opDef(kind).lower.kind === 'control') continue;
  const cases = [...casesOf(kind)].map((c) => {
    const module = decompose(opModule(c.kind, c.attrs, c.inputs));
    return { c, members: batches.map((b) => b.add(module, 'main')) };
  });
  test.serial(`${kind} has the same bits on ${COUNTS.join(', ')} threads`, async (t) => {
    for (const { c, members } of cases) {
      const wanted = await members[0]!.run(c.inputs);
      for (const [i, member] of members.slice(1).entries()) {
        const found = await member.run(c.inputs);
        t.notThrows(() => expectSameBits(found, wanted), `${c.name} on ${COUNTS[i + 1]} threads`);
      }
    }
  });
}

test.serial('the other threads took part', (t) => {
  t.true(cpuDevice().threads().tasks > 100);
});
