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
