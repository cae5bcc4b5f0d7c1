/** Examples about sequences and generation do what they say: they translate, sample, adapt and step, not only lower a loss. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { tensor, type Model, type Tensor } from '../../src/runtime/index.ts';

async function create(file: string, block: string, hyper: Readonly<Record<string, number>> = {}): Promise<Model> {
  const source = readFileSync(new URL(`../../examples/${file}.net`, import.meta.url), 'utf8');
  const { blocks, diagnostics } = compile(source, { hyper });
  const found = blocks[block];
  if (!found) throw new Error(diagnostics.map((d) => `${d.code} ${d.message}`).join('\n'));
  return found.create({ seed: 1 });
}

const call = (model: Model, method: string, ...args: Tensor[]): readonly Tensor[] => {
  const result = model.call(method, args);
  return (Array.isArray(result) ? result : [result]) as Tensor[];
};
const values = (x: Tensor): number[] => [...x.readSync()];
const ints = (data: readonly number[], shape: readonly number[]): Tensor => tensor(Int32Array.from(data), { shape });

/** A small generator that gives the same numbers everywhere (mulberry32). */
function numbers(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Sequences of 3 to 6 tokens out of 2..9, padded to 6; the task is to write them backwards. */
function reversals(count: number, seed: number) {
  const next = numbers(seed);
  const source: number[] = [];
  const lengths: number[] = [];
  const target: number[] = [];
  const y: number[] = [];
  for (let i = 0; i < count; i++) {
    const n = 3 + Math.floor(next() * 4);
    const words = Array.from({ length: n }, () => 2 + Math.floor(next() * 8));
    const padding = Array.from({ length: 6 - n }, () => 0);
    const backwards = [...words].reverse();
    source.push(...words, ...padding);
    lengths.push(n);
    y.push(...backwards, ...padding);
    target.push(1, ...backwards.slice(0, -1), ...padding);
  }
  return {
    source: ints(source, [count, 6]),
    lengths: ints(lengths, [count]),
    target: ints(target, [count, 6]),
    y: ints(y, [count, 6]),
  };
}

/** The share of target tokens that are right; what stands behind an end does not count. */
function right(written: Tensor, y: Tensor): number {
  const [a, b] = [values(written), values(y)];
  const counted = b.flatMap((token, i) => (token === 0 ? [] : [a[i] === token]));
  return counted.filter(Boolean).length / counted.length;
}

test('seq2seq learns to write backwards, and translates what it never saw', async (t) => {
  const model = await create('seq2seq', 'Seq2Seq', { source_vocab: 10, target_vocab: 10 });
  for (let i = 0; i < 300; i++) {
    const { source, lengths, target, y } = reversals(64, i);
    model.train_step(source, lengths, target, y);
  }
  const { source, lengths, y } = reversals(64, 9999);
  const [written] = call(model, 'translate', source, lengths, y);
  t.true(right(written!, y) > 0.95, `${right(written!, y)}`);
});

test('transformer learns to write backwards, and translates what it never saw', async (t) => {
  const model = await create('transformer', 'Translator', { source_vocab: 10, target_vocab: 10, dropout: 0 });
  for (let i = 0; i < 600; i++) {
    const { source, target, y } = reversals(64, i);
    model.train_step(source, target, y);
  }
  const { source, y } = reversals(64, 9999);
  const [written] = call(model, 'translate', source, y);
  t.true(right(written!, y) > 0.95, `${right(written!, y)}`);
});

test('char_gru: a step at a time gives what the whole sequence gives', async (t) => {
  const model = await create('char_gru', 'CharGRU');
  const x = ints([3, 1, 4, 1, 5, 9, 2, 6], [2, 4]);
  const whole = values(call(model, 'forward', x)[0]!);
  let h = tensor(new Float32Array(2 * 64), { shape: [2, 64] }) as Tensor;
  for (let i = 0; i < 4; i++) {
    const ids = values(x);
    const [scores, next] = call(model, 'step', ints([ids[i]!, ids[4 + i]!], [2]), h);
    h = next!;
    const got = values(scores!);
    const want = [...whole.slice(28 * i, 28 * (i + 1)), ...whole.slice(28 * (4 + i), 28 * (5 + i))];
    // The same sums in another order: a few ulps of values of size 1.
    t.true(got.every((v, k) => Math.abs(v - want[k]!) < 1e-5));
  }
  const y = ints([1, 4, 1, 5, 9, 2, 6, 5], [2, 4]);
  const losses = Array.from({ length: 60 }, () => model.train_step(x, y).loss.readSync()[0]!);
  t.true(losses.at(-1)! < losses[0]! / 5, `${losses.at(-1)}`);
});

test('deep_birnn: padding is not read, and the class of a sequence is learnt', async (t) => {
  const model = await create('deep_birnn', 'SequenceClassifier', { dropout: 0 });
  const lengths = ints([3, 5], [2]);
  const one = values(call(model, 'forward', ints([1, 2, 3, 0, 0, 4, 5, 6, 7, 8], [2, 5]), lengths)[0]!);
  const other = values(call(model, 'forward', ints([1, 2, 3, 9, 9, 4, 5, 6, 7, 8], [2, 5]), lengths)[0]!);
  t.deepEqual(one, other);
  const y = ints([0, 3], [2]);
  const x = ints([1, 2, 3, 0, 0, 4, 5, 6, 7, 8], [2, 5]);
  const losses = Array.from({ length: 40 }, () => model.train_step(x, lengths, y).loss.readSync()[0]!);
  t.true(losses.at(-1)! < losses[0]! / 5, `${losses.at(-1)}`);
});

test('lora: what was loaded stays, starts as it was, and the corrections learn', async (t) => {
  const trained = await create('lora', 'Classifier', { hidden: 16 });
  const adapted = await create('lora', 'Adapted', { hidden: 16 });
  const renamed = new Map([...trained.state_dict()].map(([k, v]) => [k.replace(/^net\.(\d+)\./, 'net.$1.base.'), v]));
  const { missing_keys, unexpected_keys } = adapted.load_state_dict(renamed, { strict: false });
  t.deepEqual(unexpected_keys, []);
  t.true(missing_keys.every((k) => /\.[AB]$/.test(k)));
  const x = tensor(
    Float32Array.from({ length: 8 * 784 }, (_, i) => Math.sin(12.9898 * i)),
    { shape: [8, 784] },
  );
  t.deepEqual(values(call(adapted, 'forward', x)[0]!), values(call(trained, 'forward', x)[0]!));
  const y = ints([0, 1, 2, 3, 4, 5, 6, 7], [8]);
  const losses = Array.from({ length: 80 }, () => adapted.train_step(x, y).loss.readSync()[0]!);
  t.true(losses.at(-1)! < losses[0]! / 4, `${losses.at(-1)}`);
  for (const [k, v] of renamed) t.deepEqual(values(adapted.state_dict().get(k)!), values(v), k);
});

test('diffusion: samples lie where the points lay', async (t) => {
  const model = await create('diffusion', 'Diffusion');
  const next = numbers(7);
  // Two tight groups of points, at (1, 1) and (-1, -1).
  const batch = (): Tensor =>
    tensor(
      Float32Array.from({ length: 256 }, () => (next() < 0.5 ? 1 : -1)).reduce((all, side, i) => {
        all[2 * i] = side + 0.05 * (next() - 0.5);
        all[2 * i + 1] = side + 0.05 * (next() - 0.5);
        return all;
      }, new Float32Array(512)),
      { shape: [256, 2] },
    );
  for (let i = 0; i < 1500; i++) model.train_step(batch());
  const gauss = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const start = tensor(
    Float32Array.from({ length: 512 }, () => gauss()),
    { shape: [256, 2] },
  );
  const points = values(call(model, 'sample', start)[0]!);
  let near = 0;
  let positive = 0;
  for (let i = 0; i < 256; i++) {
    const [a, b] = [points[2 * i]!, points[2 * i + 1]!];
    if (Math.hypot(Math.abs(a) - 1, Math.abs(b) - 1) < 0.4 && a * b > 0) near++;
    if (a > 0) positive++;
  }
  t.true(near > 0.85 * 256, `${near} of 256 are near`);
  t.true(positive > 64 && positive < 192, `${positive} of 256 are in one group`);
});

test('char_gpt: with its cache it writes what the whole text read again would say, and it learns', async (t) => {
  const model = await create('char_gpt', 'CharGPT', { vocab: 16, context: 16, d: 32, depth: 2 });
  const song = Array.from({ length: 8 * 13 }, (_, i) => [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9][i % 13]!);
  const at = (from: number): Tensor => ints(song.slice(from, from + 8 * 12), [8, 12]);
  const losses = Array.from({ length: 300 }, () => model.train_step(at(0), at(1)).loss.readSync()[0]!);
  t.true(losses.at(-1)! < 0.5, `${losses.at(-1)}`);
  const prompt = [3, 1, 4, 1, 5, 9];
  const written = values(model.call('generate', [ints(prompt, [1, 6]), 8, tensor([0], { shape: [] })]) as Tensor);
  const again = [...prompt];
  while (again.length < written.length) {
    const scores = values(call(model, 'forward', ints(again, [1, again.length]))[0]!).slice(-16);
    again.push(scores.indexOf(Math.max(...scores)));
  }
  t.deepEqual(written, again);
  // It goes on with the song that it knows by heart.
  t.deepEqual(written.slice(0, 10), song.slice(0, 10));
});
