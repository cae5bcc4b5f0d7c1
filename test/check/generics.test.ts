/** Functions over any sizes and element types: what one call binds, what must agree, what the body may do with it. */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { tensor, type Tensor } from '../../src/runtime/index.ts';
import { check } from '../support/check.ts';

const ELEMS = ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'] as const;

test('one function serves every element type and rank', async (t) => {
  const methods = ELEMS.map((e) => `m_${e}(x: ${e}[2, 3], y: ${e}[N]) => (turned(x), turned(y), doubled(y))`);
  const { blocks, diagnostics } = compile(`
    fn turned(x: E[...S]) -> E[...S] => flip(x, [len(S) - 1])
    fn doubled(x: E[N]) -> E[2 * N] => cat([x, x])
    export block A { ${methods.join('\n')} }`);
  t.deepEqual(diagnostics, []);
  const model = await blocks['A']!.create();
  for (const e of ELEMS) {
    const x = tensor([1, 0, 1, 0, 0, 1], { dtype: e, shape: [2, 3] });
    const y = tensor([1, 0, 0], { dtype: e });
    const made = model.call(`m_${e}`, [x, y]) as readonly Tensor[];
    t.deepEqual(made.map((r) => r.dtype), [e, e, e]); // prettier-ignore
    t.deepEqual(made.map((r) => [...r.readSync()]), [[1, 0, 1, 1, 0, 0], [0, 0, 1], [1, 0, 0, 1, 0, 0]]); // prettier-ignore
  }
});

test('functions, lists, tuples and casts are generic too', async (t) => {
  const { blocks, diagnostics } = compile(`
    fn twice(f: (E[...S]) -> E[...S], x: E[...S]) -> E[...S] => f(f(x))
    fn more(x: E[...S]) -> E[...S] => x + 1
    fn first(p: (E[N], F[N])) -> E[N] => p.0
    fn total(xs: [E[N]]) -> E[N] => xs[0] + xs[1]
    fn truncated(x: E[...S]) -> E[...S] => E(i32(x))
    fn inner(y: f32[...T], x: f32[...S, ...T]) -> f32[...S] => sum(x * y, [for a in 0..len(T): len(S) + a])
    export block A {
      f(x: i32[2], y: f32[3, 1]) => (twice(more, x), twice(more, y))
      g(x: i32[2], y: f32[2]) => (first((x, y)), first((y, x)), total([x, x]), truncated(y))
      h(x: f32[2, 2, 3], y: f32[2, 3]) -> f32[2] => inner(y, x)
    }`);
  t.deepEqual(diagnostics, []);
  const model = await blocks['A']!.create();
  const values = (made: unknown): number[][] => (made as readonly Tensor[]).map((r) => [...r.readSync()]);
  const x = tensor(Int32Array.of(1, -2));
  t.deepEqual(values(model.call('f', [x, tensor([[1.5], [2], [3]])])), [[3, 0], [3.5, 4, 5]]); // prettier-ignore
  t.deepEqual(values(model.call('g', [x, tensor([1.5, -2.5])])), [[1, -2], [1.5, -2.5], [2, -4], [1, -2]]); // prettier-ignore
  const twelve = tensor(Array.from({ length: 12 }, (_, i) => i), { shape: [2, 2, 3] }); // prettier-ignore
  t.deepEqual(values([model.call('h', [twelve, tensor([[1, 1, 1], [0, 0, 2]])])]), [[0 + 1 + 2 + 2 * 5, 6 + 7 + 8 + 2 * 11]]); // prettier-ignore
});

const REFUSED: readonly (readonly [what: string, fn: string, call: string, message: RegExp])[] = [
  ['one element type', 'f(a: E[...S], b: E[...S]) => a + b', 'f(x, i)', /^NW3004 `b` of `f` must hold f32/],
  ['also where ranks differ', 'f(a: E[...S], b: E[...T]) => a', 'f(x, i)', /^NW3004 `b` of `f` must hold f32/],
  ['one size', 'f(a: f32[N, M], b: f32[M, K]) => a @ b', 'f(x, x)', /^NW3002 .* dim 0 must be `M` = 3, but is 2/],
  ['sizes in lists', 'f(xs: [f32[...S]]) => xs[0]', 'f([x, y])', /^NW30\d\d item 1 of `xs`/],
  ['the stated result', 'f(a: E[N, M]) -> E[M] => a[:, 0]', 'f(x)', /^NW3002 the result of `f`/],
  ['its element type', 'f(a: E[...S]) -> i32[...S] => a', 'f(x)', /^NW3004 the result of `f` must hold i32/],
  ['what an op takes', 'f(a: E[...S]) => exp(a)', 'f(i)', /^NW3015 `exp`: `x` must hold floats/],
  ['numbers of the type', 'f(a: E[...S]) => a * 2.5', 'f(i)', /^NW3001 this number must be an integer/],
  ['two spreads', 'f(a: f32[...S, ...T], b: f32[...T]) => sum(a)', 'f(x, x)', /^NW3070 `a` of `f` is declared/],
  [
    'a size nobody names',
    'f(a: f32[2 * N]) -> f32[N] => narrow(a, 0, 0, N)',
    'f(y)',
    /^NW3011 .* nothing says what N is/,
  ],
];

for (const [what, fn, call, message] of REFUSED) {
  test(`what must agree: ${what}`, (t) => {
    const source = `fn ${fn}\nexport block A { m(x: f32[2, 3], y: f32[4], i: i32[2, 3]) => ${call} }`;
    const { diagnostics } = check(source);
    t.is(diagnostics.length, 1, diagnostics.join('\n'));
    t.regex(diagnostics[0]!, message);
  });
}
