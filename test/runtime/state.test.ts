/** State as a value: optional arguments, records in and out, sizes that the caller chooses, a cache that a loop fills. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import { ShapeError, tensor, UsageError, type Model, type Tensor } from '../../src/runtime/index.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const CHAR_GPT = `
import { Linear, Embedding, LayerNorm } from "std/nn"

type Cache = { k: f32[L, B, C, W], v: f32[L, B, C, W], pos: i32[] }

block Layer(width: int) {
  norm = LayerNorm(width)
  qkv = Linear(width, 3 * width)
  out = Linear(width, width)

  forward(x: f32[B, T, W]) -> f32[B, T, W] {
    (q, k, v) = split(qkv(norm(x)), width, dim: 2)
    x + out(scaled_dot_product_attention(q, k, v, is_causal: true))
  }

  /// One position, with the keys and values of those before it.
  step(x: f32[B, W], k: f32[B, C, W], v: f32[B, C, W], pos: i32[]) -> (f32[B, W], f32[B, C, W], f32[B, C, W]) {
    (q, k1, v1) = split(qkv(norm(x)), width, dim: 1)
    k[:, pos] = k1
    v[:, pos] = v1
    scores = sum(q[:, none] * k, dim: 2) / sqrt(float(width))
    weights = softmax(where(arange(C)[none] <= pos, scores, -1e9), dim: 1)
    (x + out(sum(weights[:, :, none] * v, dim: 1)), k, v)
  }
}

export block CharGpt(vocab: int = 11, width: int = 8, depth: int = 2, context: int = 16, top_k: int = 4) {
  wte = Embedding(vocab, width)
  wpe = Embedding(context, width)
  h = [for i in 0..depth: Layer(width)]
  head = Linear(width, vocab, bias: false)
  init { **.weight ~ normal(0.0, 0.5) }

  forward(ids: i32[B, T]) -> f32[B, T, vocab] {
    x = wte(ids) + wpe(arange(T))
    for layer in h { x = layer(x) }
    head(x)
  }

  /// The logits of one position and the cache with it.
  advance(id: i32[B], cache: Cache? = none) -> (f32[B, vocab], Cache) {
    c = if cache { cache } else {
      { k: full([depth, B, context, width], 0.0), v: full([depth, B, context, width], 0.0), pos: i32(0) }
    }
    x = wte(id) + wpe(c.pos)
    for (i, layer) in enumerate(h) {
      (x, k, v) = layer.step(x, c.k[i], c.v[i], c.pos)
      c.k[i] = k
      c.v[i] = v
    }
    c.pos = c.pos + 1
    (head(x), c)
  }

  /// Continues each row by the likeliest.
  greedy(ids: i32[B, T], N: int) -> i32[B, T + N] => grow(ids, N, logits => argmax(logits, dim: 1))

  /// Draws among the \`top_k\` likeliest: the largest of logits with Gumbel noise.
  sample(ids: i32[B, T], N: int, temperature: f32[]) -> i32[B, T + N] => grow(ids, N, logits => {
    rank = sum(f32(logits[:, none] > logits[:, :, none]), dim: 2)
    noisy = logits / temperature - log(-log(rand_like(logits)))
    argmax(where(rank < float(top_k), noisy, -1e9), dim: 1)
  })

  grow(ids: i32[B, T], N: int, choose: (f32[B, V]) -> i32[B]) -> i32[B, T + N] {
    require T + N <= context, "the network has {context} positions"
    out = i32(full([B, T + N], 0.0))
    (logits, cache) = advance(ids[:, 0])
    out[:, 0] = ids[:, 0]
    for t in 1..T {
      out[:, t] = ids[:, t]
      (logits, cache) = advance(ids[:, t], cache)
    }
    for t in T..T + N {
      id = choose(logits)
      out[:, t] = id
      (logits, cache) = advance(id, cache)
    }
    out
  }
}
`;

// Before the first test: ava takes none after a pause.
const onGpu = await onAdapter();

const compiled = compile(CHAR_GPT, { targets: ['wasm', 'webgpu'] });
const ids = (rows: readonly (readonly number[])[]): Tensor =>
  tensor(Int32Array.from(rows.flat()), { shape: [rows.length, rows[0]!.length] });
const PROMPT = [
  [1, 5, 2],
  [7, 0, 10],
];

type Gpt = Record<'forward' | 'greedy' | 'sample', (...args: unknown[]) => Tensor> & {
  advance(...args: unknown[]): [Tensor, { k: Tensor; v: Tensor; pos: Tensor }];
};

for (const name of ['cpu', 'webgpu'] as const) {
  const lane = name === 'cpu' ? test : onGpu;
  const create = async (): Promise<Gpt> =>
    (await compiled.blocks['CharGpt']!.create({ seed: 3, device: name })) as unknown as Gpt;
  const on = (x: Tensor, model: Gpt): Promise<Tensor> => x.to((model as unknown as Model).device);

  lane(`${name}: generating with a cache gives what the whole network gives again and again`, async (t) => {
    const model = await create();
    const rows = PROMPT.map((r) => [...r]);
    for (let n = 0; n < 6; n++) {
      const logits = model.forward(await on(ids(rows), model));
      const values = await logits.read();
      rows.forEach((r, b) => {
        const at = (b * logits.shape[1]! + logits.shape[1]! - 1) * 11;
        const last = [...values.subarray(at, at + 11)];
        r.push(last.indexOf(Math.max(...last)));
      });
    }
    const grown = model.greedy(await on(ids(PROMPT), model), 6);
    t.deepEqual(grown.shape, [2, 9]);
    t.deepEqual([...(await grown.read())], rows.flat());
    t.deepEqual([...(await model.greedy(await on(ids(PROMPT), model), 0).read())], PROMPT.flat());
  });

  lane(`${name}: a state goes in as it came out, and without one a method begins anew`, async (t) => {
    const model = await create();
    const whole = await model.forward(await on(ids(PROMPT), model)).read();
    let state: unknown;
    for (let i = 0; i < 3; i++) {
      const column = await on(
        tensor(
          Int32Array.from(PROMPT, (r) => r[i]!),
          { shape: [2] },
        ),
        model,
      );
      const [logits, next] = state === undefined ? model.advance(column) : model.advance(column, state);
      const got = await logits.read();
      // The same sums in another order: some roundings of numbers up to 4.
      for (let b = 0; b < 2; b++)
        for (let j = 0; j < 11; j++) t.true(Math.abs(got[b * 11 + j]! - whole[(b * 3 + i) * 11 + j]!) < 1e-5);
      t.is((await next.pos.read())[0], i + 1);
      state = next;
    }
    t.throws(() => model.advance(ids(PROMPT)), { instanceOf: Error });
  });

  lane(`${name}: samples follow the seed and stay among the likeliest`, async (t) => {
    const model = await create();
    const draw = async (seed: number, temperature: number): Promise<number[]> => {
      const args = [await on(ids(PROMPT), model), 5, await on(tensor(temperature), model)];
      return [...(await model.sample(...args, { seed }).read())];
    };
    const first = await draw(1, 1);
    t.deepEqual(await draw(1, 1), first);
    const others = await Promise.all([2, 3, 4].map((seed) => draw(seed, 1)));
    t.true(others.some((o) => o.join() !== first.join()));
    // So cold that only the likeliest is left.
    t.deepEqual(await draw(5, 1e-6), [...(await model.greedy(await on(ids(PROMPT), model), 5).read())]);
  });
}

test('a size is a whole number, and what the method requires of it is checked before anything runs', async (t) => {
  const model = (await compiled.blocks['CharGpt']!.create({ seed: 3 })) as unknown as Gpt;
  for (const wrong of [-1, 1.5, '3', ids(PROMPT)])
    t.throws(() => model.greedy(ids(PROMPT), wrong), { instanceOf: UsageError, message: /N is a whole number/ });
  t.throws(() => model.greedy(ids(PROMPT), 14), { instanceOf: ShapeError, message: /16 positions/ });
  t.throws(() => model.greedy(ids(PROMPT)), { instanceOf: UsageError, message: /takes 2 arguments/ });
});

test('every set of optional arguments is a program, also of the training step', async (t) => {
  const { blocks, diagnostics } = compile(`
    export block Masked {
      param w: f32[3] ~ ones()
      forward(x: f32[B, 3], mask: f32[B, 3]? = none, scale: f32[]? = none) -> f32[B, 3] {
        y = x * w
        if mask { y = y * mask }
        if scale == none { y } else { y * scale }
      }
      /// With a mask the result has another shape.
      pair(x: f32[B], other: f32[B]? = none) => if other { (x, other) } else { x }
      loss(x: f32[B, 3], mask: f32[B, 3]? = none) -> f32[] => sum(forward(x, mask: mask))
      train { loss = loss; optimizer = SGD(lr: 1.0) }
    }`);
  t.deepEqual(diagnostics, []);
  const model = (await blocks['Masked']!.create()) as unknown as Model & Record<string, (...args: unknown[]) => Tensor>;
  const [x, mask] = [tensor([[1, 2, 3]]), tensor([[1, 0, 1]])];
  const two = tensor(2);
  const run = async (...args: unknown[]): Promise<number[]> => [...(await model['forward']!(...args).read())];
  t.deepEqual(await run(x), [1, 2, 3]);
  t.deepEqual(await run(x, mask), [1, 0, 3]);
  t.deepEqual(await run(x, undefined, two), [2, 4, 6]);
  t.deepEqual(await run(x, null, two), [2, 4, 6]);
  t.deepEqual(await run(x, mask, two), [2, 0, 6]);
  t.deepEqual(await run(x, mask, two, { training: true }), [2, 0, 6]);
  t.throws(() => model['forward']!(mask === x ? x : undefined), {
    instanceOf: UsageError,
    message: /x, mask\?, scale\?/,
  });
  const pair = model['pair']!(tensor([1]), tensor([2])) as unknown as Tensor[];
  t.is(pair.length, 2);
  model.backward(x, mask);
  t.deepEqual([...(await [...model.parameters()][0]!.grad!.read())], [1, 0, 3]);
  model.train_step(x, mask);
  t.deepEqual([...(await [...model.parameters()][0]!.data.read())], [0, 1, -2]);
  model.train_step(x);
  t.deepEqual([...(await [...model.parameters()][0]!.data.read())], [-1, -1, -5]);
});
