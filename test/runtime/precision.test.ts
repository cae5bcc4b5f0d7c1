/** Mixed precision: products in 16 bits, dynamic loss scaling with PyTorch's dynamics, updates that are left out whole. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import { loadRun, runToBytes, tensor, type Model, type Tensor } from '../../src/runtime/index.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';

const blocks = new Map<string, ReturnType<typeof compile>>();
async function create(text: string): Promise<Model> {
  const made = blocks.get(text) ?? compile(text, { verify: true });
  blocks.set(text, made);
  const block = made.blocks['Net'];
  if (!block) throw new Error(made.diagnostics.map((d) => d.message).join('\n'));
  return block.create({ seed: 2 });
}
const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
/** Everything that a step may change: weights, moments, averages, counters, the scale. */
const everything = (m: Model): Record<string, number[]> =>
  Object.fromEntries([...m.state_dict(), ...m.trainState()].map(([k, t]) => [k, [...t.readSync()]]));

const LINE = `
export block Net {
  param w: f32[3] ~ ones()
  loss(x: f32[3]) -> f32[] => sum(w * x)
  train {
    loss = loss; optimizer = Adam(lr: 0.1); ema = 0.9; schedule = step_lr(step_size: 2, gamma: 0.5)
    scaler = grad_scaler(init_scale: 8.0, growth_factor: 4.0, backoff_factor: 0.25, growth_interval: 3)
  }
}`;
const [GOOD, BAD, NONE] = [
  [1, -2, 0.5],
  [1, Infinity, 0.5],
  [NaN, 1, 1],
];
const SCRIPT = [GOOD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD, NONE, BAD, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD, GOOD];

test('an update that overflowed changes nothing but the scale, and the schedule does not count it', async (t) => {
  const [scaled, plain] = [await create(LINE), await create(LINE.replace(/scaler = .*/, ''))];
  for (const x of SCRIPT) {
    const before = everything(scaled);
    scaled.train_step(tensor(x));
    if (x === GOOD) plain.train_step(tensor(x));
    else {
      const after = everything(scaled);
      t.deepEqual(
        Object.keys(after).filter((k) => String(after[k]) !== String(before[k])),
        String(before['run.good_steps']) === '0' ? ['run.scale'] : ['run.scale', 'run.good_steps'],
      );
    }
    // Scales are powers of two: what is multiplied and divided by them keeps its bits.
    t.deepEqual(everything(scaled)['w'], everything(plain)['w']);
    t.deepEqual(everything(scaled)['ema.0'], everything(plain)['ema.0']);
  }
  t.deepEqual(everything(scaled)['run.updates'], [SCRIPT.filter((x) => x === GOOD).length]);
});

test('a run keeps the scale', async (t) => {
  const whole = await create(LINE);
  for (const x of SCRIPT.slice(0, 5)) whole.train_step(tensor(x));
  const resumed = await create(LINE);
  loadRun(resumed, concat(await runToBytes(whole, { step: 5, epoch: 0, batch: 5, seed: 2, extra: {} })));
  for (const x of SCRIPT.slice(5)) for (const m of [whole, resumed]) m.train_step(tensor(x));
  t.deepEqual(everything(resumed), everything(whole));
});

onPyTorch()('the scale goes as that of torch.amp.GradScaler', async (t) => {
  const torch = askPyTorch<number[]>(
    `
p = torch.ones(3, requires_grad=True)
o = torch.optim.Adam([p], lr=.1)
s = torch.amp.GradScaler("cpu", init_scale=8., growth_factor=4., backoff_factor=.25, growth_interval=3)
out = []
for x in given:
    o.zero_grad()
    x = torch.tensor([float("inf") if v == "inf" else float("nan") if v is None else v for v in x])
    s.scale((p * x).sum()).backward(); s.step(o); s.update(); out.append(s.get_scale())
print(json.dumps(out))`,
    SCRIPT.map((x) => x.map((v) => (v === Infinity ? 'inf' : Number.isNaN(v) ? null : v))),
  );
  const model = await create(LINE);
  const made = SCRIPT.map((x) => {
    model.train_step(tensor(x));
    return model.loss_scale!.readSync()[0]!;
  });
  t.deepEqual(made, torch);
});

