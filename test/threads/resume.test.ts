/** A run that is stopped after any step goes on to the same bits, with as many threads as before or another number of them. */
import test, { type ExecutionContext } from 'ava';
import { loadRun, runToBytes, tensor, type Model, type Tensor } from '../../src/runtime/index.ts';
import { onNative } from '../support/native.ts';
import { modelOn, type On } from '../support/thread-bits.ts';

const native = await onNative();

/** All that a run remembers: draws of steps and of other calls, buffers, averages, a plateau, the loss scale, gradients that wait. */
const SOURCE = `
import { Linear, BatchNorm1d, Dropout } from "std/nn"
export block Net {
  net = seq { Linear(24, 40); BatchNorm1d(40); relu; Dropout(0.3); Linear(40, 8) }
  forward(x: f32[B, 24]) -> f32[B, 8] => net(x)
  loss(x: f32[B, 24], y: f32[B, 8]) -> f32[] => mse_loss(forward(x), y)
  train {
    loss = loss
    optimizer = AdamW(lr: 0.05)
    schedule = reduce_on_plateau(factor: 0.5, patience: 1)
    precision = f16
    clip_norm = 0.5
    accumulate = 2
    ema = 0.9
    freeze net.0.bias
  }
}`;

const EPOCH = 3;
const STEPS = 3 * EPOCH;
/** In this step the loss is infinite: the scale comes down, and the update is left out. */
const OVERFLOW = 4;

const data = (i: number, columns: number, scale: number): Float32Array =>
  Float32Array.from({ length: 16 * columns }, (_, k) => scale * Math.sin(16 * i + 1.7 * k));

/** Gives what the other calls between the steps gave. */
async function steps(model: Model, from: number, to: number): Promise<number[][]> {
  const { device } = model;
  const given: number[][] = [];
  for (let i = from; i < to; i++) {
    const x = tensor(data(i, 24, 1), { shape: [16, 24], device });
    const y = tensor(data(i, 8, i === OVERFLOW ? 1e30 : 1), { shape: [16, 8], device });
    model.train_step(x, y, (i + 1) % EPOCH === 0 ? { update: true } : {});
    // Draws of its own; the batch's statistics go into the averages.
    given.push([...(await (model.call('forward', [x], { training: true }) as Tensor).read())]);
    if ((i + 1) % EPOCH === 0) model.plateau!.step(i);
  }
  return given;
}

/** Everything, with where it stands in the data. */
async function saved(model: Model, done: number): Promise<Uint8Array> {
  const place = { epoch: Math.floor(done / EPOCH), batch: done % EPOCH };
  return new Uint8Array(
    Buffer.concat(await runToBytes(model, { step: model.step, ...place, seed: model.seed, extra: {} })),
  );
}

async function stops(t: ExecutionContext, on: On): Promise<void> {
  t.timeout(600_000); // the C compiler on a busy machine
  const create = (threads: number): Promise<Model> => modelOn(SOURCE, on, threads);
  const whole = await create(1);
  const scale = await whole.loss_scale!.item();
  const given = await steps(whole, 0, STEPS);
  t.is(await whole.loss_scale!.item(), scale / 2, 'the scale has come down');
  t.is(whole.calls, STEPS);
  t.not(whole.optimizer!.lr, 0.05);
  const want = await saved(whole, STEPS);
  for (let stop = 0; stop <= STEPS; stop++) {
    const [before, after] = [
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 3],
    ][stop % 4] as [number, number];
    const first = await create(before);
    await steps(first, 0, stop);
    const file = await saved(first, stop);
    const second = await create(after);
    const { position, warnings } = loadRun(second, file);
    t.deepEqual(warnings, []);
    t.deepEqual(await steps(second, position.epoch * EPOCH + position.batch, STEPS), given.slice(stop));
    const got = await saved(second, STEPS);
    t.is(Buffer.compare(got, want), 0, `stopped after ${stop} on ${before} threads, gone on with ${after}`);
  }
}

test('on the cpu', stops, { targets: ['wasm'], device: 'cpu' });
native('in native code', stops, { targets: ['wasm', 'native'], device: 'native' });
