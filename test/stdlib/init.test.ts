/** Initialisers: their distributions, what keys their draws, and the parameters that layers start with. */
import test, { type ExecutionContext } from 'ava';
import { elaborated } from '../support/elaborated.ts';
import { Interpreted } from '../support/interpreted.ts';

function draw(body: string, name = 'w'): Float64Array {
  const model = new Interpreted(elaborated(`import { Linear } from "std/nn"\n\nexport block M() {\n${body}\n}\n`));
  model.run('init', new Map());
  return model.read(name);
}

const mean = (x: Float64Array): number => x.reduce((a, b) => a + b, 0) / x.length;
function std(x: Float64Array): number {
  const m = mean(x);
  return Math.sqrt(mean(x.map((v) => (v - m) ** 2)));
}

const N = 20_000;
/** Mean and deviation of N draws are off by a few times sigma / sqrt(N) = 0.007 sigma: 0.03 is four of them, for a fixed seed. */
const SLACK = 0.03;

function uniform(t: ExecutionContext, x: Float64Array, a: number, b: number): void {
  t.true(x.every((v) => v >= a && v < b));
  const sigma = (b - a) / Math.sqrt(12);
  t.true(Math.abs(mean(x) - (a + b) / 2) < SLACK * sigma, `mean ${mean(x)}`);
  t.true(Math.abs(std(x) - sigma) < SLACK * sigma, `deviation ${std(x)}`);
}

function normal(t: ExecutionContext, x: Float64Array, mu: number, sigma: number): void {
  t.true(Math.abs(mean(x) - mu) < SLACK * sigma, `mean ${mean(x)}`);
  t.true(Math.abs(std(x) - sigma) < SLACK * sigma, `deviation ${std(x)}`);
  const within = x.filter((v) => Math.abs(v - mu) < sigma).length / x.length;
  t.true(Math.abs(within - 0.6827) < SLACK, `${within} of the draws lie within one deviation`);
}

const square = (rule: string): Float64Array => draw(`  param w: f32[100, 200] ~ ${rule}`);

test('zeros, ones, constant and numbers', (t) => {
  t.deepEqual([...draw('  param w: f32[3] ~ zeros()')], [0, 0, 0]);
  t.deepEqual([...draw('  param w: f32[3] ~ ones()')], [1, 1, 1]);
  t.deepEqual([...draw('  param w: f32[3] ~ constant(0.5)')], [0.5, 0.5, 0.5]);
  t.deepEqual([...draw('  param w: f32[3] ~ 0.25')], [0.25, 0.25, 0.25]);
});

test('eye and dirac', (t) => {
  t.deepEqual([...draw('  param w: f32[2, 3] ~ eye()')], [1, 0, 0, 0, 1, 0]);
  const kernels = draw('  param w: f32[2, 2, 3, 3] ~ dirac()');
  t.deepEqual(
    [...kernels].flatMap((v, i) => (v === 1 ? [i] : [])),
    [4, 9 * 3 + 4],
  );
});

test('dirac for kernels of any rank, and groups', (t) => {
  const line = draw('  param w: f32[4, 2, 3] ~ dirac(groups: 2)');
  t.deepEqual(
    [...line].flatMap((v, i) => (v === 1 ? [i] : [])),
    [1, 6 + 3 + 1, 12 + 1, 18 + 3 + 1],
  );
  const volume = draw('  param w: f32[1, 2, 3, 3, 3] ~ dirac()');
  t.deepEqual(
    [...volume].flatMap((v, i) => (v === 1 ? [i] : [])),
    [13],
  );
});

test('orthogonal: rows, or columns where they are fewer, are orthonormal times the gain', (t) => {
  for (const [shape, rows, columns] of [
    ['5, 3, 4', 5, 12],
    ['12, 5', 12, 5],
    ['6, 6', 6, 6],
  ] as const) {
    const w = draw(`  param w: f32[${shape}] ~ orthogonal(gain: 2.0)`);
    const at = (i: number, k: number): number => (rows <= columns ? w[i * columns + k]! : w[k * columns + i]!);
    const [n, m] = rows <= columns ? [rows, columns] : [columns, rows];
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        let product = 0;
        for (let k = 0; k < m; k++) product += at(i, k) * at(j, k);
        // The interpreter computes in float64.
        t.true(Math.abs(product - (i === j ? 4 : 0)) < 1e-9, `${shape}: rows ${i} and ${j}`);
      }
  }
});

