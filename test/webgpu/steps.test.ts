/**
 * What a training step asks of a GPU, counted without one (Dawn's null back end runs nothing, but takes everything): one
 * submission, no new buffer. The number of dispatches changes only with a reason: it is what fusion is for.
 */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { absent } from '../support/absent.ts';
import { compile } from '../../src/compile.ts';
import { tensor, type Tensor } from '../../src/runtime/index.ts';
import { WebGpuDevice } from '../../src/runtime/webgpu/device.ts';
import { dispatchCount } from '../../src/runtime/webgpu/schedule.ts';
import { nullDevice } from '../support/webgpu.ts';

const dawn = await nullDevice();
const withDawn = dawn ? test.serial : test.skip;
if (!dawn) test('skipped: the package `webgpu` gives no adapter (npm install webgpu)', absent);

const NETWORKS: readonly { readonly name: string; readonly args: () => Tensor[]; readonly dispatches: number }[] = [
  {
    name: 'lenet',
    args: () => [
      tensor(new Float32Array(2 * 28 * 28), { shape: [2, 1, 28, 28] }),
      tensor(new Int32Array(2), { shape: [2] }),
    ],
    dispatches: 30,
  },
  // 131 until neighbours over one space were joined (heads of attention, sums for scales and biases).
  // Each of the two embeddings sorts its indices in a kernel of its own: that is one more than comparing all pairs, and n log n.
  // Attention goes by blocks where the length is known only at run time, and norms are computed again rather than kept: twelve more.
  { name: 'gpt2_mini', args: () => [tensor(new Int32Array(2 * 8), { shape: [2, 8] })], dispatches: 120 },
];

for (const { name, args, dispatches } of NETWORKS) {
  withDawn(`${name}: a step is one submission of ${dispatches} dispatches`, async (t) => {
    const source = readFileSync(new URL(`../networks/${name}.net`, import.meta.url), 'utf8');
    const [make] = Object.values(compile(source, { targets: ['wasm', 'webgpu'] }).blocks);
    const adapter = (await dawn!.gpu.requestAdapter())!;
    const found = { name: 'webgpu:0', available: true, software: true, description: 'null', features: [], limits: {} };
    const on = await WebGpuDevice.open(adapter, { ...found, adapter });
    const model = await make!.create({ device: on });
    const inputs = await Promise.all(args().map((x) => x.to(on)));
    model.train_step(...inputs);
    for (let i = 0; i < 3; i++) {
      const before = { ...on.counters };
      const used = on.memory.used;
      model.train_step(...inputs);
      t.is(on.counters.submits, before.submits + 1);
      t.is(on.counters.buffers, before.buffers);
      t.is(on.counters.dispatches, before.dispatches + dispatches);
      t.true(on.memory.used <= used + 64, 'no more than the loss that may still be held');
    }
    const sizes = new Map([
      ['B', 2],
      ['T', 8],
    ]);
    t.is(dispatchCount(model.artifact.webgpu, 'train_step', sizes), dispatches);
    await on.settled();
    on.destroy();
  });
}
