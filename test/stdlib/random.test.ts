/** Random draws: what they depend on (seed, step, place in the program) and what they do not (passes, kernels); dropout. */
import test from 'ava';
import { compile, type CompileOptions } from '../../src/compile.ts';
import { tensor, type Model, type Tensor } from '../../src/runtime/index.ts';
import { foldIn } from '../../src/runtime/rng.ts';
import { elaborated } from '../support/elaborated.ts';
import { Interpreted } from '../support/interpreted.ts';

async function create(source: string, seed = 0, options: CompileOptions = {}): Promise<Model> {
  const { blocks, diagnostics } = compile(source, options);
  const [Block] = Object.values(blocks);
  if (!Block) throw new Error(diagnostics.map((d) => `${d.code} ${d.message}`).join('\n'));
  return Block.create({ seed });
}

const numbers = (t: unknown): number[] => Array.from((t as Tensor).readSync());

const DROPOUT = `
import { Dropout } from "std/nn"

export block M() {
  drop = Dropout(0.25)

  forward(x: f32[N]) -> f32[N] => drop(x)
  twice(x: f32[N]) -> (f32[N], f32[N]) => (drop(x), drop(x))
}
`;
const N = 20_000;
const ones = (): Tensor => tensor(new Float32Array(N).fill(1));

test('dropout is the identity in evaluation', async (t) => {
  const model = await create(DROPOUT);
  t.true(numbers(model.call('forward', [ones()])).every((v) => v === 1));
});

test('dropout in training keeps three quarters, scaled', async (t) => {
  const model = await create(DROPOUT);
  const y = numbers(model.call('forward', [ones()], { training: true, seed: 5 }));
  const kept = Math.fround(1 / 0.75);
  t.true(y.every((v) => v === 0 || v === kept));
  // The share of N draws is off by a few times sqrt(p (1 - p) / N) = 0.003.
  t.true(Math.abs(y.filter((v) => v !== 0).length / N - 0.75) < 0.012);
});

test('a call draws by its seed; two calls without one draw differently', async (t) => {
  const model = await create(DROPOUT);
  const draw = (seed?: number): number[] =>
    numbers(model.call('forward', [ones()], seed === undefined ? { training: true } : { training: true, seed }));
  t.deepEqual(draw(3), draw(3));
  t.notDeepEqual(draw(3), draw(4));
  t.notDeepEqual(draw(), draw());
});

test('a layer that is used twice draws twice', async (t) => {
  const model = await create(DROPOUT);
  const [a, b] = model.call('twice', [ones()], { training: true, seed: 1 }) as readonly [Tensor, Tensor];
  t.notDeepEqual(numbers(a), numbers(b));
});

test('dropout of channels takes whole channels; alpha dropout keeps mean and variance', async (t) => {
  const model = await create(`
import { AlphaDropout, Dropout2d } from "std/nn"

export block M() {
  channels = Dropout2d(0.5)
  alpha = AlphaDropout(0.2)

  forward(x: f32[N, C, H, W]) -> f32[N, C, H, W] => channels(x)
  selu_like(x: f32[N]) -> f32[N] => alpha(x)
}
`);
  const x = tensor(new Float32Array(1000 * 4).fill(1), { shape: [10, 100, 2, 2] });
  const y = numbers(model.call('forward', [x], { training: true, seed: 2 }));
  t.true(y.every((v, i) => (v === 0 || v === 2) && v === y[i - (i % 4)]));
  t.true(Math.abs(y.filter((v) => v !== 0).length / 4000 - 0.5) < 0.06);
  const normal = Float32Array.from({ length: N }, (_, i) => Math.sqrt(2) * Math.sin(i));
  const z = numbers(model.call('selu_like', [tensor(normal)], { training: true, seed: 2 }));
  const mean = z.reduce((a, b) => a + b, 0) / N;
  t.true(Math.abs(mean) < 0.03);
  t.true(Math.abs(z.reduce((a, b) => a + (b - mean) ** 2, 0) / N - 1) < 0.03);
  t.deepEqual(numbers(model.call('selu_like', [tensor(normal)])), [...normal]);
});