const NETWORK = (settings: string): string => `
import { Conv2d, LayerNorm, Linear } from "std/nn"
export block Net {
  conv = Conv2d(1, 4, kernel_size: 3, padding: 1)
  norm = LayerNorm(64)
  a = Linear(64, 16)
  b = Linear(16, 3)
  forward(x: f32[B, 1, 4, 4]) -> f32[B, 3] => b(relu(a(norm(flatten(relu(conv(x)), 1)))))
  loss(x: f32[B, 1, 4, 4], y: i32[B]) -> f32[] => cross_entropy(forward(x), y)
  train { loss = loss; optimizer = SGD(lr: 0.2, momentum: 0.9); ${settings} }
}`;
const X = tensor(
  Array.from({ length: 24 * 16 }, (_, i) => Math.sin(i * i)),
  { shape: [24, 1, 4, 4] },
);
const Y = tensor(Int32Array.from({ length: 24 }, (_, i) => i % 3));
const losses = async (m: Model, steps: number): Promise<number[]> => {
  const out: number[] = [];
  for (let i = 0; i < steps; i++) out.push(await m.train_step(X, Y).loss.item());
  return out;
};

for (const [precision, unit] of [['f16', 2 ** -11] as const, ['bf16', 2 ** -8] as const]) {
  test(`${precision}: training goes as in f32, on f32 weights`, async (t) => {
    const [full, half] = [await create(NETWORK('')), await create(NETWORK(`precision = ${precision}`))];
    const [a, b] = [await losses(full, 25), await losses(half, 25)];
    // The first loss has seen three products in a row, each rounded to `unit`; a few roundings add up.
    t.true(Math.abs(a[0]! - b[0]!) <= 8 * unit * a[0]!, `${a[0]} and ${b[0]}`);
    t.not(a[0], b[0], 'it was rounded at all');
    // Both learn it: the loss falls below a fifth, and they end within a tenth of the first loss of each other.
    t.true(a.at(-1)! < 0.2 * a[0]! && b.at(-1)! < 0.2 * b[0]!, `${a.at(-1)} and ${b.at(-1)}`);
    t.true(Math.abs(a.at(-1)! - b.at(-1)!) < 0.1 * a[0]!);
    t.true([...half.parameters()].every((p) => p.dtype === 'f32'));
    t.is(half.loss_scale === null, precision === 'bf16');
    // Evaluation is not part of it.
    const given = half.state_dict();
    full.load_state_dict(given);
    const [p, q] = [full, half].map((m) => [...(m.call('forward', [X]) as Tensor).readSync()]);
    t.deepEqual(p, q);
  });
}

test('a loss scale that is too large for f16 shrinks until gradients are finite', async (t) => {
  const model = await create(NETWORK('precision = f16; scaler = grad_scaler(init_scale: 1e9)'));
  const before = everything(model)['a.weight'];
  await losses(model, 1);
  t.deepEqual(everything(model)['a.weight'], before, 'the first update is left out');
  await losses(model, 30);
  t.notDeepEqual(everything(model)['a.weight'], before);
  t.true(model.loss_scale!.readSync()[0]! < 1e9);
});

test('gradients that are asked for are not scaled', async (t) => {
  const [full, half] = [await create(NETWORK('')), await create(NETWORK('precision = f16'))];
  for (const m of [full, half]) m.backward(X, Y);
  const [a, b] = [full, half].map((m) => [...m.parameters()].flatMap((p) => [...p.grad!.readSync()]));
  // A relu whose argument is near 0 may go the other way in 16 bits, so a tenth of the largest; the scale is 65,536.
  const largest = Math.max(...a!.map(Math.abs));
  const apart = Math.max(...a!.map((x, i) => Math.abs(x - b![i]!)));
  t.true(apart <= 0.1 * largest, `${apart} of ${largest}`);
});
