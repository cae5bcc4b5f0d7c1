/** Every layer of std/nn with its options against PyTorch's: keys, outputs in both modes, running statistics, gradients. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { STDLIB } from '../../src/stdlib.generated.ts';
import { blocksIn, checkLayer, LAYER_CASES } from '../support/layer-cases.ts';

/**
 * Float32 rounds sums of a few dozen terms of size 1 to some 1e-7; the largest element of small outputs can be 0.1 and less,
 * so the scale alone would be too strict.
 */
const NOISE = 1e-7;

for (const c of LAYER_CASES) test(`${c.name}: ${c.net}`, (t) => checkLayer(t, c, 'cpu', NOISE));

test('every layer with parameters or options has a case', (t) => {
  const layers = [...STDLIB['std/nn']!.matchAll(/^export (?:block|fn) (\w+)/gm)].map((m) => m[1]!);
  const beside = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.test.ts'));
  const texts = beside.map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'));
  const covered = new Set([...LAYER_CASES.map((c) => c.net), ...texts].flatMap(blocksIn));
  t.deepEqual(
    layers.filter((l) => !covered.has(l)),
    [],
  );
});