test('sparse: the share of each column is zero, rounded up', (t) => {
  const w = draw('  param w: f32[25, 40] ~ sparse(0.33, std: 2.0)');
  for (let column = 0; column < 40; column++)
    t.is(Array.from({ length: 25 }, (_, row) => w[row * 40 + column]).filter((v) => v === 0).length, 9);
  t.true(Math.abs(std(w.filter((v) => v !== 0)) - 2) < 0.25);
});

test('uniform and normal', (t) => {
  uniform(t, draw(`  param w: f32[${N}] ~ uniform(-2.0, 3.0)`), -2, 3);
  normal(t, draw(`  param w: f32[${N}] ~ normal(1.0, 0.5)`), 1, 0.5);
});

test('trunc_normal stays inside and keeps the shape of the distribution', (t) => {
  const x = draw(`  param w: f32[${N}] ~ trunc_normal(0.0, 1.0, -1.0, 1.0)`);
  t.true(x.every((v) => v >= -1 && v <= 1));
  // The deviation of a standard normal within one deviation is 0.53956.
  t.true(Math.abs(std(x) - 0.5396) < SLACK);
  t.true(Math.abs(mean(x)) < SLACK);
});

test('xavier and kaiming', (t) => {
  const glorot = Math.sqrt(6 / 300);
  uniform(t, square('xavier_uniform()'), -glorot, glorot);
  normal(t, square('xavier_normal(gain: 2.0)'), 0, 2 * Math.sqrt(2 / 300));
  const he = Math.sqrt(2) * Math.sqrt(3 / 200);
  uniform(t, square('kaiming_uniform()'), -he, he);
  normal(t, square('kaiming_normal(mode: "fan_out", nonlinearity: "relu")'), 0, Math.sqrt(2 / 100));
});

test("Linear starts as PyTorch's", (t) => {
  const body = '  net = Linear(100, 200)\n  forward(x: f32[B, 100]) -> f32[B, 200] => net(x)';
  uniform(t, draw(body, 'net.weight'), -0.1, 0.1);
  const bias = draw(body, 'net.bias');
  t.true(bias.every((v) => Math.abs(v) <= 0.1) && std(bias) > 0.04);
});

test('a draw depends on the path of its tensor alone', (t) => {
  const before = draw('  a = Linear(3, 3)\n  w = Linear(2, 2)', 'w.weight');
  const after = draw('  first = Linear(5, 5)\n  a = Linear(4, 3)\n  w = Linear(2, 2)', 'w.weight');
  t.deepEqual(after, before);
  t.notDeepEqual(draw('  v = Linear(2, 2)', 'v.weight'), before);
});

test('a shared layer draws under its own name, however often it is used', (t) => {
  const body = (uses: string): string =>
    `  let shared = Linear(3, 3)\n  net = seq { Linear(3, 3); ${uses} }\n  forward(x: f32[B, 3]) -> f32[B, 3] => net(x)`;
  t.deepEqual(draw(body('shared'), 'net.1.weight'), draw(body('shared; relu; shared'), 'net.3.weight'));
});

test("a user's own initialiser is a peer", (t) => {
  const source = `
fn mine(a: float) -> f32[...S] {
  w = uniform(-a, a)
  where(abs(w) >= a / 2.0, w, 0.0)
}

export block M() { param w: f32[${N}] ~ mine(10.0) }
`;
  const model = new Interpreted(elaborated(source));
  model.run('init', new Map());
  const x = model.read('w');
  t.true(x.every((v) => v === 0 || (Math.abs(v) >= 5 && Math.abs(v) < 10)));
  t.true(Math.abs(x.filter((v) => v === 0).length / N - 0.5) < SLACK);
});
