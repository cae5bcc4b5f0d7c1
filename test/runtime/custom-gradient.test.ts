/** Gradients that functions state: they are used instead of those that follow from the body, everywhere a function can stand. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import { tensor, type Model } from '../../src/runtime/index.ts';
import { check } from '../support/check.ts';

const SOURCE = `
/// Rounds; passes the gradient through.
fn straight(x: f32[...S]) -> f32[...S] => round(x)
grad (dy) => dy

/// A product whose gradients are stated as they are, from the result y = a * b too.
fn times(a: E[N, D], b: E[N, D]) -> E[N, D] { a * b }
grad (dy, y) {
  again = y / a
  (dy * again, dy * a)
}

fn both(x: f32[N], k: i32[], s: f32[]) -> (f32[N], f32[]) => (x * s, sum(x) + f32(k))
grad (da, db) => (da * 100.0 + db, sum(da))

export block Net() {
  param w: f32[2, 3] ~ constant(1.4)
  param s: f32[] ~ constant(2.0)

  through(x: f32[2, 3]) -> f32[] => sum(straight(x * w) * x)
  product(x: f32[2, 3]) -> f32[] => sum(times(w, x) * x)
  looped(x: f32[2, 3]) -> f32[] {
    y = x
    for t in 0..3 { y = times(y, w) }
    n = 0.0
    while n < 2.0 {
      y = times(w, y)
      n = n + 1.0
    }
    sum(y)
  }
  pair(x: f32[2, 3]) -> f32[] {
    (a, b) = both(w[0] + x[0], i32(3), s)
    sum(a) + 10.0 * b
  }
}
`;

const gradients = async (loss: string, x: readonly (readonly number[])[]): Promise<number[][]> => {
  const source = SOURCE.replace('through(x', `loss(x: f32[2, 3]) -> f32[] => ${loss}(x)\n  through(x`);
  const { blocks, diagnostics } = compile(source, { verify: true });
  if (diagnostics.length > 0) throw new Error(diagnostics.map((d) => d.message).join());
  const m: Model = await blocks['Net']!.create();
  m.backward(tensor(x.map((r) => [...r])));
  return Promise.all([...m.parameters()].map(async (p) => [...(await p.grad!.read())]));
};

const X = [
  [1, 2, 3],
  [4, 5, 6],
];
const near = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((v, i) => Math.abs(v - b[i]!) <= 1e-5 * Math.max(1, Math.abs(b[i]!)));

test('a rounding passes the gradient through', async (t) => {
  const [w] = await gradients('through', X);
  // d/dw of (x w as if not rounded) x
  t.true(
    near(
      w!,
      X.flat().map((x) => x * x),
    ),
    String(w),
  );
});

test('results are seen, and element types and sizes are generic', async (t) => {
  const [w] = await gradients('product', X);
  t.true(
    near(
      w!,
      X.flat().map((x) => x * x),
    ),
    String(w),
  );
});

test('in loops of both kinds', async (t) => {
  const [w] = await gradients('looped', X);
  t.true(
    near(
      w!,
      X.flat().map((x) => 5 * x * 1.4 ** 4),
    ),
    String(w),
  );
});

test('several results, and arguments without a gradient', async (t) => {
  const [w, s] = await gradients('pair', X);
  t.true(near(w!, [110, 110, 110, 0, 0, 0]), String(w));
  t.true(near(s!, [3]), String(s));
});

test('what is stated must fit', (t) => {
  const fault = (grad: string): readonly string[] =>
    check(`fn f(x: f32[N], s: f32[]) -> f32[N] => x * s
      grad ${grad}
      export block A { forward(x: f32[N], s: f32[]) -> f32[N] => f(x, s) }`).diagnostics;
  t.deepEqual(fault('(dy) => (dy, sum(dy))'), []);
  t.deepEqual(fault('(dy) => (dy, 0.0)'), []);
  t.regex(fault('(dy) => dy').join(), /NW3037.*is f32\[N\], and must be one value for each of the 2 float arguments/);
  t.regex(fault('(dy) => (dy, dy)').join(), /NW3037.*gives f32\[N\] for an argument of type f32\[\]/);
  t.regex(fault('(a, b, c) => (a, sum(a))').join(), /NW3037.*takes 3 arguments, and must take 1 or 2/);
});