test('dropout of channels is the same for sequences, images and volumes; alpha dropout sets whole channels low', async (t) => {
  const model = await create(`
import { Dropout1d, Dropout3d, FeatureAlphaDropout, RReLU } from "std/nn"

export block M() {
  sequences = Dropout1d(0.5)
  volumes = Dropout3d(0.5)
  alpha = FeatureAlphaDropout(0.5)
  slopes = RReLU(0.25, 0.5)

  forward(x: f32[N, C, L]) -> f32[N, C, L] => sequences(x)
  deep(x: f32[N, C, D, H, W]) -> f32[N, C, D, H, W] => volumes(x)
  low(x: f32[N, C, L]) -> f32[N, C, L] => alpha(x)
  leaky(x: f32[N]) -> f32[N] => slopes(x)
}
`);
  const drawn = { training: true, seed: 2 } as const;
  const x = tensor(new Float32Array(8000).fill(1), { shape: [10, 100, 8] });
  const y = numbers(model.call('forward', [x], drawn));
  t.true(y.every((v, i) => (v === 0 || v === 2) && v === y[i - (i % 8)]));
  const cubes = tensor(new Float32Array(8000).fill(1), { shape: [10, 100, 2, 2, 2] });
  const z = numbers(model.call('deep', [cubes], drawn));
  t.true(z.every((v, i) => (v === 0 || v === 2) && v === z[i - (i % 8)]));
  // PyTorch's map: a (x or low) + b with a = (q + low^2 q p)^(-1/2) and b = -a p low, for p = q = 1/2.
  const low = -1.7580993408473766;
  const a = 1 / Math.sqrt(0.5 + 0.25 * low * low);
  const w = numbers(model.call('low', [x], drawn));
  t.true(w.every((v, i) => v === w[i - (i % 8)]));
  t.true(w.every((v) => Math.min(Math.abs(v - (a - a * low * 0.5)), Math.abs(v - a * low * 0.5)) < 1e-6));
  const s = numbers(model.call('leaky', [tensor(new Float32Array(N).fill(-1))], drawn));
  t.true(s.every((v) => v <= -0.25 && v > -0.5));
  t.true(Math.abs(s.reduce((p, q) => p + q, 0) / N + 0.375) < 0.002);
});

const BITS = `
export block M() {
  param w: f32[3, 5] ~ uniform(-1.0, 1.0)
  param v: f32[64] ~ normal()

  forward() -> u32[4, 7] => op.random_bits(shape: [4, 7])
}
`;

test('compiled kernels draw the bits of the reference, fused or not', async (t) => {
  const fused = await create(BITS, 7);
  const unfused = await create(BITS, 7, { fuse: false });
  for (const name of ['w', 'v']) {
    t.deepEqual(numbers(fused.state_dict().get(name)), numbers(unfused.state_dict().get(name)));
  }
  t.deepEqual(numbers(fused.call('forward', [], { seed: 2 })), numbers(unfused.call('forward', [], { seed: 2 })));
  t.notDeepEqual(numbers(fused.call('forward', [], { seed: 2 })), numbers(fused.call('forward', [], { seed: 3 })));
});

test('initial values in float64 are those of the kernels up to rounding', async (t) => {
  const model = await create(BITS, 0);
  // The key of seed 0, folded with the purpose "initial values", which is 0.
  const reference = new Interpreted(elaborated(BITS), foldIn([0, 0], 0));
  reference.run('init', new Map());
  const w = numbers(model.state_dict().get('w'));
  const expected = reference.read('w');
  w.forEach((v, i) => t.true(Math.abs(v - expected[i]!) < 1e-6));
});

const TRAINED = `
import { Dropout, Linear } from "std/nn"

export block M() {
  net = seq { Linear(8, 16); relu; Dropout(0.5); Linear(16, 1) }

  forward(x: f32[B, 8]) -> f32[B, 1] => net(x)
  loss(x: f32[B, 8], y: f32[B, 1]) -> f32[] => mse_loss(forward(x), y)

  train { loss = loss; optimizer = AdamW(lr: 1e-2) }
}
`;

test('the same seed trains to the same bits, another seed does not', async (t) => {
  const x = tensor(
    Float32Array.from({ length: 80 }, (_, i) => Math.sin(i)),
    { shape: [10, 8] },
  );
  const y = tensor(
    Float32Array.from({ length: 10 }, (_, i) => Math.cos(i)),
    { shape: [10, 1] },
  );
  const run = async (seed: number): Promise<number[][]> => {
    const model = await create(TRAINED, seed);
    const losses = Array.from({ length: 5 }, () => numbers(model.train_step(x, y).loss)[0]!);
    return [losses, ...[...model.state_dict().values()].map(numbers)];
  };
  const first = await run(3);
  t.deepEqual(await run(3), first);
  t.notDeepEqual(await run(4), first);
});
