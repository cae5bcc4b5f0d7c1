/** Slices with negative steps, of tensors and of lists: the numbers are those of Python's and NumPy's slices. */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { tensor, type Tensor } from '../../src/runtime/index.ts';
import { check } from '../support/check.ts';

const SLICES: readonly (readonly [string, readonly number[]])[] = [
  ['::-1', [6, 5, 4, 3, 2, 1, 0]],
  ['::-2', [6, 4, 2, 0]],
  ['5:1:-1', [5, 4, 3, 2]],
  ['-2::-3', [5, 2]],
  ['2::-1', [2, 1, 0]],
  [':2:-1', [6, 5, 4, 3]],
  ['4:3:-1', [4]],
];

type Method = (x: Tensor) => Tensor;

for (const [slice, want] of SLICES) {
  test(`[${slice}] of a tensor and of a list`, async (t) => {
    // The digits of `list` are the items in their order.
    const { blocks, diagnostics } = compile(`
      export block A {
        fixed(x: f32[2, 7]) => x[1, ${slice}]
        symbolic(x: f32[2, T]) => x[1, ${slice}]
        list(x: f32[]) -> f32[] {
          for i in [for i in 0..7: i][${slice}] { x = x * 10.0 + float(i) }
          x
        }
      }`);
    t.deepEqual(diagnostics, []);
    const model = (await blocks['A']!.create()) as unknown as Record<'fixed' | 'symbolic' | 'list', Method>;
    const x = tensor([
      [9, 9, 9, 9, 9, 9, 9],
      [0, 1, 2, 3, 4, 5, 6],
    ]);
    t.deepEqual([...(await model.fixed(x).read())], [...want]);
    t.deepEqual([...(await model.symbolic(x).read())], [...want]);
    t.deepEqual([...(await model.list(tensor(0)).read())], [Number(want.join(''))]);
  });
}

test('a reversed slice stays inside too', (t) => {
  const { diagnostics } = check('export block A { forward(x: f32[4]) => x[4::-1] }');
  t.deepEqual(
    diagnostics.map((d) => d.slice(0, 6)),
    ['NW3031'],
  );
});

/** Python's rule, for steps of either sign: where it begins, where it ends, what lies between. */
function taken(n: number, start: number | null, stop: number | null, step: number): number[] {
  const place = (i: number): number => (i < 0 ? i + n : i);
  const from = start === null ? (step > 0 ? 0 : n - 1) : place(start);
  const to = stop === null ? (step > 0 ? n : -1) : place(stop);
  const out: number[] = [];
  for (let i = from; step > 0 ? i < to : i > to; i += step) out.push(i);
  return out;
}

test('every slice that lies inside, at both ends, with steps of both signs', async (t) => {
  const N = 5;
  const ends = [null, ...Array.from({ length: 2 * N + 1 }, (_, i) => i - N)];
  const cases = [1, 2, 3, -1, -2].flatMap((step) =>
    ends.flatMap((start) =>
      ends.flatMap((stop) => {
        const want = taken(N, start, stop, step);
        // What would begin outside or have nothing in it is refused or empty; both are elsewhere.
        const inside = want.length > 0 && want.every((i) => i >= 0 && i < N);
        return inside ? [{ text: `${start ?? ''}:${stop ?? ''}${step === 1 ? '' : `:${step}`}`, want }] : [];
      }),
    ),
  );
  t.true(cases.length > 150);
  const methods = cases.map((c, i) => `f${i}(x: f32[2, ${N}, 3]) => x[..., ${c.text}, 1]`);
  const { blocks, diagnostics } = compile(`export block A {\n${methods.join('\n')}\n}`);
  t.deepEqual(
    diagnostics.map((d) => d.message),
    [],
  );
  const model = await blocks['A']!.create();
  const x = tensor(
    Array.from({ length: 2 * N * 3 }, (_, i) => i),
    { shape: [2, N, 3] },
  );
  for (const [i, { text, want }] of cases.entries()) {
    const got = [...(model.call(`f${i}`, [x]) as Tensor).readSync()];
    t.deepEqual(
      got,
      [0, 1].flatMap((row) => want.map((k) => (row * N + k) * 3 + 1)),
      text,
    );
  }
});
