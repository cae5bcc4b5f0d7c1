/** Attention over sequences that are worked on by blocks of queries: beside PyTorch, and never with all scores in memory. */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { LONG } from '../../src/ir/ops/attention-blocks.ts';
import { plannedBytes } from '../../src/runtime/plan.ts';
import { liveTests, type LiveCase } from '../support/live.ts';

const [QUERIES, KEYS] = [600, 440];
/** 9 blocks of 64 queries and 24 more; the third query sees nothing. */
const seen = Array.from({ length: QUERIES * KEYS }, (_, i) => {
  const [query, key] = [Math.floor(i / KEYS), i % KEYS];
  return query !== 2 && (query * 7 + key * 3) % 5 !== 0 ? 1 : 0;
});

const attention = (net: string, torch: string, inputs: LiveCase['inputs']): LiveCase => ({
  net: `scaled_dot_product_attention(q, k, v${net})`,
  torch: `F.scaled_dot_product_attention(q, k, v${torch})`,
  inputs,
});
const long = { q: [2, QUERIES, 3], k: [2, KEYS, 3], v: [2, KEYS, 5] };

liveTests({
  long: attention('', '', long),
  'long: whole blocks': attention('', '', { q: [1, 512, 4], k: [1, 512, 4], v: [1, 512, 4] }),
  'long: causal, scale': attention(', is_causal: true, scale: 0.7', ', is_causal=True, scale=0.7', long),
  'long: mask of booleans, with a blind query': attention(', m', ', m', {
    ...long,
    m: { bool: seen, shape: [QUERIES, KEYS] },
  }),
  'long: mask for all queries': attention(', m', ', m', {
    ...long,
    m: { bool: seen.slice(0, 2 * KEYS), shape: [2, 1, KEYS] },
  }),
});

/** Working memory of a training step of attention over `length` tokens in 4 heads. */
function trainingBytes(length: number): number {
  const { artifacts, diagnostics } = compile(`
    import { Linear } from "std/nn"
    fn sqr(x) => x * x
    export block Net() {
      qkv = Linear(32, 96)
      loss(x: f32[1, ${length}, 32]) -> f32[] {
        heads = transpose(reshape(qkv(x), [1, ${length}, 3, 4, 8]), 1, 3)
        mean(sqr(scaled_dot_product_attention(heads[:, :, 0], heads[:, :, 1], heads[:, :, 2], is_causal: true)))
      }
      train { loss = loss; optimizer = SGD(lr: 0.1) }
    }`);
  const program = artifacts[0]?.programs.find((p) => p.name === 'train_step');
  if (!program) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return plannedBytes(program, new Map())!;
}

test('a training step over a long sequence has no room for all scores', (t) => {
  const length = 2048;
  t.true(length ** 2 >= LONG);
  const scores = 4 * 4 * length ** 2;
  t.true(trainingBytes(length) < scores / 4, `${trainingBytes(length)} bytes; the scores are ${scores}`);
});

test('twice the length takes about twice the memory, not four times', (t) => {
  t.true(trainingBytes(2048) < 2.5 * trainingBytes(1024));
});
