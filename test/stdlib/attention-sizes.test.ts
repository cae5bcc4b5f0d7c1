/**
 * Attention whose sizes only a call tells: the same code for sequences that are short, that are blocks of 64 queries and some more, and that are
 * whole blocks. Beside PyTorch's float64 on every device, the same bits for every number of threads, and memory that grows with the
 * length and not with its square.
 */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { tensor, thisMachine, type Model, type Tensor } from '../../src/runtime/index.ts';
import { plannedBytes } from '../../src/runtime/plan.ts';
import { onNative } from '../support/native.ts';
import { onPyTorch, whatPyTorchSays } from '../support/pytorch.ts';
import { onAdapter } from '../support/webgpu-device.ts';

/** Queries and keys: short, one row, blocks and 24 queries that are left, whole blocks. */
const SIZES = [
  [5, 7],
  [1, 3],
  [600, 440],
  [512, 512],
] as const;

/** The ways to mask. In one loss, so that one gradient has all of them; `bias` is what is learned of a mask of numbers. */
const SOURCE = `
export block Net {
  param wq: f32[6, 4] ~ zeros()
  param wk: f32[6, 4] ~ zeros()
  param wv: f32[6, 5] ~ zeros()
  param bias: f32[] ~ zeros()
  ways(x: f32[2, T, 6], y: f32[2, S, 6], seen: bool[T, S], padding: bool[2, 1, S], near: f32[T, S]) {
    (q, k, v) = (x @ wq, y @ wk, y @ wv)
    (
      scaled_dot_product_attention(q, k, v),
      scaled_dot_product_attention(q, k, v, is_causal: true, scale: 0.7),
      scaled_dot_product_attention(q, k, v, seen),
      scaled_dot_product_attention(q, k, v, padding),
      scaled_dot_product_attention(q, k, v, near * bias)
    )
  }
  loss(x: f32[2, T, 6], y: f32[2, S, 6], seen: bool[T, S], padding: bool[2, 1, S], near: f32[T, S]) -> f32[] {
    (a, b, c, d, e) = ways(x, y, seen, padding, near)
    w = cos(op.iota(shape: [2, T, 5], axis: 1, elem: "f32"))
    sum(w * (a + 2.0 * b - c + 0.5 * d * d - 2.0 * e))
  }
}`;

/** Numbers that are exact in f32, the same in both languages. */
const numbers = (n: number, step: number): number[] =>
  Array.from({ length: n }, (_, i) => ((i * step) % 97) / 64 - 0.75);
const PARAMS = { wq: [6, 4], wk: [6, 4], wv: [6, 5] } as const;
const STEPS = new Map([
  ['wq', 29],
  ['wk', 31],
  ['wv', 37],
] as const);

const SCRIPT = `
import math
import torch.nn.functional as F
torch.set_num_threads(1)
def numbers(shape, step):
    n = math.prod(shape)
    return ((torch.arange(n) * step % 97).double() / 64 - 0.75).reshape(shape)
def answer(T, S):
    ps = [numbers(s, step).requires_grad_() for s, step in (([6, 4], 29), ([6, 4], 31), ([6, 5], 37))]
    bias = torch.tensor(0.5, dtype=torch.float64).requires_grad_()
    x, y = numbers([2, T, 6], 41), numbers([2, S, 6], 43)
    i, j = torch.arange(T)[:, None], torch.arange(S)[None]
    # A query that sees nothing has zeros in PyTorch's own kernels only.
    seen = (i * 7 + j * 3) % 5 != 0
    padding = (torch.arange(S)[None, None] < torch.tensor([S, S - S // 3])[:, None, None])
    near = ((i * 5 + j * 3) % 7).double() / 8
    q, k, v = x @ ps[0], y @ ps[1], y @ ps[2]
    sdpa = F.scaled_dot_product_attention
    causal = torch.ones(T, S, dtype=torch.bool).tril()
    ways = [sdpa(q, k, v), sdpa(q, k, v, causal, scale=0.7), sdpa(q, k, v, seen), sdpa(q, k, v, padding), sdpa(q, k, v, near * bias)]
    a, b, c, d, e = ways
    w = torch.cos(torch.arange(T).double())[None, :, None].expand(2, T, 5)
    (w * (a + 2 * b - c + 0.5 * d * d - 2 * e)).sum().backward()
    return {'ways': [u.detach().reshape(-1).tolist() for u in ways], 'grads': [p.grad.reshape(-1).tolist() for p in ps + [bias]]}
print(json.dumps([answer(*s) for s in given]))
`;
interface Answer {
  readonly ways: readonly (readonly number[])[];
  readonly grads: readonly (readonly number[])[];
}
const answers = whatPyTorchSays<readonly Answer[]>(SCRIPT, SIZES);

