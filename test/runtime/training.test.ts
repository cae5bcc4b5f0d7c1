/** What a `train` block says beside its optimizer: accumulation, averaged weights, limits; held against PyTorch's numbers where it has them. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import { loadRun, runToBytes, tensor, UsageError, type Model, type Tensor } from '../../src/runtime/index.ts';

const source = (settings: string, dropout = 0): string => `
import { Linear, Dropout, BatchNorm1d } from "std/nn"
export block Net {
  a = Linear(4, 8)
  drop = Dropout(${dropout.toFixed(1)})
  b = Linear(8, 2)
  forward(x: f32[B, 4]) -> f32[B, 2] => b(drop(tanh(a(x))))
  loss(x: f32[B, 4], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  train { loss = loss; optimizer = AdamW(lr: 0.05); ${settings} }
}
`;
const blocks = new Map<string, ReturnType<typeof compile>>();
async function create(settings: string, dropout = 0): Promise<Model> {
  const text = source(settings, dropout);
  const made = blocks.get(text) ?? compile(text);
  blocks.set(text, made);
  const block = made.blocks['Net'];
  if (!block) throw new Error(made.diagnostics.map((d) => d.message).join('\n'));
  return block.create({ seed: 3 });
}
const wave = (rows: number, columns: number, phase: number): number[][] =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => Math.sin(i * columns + j + phase)));
const X = wave(12, 4, 0);
const Y = wave(12, 2, 1);
const part = (from: number, to: number): [Tensor, Tensor] => [tensor(X.slice(from, to)), tensor(Y.slice(from, to))];
const values = (m: { state_dict(): Map<string, Tensor> }): number[] =>
  [...m.state_dict().values()].flatMap((t) => [...t.readSync()]);
const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const far = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((x, i) => Math.abs(x - b[i]!) / Math.max(1e-3, Math.abs(b[i]!))));

test('microbatches of equal size make the update of the whole batch', async (t) => {
  const [whole, parts] = [await create('clip_norm = 0.5'), await create('accumulate = 4; clip_norm = 0.5')];
  for (let step = 0; step < 5; step++) {
    whole.train_step(...part(0, 12));
    for (let i = 0; i < 4; i++) {
      const before = values(parts);
      parts.train_step(...part(3 * i, 3 * i + 3));
      t.is(parts.microbatch, (i + 1) % 4);
      if (i < 3) t.deepEqual(values(parts), before);
    }
    t.is(parts.step, step + 1);
  }
  // Sums in another order: a few units in the last place, which Adam's division keeps relative.
  t.true(far(values(parts), values(whole)) < 1e-4);
});

test('an update may come early, as the mean over the microbatches so far', async (t) => {
  const [whole, parts] = [await create(''), await create('accumulate = 4')];
  whole.train_step(...part(0, 6));
  parts.train_step(...part(0, 3));
  parts.train_step(...part(3, 6), { update: true });
  t.deepEqual([parts.step, parts.microbatch], [1, 0]);
  t.true(far(values(parts), values(whole)) < 1e-4);
  t.throws(() => whole.train_step(...part(0, 6), { update: false }), { instanceOf: UsageError });
  // What an earlier group left must not leak into the next.
  whole.train_step(...part(6, 12));
  parts.optimizer!.accumulate = 2;
  parts.train_step(...part(6, 9));
  parts.train_step(...part(9, 12));
  t.is(parts.step, 2);
  t.true(far(values(parts), values(whole)) < 1e-4);
});

test('each microbatch draws its own dropout mask', async (t) => {
  const losses = async (settings: string): Promise<number[]> => {
    const model = await create(settings, 0.5);
    model.optimizer!.lr = 0;
    const out: number[] = [];
    for (let i = 0; i < 6; i++) out.push(await model.train_step(...part(0, 12)).loss.item());
    return out;
  };
  t.is(new Set(await losses('accumulate = 3')).size, 6);
});

test('a run resumes between microbatches bit for bit', async (t) => {
  const settings = 'accumulate = 3; ema = 0.9; schedule = step_lr(step_size: 2); clip_value = 0.01';
  const whole = await create(settings, 0.3);
  const files: Uint8Array[] = [];
  for (let call = 0; call < 9; call++) {
    const position = { step: whole.step, epoch: 0, batch: call, seed: 3, extra: {} };
    files.push(concat(await runToBytes(whole, position)));
    whole.train_step(...part(call, call + 3));
  }
  for (const [call, file] of files.entries()) {
    const resumed = await create(settings, 0.3);
    for (let i = 0; i < call % 4; i++) resumed.train_step(...part(9, 12)); // what was there must not show
    loadRun(resumed, file);
    for (let i = call; i < 9; i++) resumed.train_step(...part(i, i + 3));
    t.deepEqual(values(resumed), values(whole), `from call ${call}`);
    t.deepEqual(values(resumed.ema!), values(whole.ema!), `averages from call ${call}`);
  }
});

test('averaged weights are those of torch.optim.swa_utils', async (t) => {
  const model = await create('ema = 0.9');
  const live: number[][] = [];
  t.deepEqual(values(model.ema!), values(model), 'before the first update they are the weights');
  for (let i = 0; i < 4; i++) {
    model.train_step(...part(0, 12));
    live.push(values(model));
  }
  // AveragedModel copies at the first update and then moves by lerp(average, parameter, 1 - decay).
  const expected = live.slice(1).reduce((e, p) => e.map((x, i) => x + (p[i]! - x) * 0.1), live[0]!);
  t.true(far(values(model.ema!), expected) < 1e-5);
  const x = tensor(X);
  const averaged = model.call('forward', [x], { ema: true }) as Tensor;
  const plain = model.call('forward', [x]) as Tensor;
  t.notDeepEqual([...averaged.readSync()], [...plain.readSync()]);
  const other = await create('ema = 0.9');
  other.load_state_dict(model.ema!.state_dict());
  t.deepEqual([...(other.call('forward', [x]) as Tensor).readSync()], [...averaged.readSync()]);
  t.throws(() => void (model as unknown as { call: Model['call'] }).call('forward', [x], { emma: true } as object), {
    instanceOf: UsageError,
  });
  await t.throwsAsync(async () => (await create('')).call('forward', [x], { ema: true }), { instanceOf: UsageError });
});

test('limits change while training runs', async (t) => {
  const [low, changed] = [await create('clip_norm = 0.01'), await create('clip_norm = 100.0')];
  changed.optimizer!.clip_norm = 0.01;
  for (const m of [low, changed]) m.train_step(...part(0, 12));
  t.deepEqual(values(changed), values(low));
  t.throws(() => (low.optimizer!.clip_value = 1), { instanceOf: UsageError, message: /clip_value/ });
});

test('a schedule that follows a metric lowers every lr, and a run remembers where it was', async (t) => {
  const settings = 'schedule = reduce_on_plateau(factor: 0.5, patience: 1, min_lr: 0.01); override a.** { lr = 0.2 }';
  const model = await create(settings);
  const rates = (m: Model): unknown[] => m.optimizer!.groups.map((g) => g['lr']).sort();
  const seen = [1, 2, 3, 3].map((metric) => [model.plateau!.step(metric), ...rates(model)]);
  t.deepEqual(seen, [
    [false, 0.05, 0.2],
    [false, 0.05, 0.2],
    [true, 0.025, 0.1],
    [false, 0.025, 0.1],
  ]);
  const resumed = await create(settings);
  loadRun(resumed, concat(await runToBytes(model, { step: 0, epoch: 4, batch: 0, seed: 3, extra: {} })));
  t.deepEqual([resumed.plateau!.best, resumed.plateau!.bad_epochs, ...rates(resumed)], [1, 1, 0.025, 0.1]);
  t.true(resumed.plateau!.step(5));
  t.deepEqual(rates(resumed), [0.0125, 0.05]);
  resumed.train_step(...part(0, 12));
  t.is((await create('')).plateau, null);
});
