/** Parameters by block, as `summary` counts them. */
import test from 'ava';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { folder, netwright, ROOT } from '../support/cli.ts';

const COUNTS = `
import { Embedding, LayerNorm, Linear } from "std/nn"
block Layer(d: int) {
  norm = LayerNorm(d)
  mlp = seq { Linear(d, 2 * d); relu; Linear(2 * d, d) }
  forward(x: f32[...N, d]) -> f32[...N, d] => x + mlp(norm(x))
}
export block Counts(d: int = 8) {
  embed = Embedding(100, d)
  layers = [Layer(d), Layer(d)]
  let again = Linear(d, d)
  twice = seq { again; again }
  head = Linear(d, 100, bias: false)
  tie head.weight = embed.weight
  forward(x: i32[B]) -> f32[B, 100] {
    h = embed(x)
    for layer in layers { h = layer(h) }
    head(twice(h))
  }
  loss(x: i32[B], y: i32[B]) -> f32[] => cross_entropy(forward(x), y)
  train { loss = loss; optimizer = SGD(lr: 0.1); freeze layers.0.**; freeze layers.1.norm.** }
}
`;

test('summary counts the parameters of a layer and all below it, tied ones once, frozen ones apart', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'counts.net'), COUNTS);
  const r = await netwright(['summary', 'counts.net'], { cwd: dir });
  t.is(r.code, 0, r.err);
  const golden = join(ROOT, 'test', 'cases', 'cli', 'summary-counts.txt');
  const counts = `${r.out.split('\nFLOPs of')[0]}\n`;
  if (process.env['UPDATE']) writeFileSync(golden, counts);
  t.is(counts, readFileSync(golden, 'utf8'));
  t.true(Math.max(...r.out.split('\n').map((line) => line.length)) <= 80);
  const { rows } = JSON.parse((await netwright(['summary', 'counts.net', '--json'], { cwd: dir })).out) as {
    rows: { path: string; params: number; trainable: number }[];
  };
  const [norm, mlp] = [2 * 8, 8 * 16 + 16 + 16 * 8 + 8];
  const [embed, again] = [100 * 8, 8 * 8 + 8];
  const of = (path: string): [number, number] => {
    const { params, trainable } = rows.find((x) => x.path === path)!;
    return [params, trainable];
  };
  t.deepEqual(
    ['', 'embed', 'layers', 'layers.0', 'layers.1', 'layers.1.mlp', 'twice', 'twice.0', 'twice.1', 'head'].map(of),
    [
      [embed + 2 * (norm + mlp) + again, embed + mlp + again],
      [embed, embed],
      [2 * (norm + mlp), mlp],
      [norm + mlp, 0],
      [norm + mlp, mlp],
      [mlp, mlp],
      [again, again],
      [again, again],
      [0, 0],
      [0, 0],
    ],
  );
});

const DEEP = `
import { Linear } from "std/nn"
block Layer(n: int) {
  up = Linear(n, 4 * n)
  down = Linear(4 * n, n)
  forward(x: f32[B, n]) -> f32[B, n] => x + down(gelu(up(x)))
}
export block Deep() {
  layers = [for i in 0..4: Layer(16)]
  forward(x: f32[B, 16]) -> f32[B, 16] {
    y = x
    for l in layers { y = l(y) }
    y
  }
  loss(x: f32[B, 16]) -> f32[] => sum(forward(x))
  train { optimizer = SGD(lr: 0.1) }
}
`;

test('summary says what a step holds at its peak, and what checkpoints save', async (t) => {
  const dir = folder(t);
  interface Said {
    readonly planned: { name: string; bytes: number }[];
    readonly peak: { bytes: number; rows: { origin: string; kernel: string; tensors: number; bytes: number }[] };
    readonly withoutCheckpoints?: number;
  }
  const said = async (name: string, text: string): Promise<Said & { step: number }> => {
    writeFileSync(join(dir, name), text);
    const { out } = await netwright(['summary', name, '--dim', 'B=4096', '--peak', '--json'], { cwd: dir });
    const all = JSON.parse(out) as Said;
    return { ...all, step: all.planned.find((p) => p.name === 'train_step')!.bytes };
  };
  const plain = await said('deep.net', DEEP);
  const { peak } = plain;
  t.is(plain.withoutCheckpoints, undefined);
  // Nothing can be placed in less than what is alive at once.
  t.true(peak.bytes <= plain.step && peak.bytes > 0.9 * plain.step);
  t.is(
    peak.rows.reduce((sum, r) => sum + r.bytes, 0),
    peak.bytes,
  );
  // The inputs of gelu of all four layers: 4096 rows of 64 numbers each, made by line 4's product.
  const [largest] = peak.rows;
  t.deepEqual([largest!.tensors, largest!.bytes], [4, 4 * 4096 * 64 * 4]);
  t.regex(largest!.origin, /^deep\.net:4 .*up/);

  const less = await said('less.net', DEEP.replace('SGD(lr: 0.1)', 'SGD(lr: 0.1); checkpoint layers.*'));
  t.is(less.withoutCheckpoints, plain.step);
  t.true(less.step < 0.7 * plain.step);
  const { out } = await netwright(['summary', 'less.net', '--dim', 'B=4096', '--peak'], { cwd: dir });
  t.regex(out, /\nwithout its checkpoints +\d/);
  t.regex(out, /\nheld at the peak of train_step: \d.*\n +\d/);
});