const machine = await thisMachine();

async function model(device: string, threads = 1): Promise<Model> {
  const { blocks, diagnostics } = compile(SOURCE, {
    targets: device === 'webgpu' ? ['wasm', 'webgpu'] : device === 'native' ? ['wasm', 'native'] : ['wasm'],
    ...(machine && { machine }),
    verify: true,
    sharedFrom: 1,
  });
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const made = await blocks['Net'].create({ device, threads });
  const values = (name: keyof typeof PARAMS): Tensor =>
    tensor(numbers(PARAMS[name][0] * PARAMS[name][1], STEPS.get(name)!), { shape: PARAMS[name] });
  made.load_state_dict({ wq: values('wq'), wk: values('wk'), wv: values('wv'), bias: tensor(0.5) });
  return made;
}

/** All that is computed for some sizes: results, then gradients. */
async function computed(m: Model, [t, s]: readonly [number, number]): Promise<Float32Array[]> {
  const { device } = m;
  const mask = (dtype: 'bool' | 'f32', of: (i: number, j: number) => number): Tensor =>
    tensor(
      Array.from({ length: t * s }, (_, n) => of(Math.floor(n / s), n % s)),
      { shape: [t, s], dtype, device },
    );
  const args = [
    tensor(numbers(2 * t * 6, 41), { shape: [2, t, 6], device }),
    tensor(numbers(2 * s * 6, 43), { shape: [2, s, 6], device }),
    mask('bool', (i, j) => Number((i * 7 + j * 3) % 5 !== 0)),
    tensor(
      Array.from({ length: 2 * s }, (_, n) => Number(n < s || n - s < s - Math.floor(s / 3))),
      { shape: [2, 1, s], dtype: 'bool', device },
    ),
    mask('f32', (i, j) => ((i * 5 + j * 3) % 7) / 8),
  ];
  const ways = m.call('ways', args) as readonly Tensor[];
  const out = [];
  for (const y of ways) out.push((await y.read()) as Float32Array);
  m.backward(...args);
  const named = new Map(m.named_parameters());
  for (const name of ['wq', 'wk', 'wv', 'bias']) out.push((await named.get(name)!.grad!.read()) as Float32Array);
  return out;
}

const onTorch = onPyTorch();
const lanes = { cpu: onTorch, native: await onNative(), webgpu: await onAdapter() };

for (const [device, lane] of Object.entries(lanes))
  (onTorch === test.skip ? test.skip : lane)(`results and gradients are PyTorch's: ${device}`, async (t) => {
    const m = await model(device);
    for (const [i, size] of SIZES.entries()) {
      const got = await computed(m, size);
      const { ways, grads } = answers()[i]!;
      [...ways, ...grads].forEach((wanted, n) => {
        // Sums of up to 1200 rounded products: relative to the largest element of each tensor. The last, one number, sums up to 264,000 of
        // either sign, which is no larger than a hundred of them.
        const largest = wanted.reduce((a, x) => Math.max(a, Math.abs(x)), 0);
        const off = wanted.reduce((a, x, e) => Math.max(a, Math.abs(x - got[n]![e]!)), 0);
        const noise = wanted.length === 1 ? 3e-6 : 1e-7;
        t.true(off <= 5e-5 * largest + noise, `tensor ${n} of ${size.join(' x ')} is off by ${off} of ${largest}`);
      });
    }
  });

test('threads change no bit', async (t) => {
  for (const size of [SIZES[0], SIZES[2]] as const)
    t.deepEqual(await computed(await model('cpu', 2), size), await computed(await model('cpu'), size));
});

test('memory grows with the length, not with its square, with dropout too', (t) => {
  const { artifacts, diagnostics } = compile(`
    import { TransformerEncoderLayer } from "std/nn"
    fn sqr(x) => x * x
    export block Net() {
      layer = TransformerEncoderLayer(16, 4, 32, batch_first: true)
      loss(x: f32[1, T, 16], padding: bool[1, T]) -> f32[] =>
        mean(sqr(layer(x, is_causal: true))) + mean(sqr(layer(x, src_key_padding_mask: padding)))
      train { loss = loss; optimizer = SGD(lr: 0.1) }
    }`);
  const program = artifacts[0]?.programs.find((p) => p.name === 'train_step');
  if (!program) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const bytes = [1024, 2048, 4096].map((n) => plannedBytes(program, new Map([['T', n]]))!);
  t.true(bytes[1]! < 2.2 * bytes[0]!, `${bytes}`);
  t.true(bytes[2]! < 2.2 * bytes[1]!, `${bytes}`);
  t.true(bytes[2]! < 4 * 4 * 4096 ** 2, `${bytes}: the scores of four heads`);
});

test('a short sequence has no room for the blocks of a long one', (t) => {
  const step = (size: string): number => {
    const { artifacts } = compile(`export block Net {
      param w: f32[8, 8] ~ ones()
      loss(x: f32[4096, ${size}, 8]) -> f32[] => sum(scaled_dot_product_attention(x @ w, x, x, is_causal: true))
      train { loss = loss; optimizer = SGD(lr: 0.1) }
    }`);
    return plannedBytes(
      artifacts[0]!.programs.find((p) => p.name === 'train_step')!,
      new Map([['T', 8]]),
    )!;
  };
  // What is cut for the plain way is a copy of its own, and partial sums have room where the depth is not known.
  t.true(step('T') < 1.5 * step('8'), `${step('T')}, and ${step('8')} where the length is known`);
});

/** Queries of zeros look at all keys alike, so that a result is the share of keys that were kept. */
const DROPPED = `
export block Net {
  param wq: f32[6, 4] ~ zeros()
  param wk: f32[6, 4] ~ zeros()
  param wv: f32[6, 5] ~ zeros()
  kept(x: f32[2, T, 6]) => scaled_dot_product_attention(x * 0.0, x, x * 0.0 + 1.0, dropout_p: 0.25)
  loss(x: f32[2, T, 6]) -> f32[] {
    y = scaled_dot_product_attention(x @ wq, x @ wk, x @ wv, is_causal: true, dropout_p: 0.25)
    sum(y * cos(op.iota(shape: [2, T, 5], axis: 1, elem: "f32")))
  }
}`;

for (const length of [40, 600])
  test(`dropout of ${length} queries: each weight by itself, and the same ones in the gradient`, async (t) => {
    const { blocks, diagnostics } = compile(DROPPED, { verify: true });
    if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
    const m = await blocks['Net'].create({ seed: 3 });
    const x = tensor(numbers(2 * length * 6, 41), { shape: [2, length, 6] });

    const kept = (m.call('kept', [x], { training: true }) as Tensor).readSync() as Float32Array;
    const shares = Array.from({ length: 2 * length }, (_, i) => kept[i * 6]!);
    // Of `length` weights, each kept with probability 3/4 and then divided by it.
    const deviation = Math.sqrt(0.25 / 0.75 / length);
    t.true(shares.every((s) => Math.abs(s - 1) < 6 * deviation));
    const mean = shares.reduce((a, s) => a + s, 0) / shares.length;
    t.true(Math.abs(mean - 1) < (5 * deviation) / Math.sqrt(shares.length), `${mean}`);
    // Counts out of `length` meet now and then, but blocks do not repeat each other.
    const repeated = shares.filter((s, i) => s === shares[i + 64]).length;
    t.true(repeated < length / 4, `${repeated} queries draw as the ones 64 before them`);

    const params = new Map(m.named_parameters());
    const start = new Map([...STEPS].map(([name, step]) => [name, numbers(params.get(name)!.size, step)]));
    const lossAt = (moved: string | null, by: number): number => {
      for (const [name, values] of start)
        params.get(name)!.data.copy_(name === moved ? values.map((v, i) => v + by * direction(i)) : values);
      return m.backward(x).loss.readSync()[0]!;
    };
    for (const name of start.keys()) {
      lossAt(null, 0);
      const grad = params.get(name)!.grad!.readSync() as Float32Array;
      const slope = grad.reduce((a, g, i) => a + g * direction(i), 0);
      const h = 0.01;
      const measured = (lossAt(name, h) - lossAt(name, -h)) / (2 * h);
      // The quotient's own error, h^2 times a third derivative, and rounding of a loss of some hundreds by 2 h.
      t.true(
        Math.abs(measured - slope) < 0.01 * Math.abs(slope) + 0.02,
        `${name}: ${measured}, the gradient says ${slope}`,
      );
    }
  });

const direction = (i: number): number => Math.cos(i * i + 1);
