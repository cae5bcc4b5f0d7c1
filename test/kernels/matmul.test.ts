/** Matrix products against the float64 reference: all forms and sizes around the tiles' edges, batches, non-finite numbers. */
import type { Lasting } from '../../src/codegen/call.ts';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { add, load, max, mul } from '../../src/codegen/builder.ts';
import * as D from '../../src/ir/dim.ts';
import type { Value } from '../../src/ir/ir.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import { PAIRED_WASM, WASM } from '../../src/codegen/targets.ts';
import type { Epilogue, Source } from '../../src/runtime/kernels/epilogue.ts';
import { sourceOf, storeTo } from '../../src/runtime/kernels/epilogue.ts';
import { matmulCalls, matmulSpec } from '../../src/runtime/kernels/matmul.ts';
import type { Case } from '../support/parity.ts';
import { compare } from '../support/parity.ts';
import { argOf, prepare, valueOf } from '../support/run-kernels.ts';
import { numbers } from '../support/sample-kernels.ts';

const SIZES = [1, 3, 17, 64, 65];

const lower =
  (ta: boolean, tb: boolean, target = WASM, lasts: Lasting = null) =>
  ([a, b]: readonly Value[], result: Value) =>
    matmulCalls(
      matmulSpec(a!.type, b!.type, ta, tb),
      sourceOf(argOf(a!)),
      { ...sourceOf(argOf(b!)), lasts },
      storeTo(argOf(result)),
      target,
      [NO_ORIGIN],
    );

function check(t: ExecutionContext, c: Omit<Case, 'kind' | 'attrs'>, ta: boolean, tb: boolean, relaxed = true): void {
  const full: Case = { ...c, kind: 'matmul', attrs: { transpose_a: ta, transpose_b: tb } };
  for (const target of [WASM, PAIRED_WASM]) {
    const { worst } = compare(full, lower(ta, tb, target), relaxed);
    if (!(worst <= 1)) t.fail(`${c.shapes.map((s) => `[${s}]`).join(' x ')}: ${worst} times the bound`);
    // What packs the second operand first must not change a bit.
    for (const lasts of ['loop', 'always'] as const)
      t.is(compare(full, lower(ta, tb, target, lasts), relaxed).worst, worst);
  }
}

const matrix = (rows: number, cols: number, transposed: boolean): number[] =>
  transposed ? [cols, rows] : [rows, cols];

for (const ta of [false, true])
  for (const tb of [false, true]) {
    const form = `${ta ? 'T' : 'N'}${tb ? 'T' : 'N'}`;
    test(`${form}: sizes around the edges of tiles`, (t) => {
      for (const m of SIZES)
        for (const n of SIZES)
          for (const k of SIZES) check(t, { shapes: [matrix(m, k, ta), matrix(k, n, tb)], terms: k }, ta, tb);
      t.pass();
    });

    test(`${form}: several blocks, sizes known only at run time, plain SIMD`, (t) => {
      const [m, n, k] = [197, 261, 1030];
      const syms = [
        ['M', 'K'],
        ['K', 'N'],
      ].map(([r, c], i) => ((i === 0 ? ta : tb) ? [D.sym(c!), D.sym(r!)] : [D.sym(r!), D.sym(c!)]));
      const symbolic = (_: readonly number[], which: number | 'result') =>
        which === 'result' ? [D.sym('M'), D.sym('N')] : syms[which]!;
      const symbols = new Map([
        ['M', m],
        ['N', n],
        ['K', k],
      ]);
      for (const relaxed of [false, true])
        check(t, { shapes: [matrix(m, k, ta), matrix(k, n, tb)], terms: k, symbolic, symbols }, ta, tb, relaxed);
      t.pass();
    });

    test(`${form}: batches, repeated along missing and unit dims`, (t) => {
      const [m, n, k] = [7, 9, 5];
      const [a, b] = [matrix(m, k, ta), matrix(k, n, tb)];
      const batches: readonly (readonly [number[], number[]])[] = [
        [[4], [4]],
        [[4], []],
        [[], [4]],
        [
          [2, 3],
          [2, 3],
        ],
        [
          [2, 1],
          [1, 3],
        ],
        [[2, 3], [3]],
        [[1, 1], [2]],
      ];
      for (const [pa, pb] of batches)
        check(
          t,
          {
            shapes: [
              [...pa, ...a],
              [...pb, ...b],
            ],
            terms: k,
          },
          ta,
          tb,
        );
      t.pass();
    });
  }

test('one row that is known only at run time', (t) => {
  const symbolic = (shape: readonly number[], which: number | 'result') =>
    which === 1 ? shape : [D.sym('B'), ...shape.slice(1)];
  for (const [b, n, k] of [
    [1, 10, 84],
    [1, 35, 17],
    [2, 35, 17],
    [1, 1, 1],
  ] as const)
    for (const tb of [false, true]) {
      const symbols = new Map([['B', b]]);
      check(t, { shapes: [[b, k], matrix(k, n, tb)], terms: k, symbolic, symbols }, false, tb);
    }
  t.pass();
});

test('f16 operands compute what the same numbers in f32 do', (t) => {
  for (const [ta, tb] of [
    [false, false],
    [true, true],
  ] as const)
    for (const m of [1, 9]) {
      const [n, k] = [10, 23];
      const results = (['f32', 'f16'] as const).map((elem) => {
        const [a, b] = [valueOf(elem, ...matrix(m, k, ta)), valueOf(elem, ...matrix(k, n, tb))];
        const out = valueOf('f32', m, n);
        const spec = matmulSpec(a.type, b.type, ta, tb);
        const sources = [sourceOf(argOf(a), elem), sourceOf(argOf(b), elem)] as const;
        const calls = matmulCalls(spec, ...sources, storeTo(argOf(out)), WASM, [NO_ORIGIN]);
        const stored = (count: number, seed: number): Float32Array | Uint16Array => {
          const half = Float16Array.from(numbers(count, seed));
          return elem === 'f16' ? new Uint16Array(half.buffer) : Float32Array.from(half);
        };
        const run = prepare(
          calls,
          new Map([
            [a, stored(m * k, 1)],
            [b, stored(k * n, 2)],
          ]),
        );
        run.run();
        return run.read(out);
      });
      t.deepEqual(results[0], results[1]);
    }
});

test('an empty sum is zero, an empty result nothing', (t) => {
  const symbols = new Map([['K', 0]]);
  const symbolic = (shape: readonly number[], which: number | 'result') =>
    which === 0 ? [shape[0]!, D.sym('K')] : which === 1 ? [D.sym('K'), shape[1]!] : shape;
  for (const c of [
    {
      shapes: [
        [5, 0],
        [0, 9],
      ],
      terms: 0,
    },
    {
      shapes: [
        [5, 0],
        [0, 9],
      ],
      terms: 0,
      symbolic,
      symbols,
    },
    {
      shapes: [
        [0, 4],
        [4, 9],
      ],
      terms: 4,
    },
    {
      shapes: [
        [2, 4],
        [4, 0],
      ],
      terms: 4,
    },
    {
      shapes: [
        [1, 4],
        [4, 0],
      ],
      terms: 4,
    },
    {
      shapes: [
        [1, 0],
        [0, 4],
      ],
      terms: 0,
    },
  ])
    check(t, c, false, false);
  t.pass();
});

test('NaN and infinities reach exactly the results that depend on them', (t) => {
  for (const m of [1, 9]) {
    const [a, b] = [numbers(m * 11, 3), numbers(11 * 13, 4)];
    a[3] = NaN;
    b[5 * 13 + 12] = Infinity;
    b[2 * 13 + 1] = -Infinity;
    check(
      t,
      {
        shapes: [
          [m, 11],
          [11, 13],
        ],
        terms: 11,
        data: [a, b],
      },
      false,
      false,
    );
  }
  t.pass();
});

test('fused sources and epilogues see each element where it is', (t) => {
  const [m, n, k] = [13, 18, 21];
  const [a, b, bias, out] = [valueOf('f32', m, k), valueOf('f32', n, k), valueOf('f32', n), valueOf('f32', m, n)];
  // x -> 2x in front; y -> max(y + bias[col] + row, 0) behind.
  const doubled: Source = {
    args: [argOf(a)],
    plain: false,
    bind: (kb) => {
      const buf = kb.buffer('a', 'f32');
      return (_k, index, lanes) => mul(load(buf, index, lanes), 2);
    },
  };
  const epilogue: Epilogue = {
    args: [argOf(bias), argOf(out)],
    bind: (kb) => {
      const [bb, bo] = [kb.buffer('bias', 'f32'), kb.buffer('out', 'f32', 'write')];
      return (body, tile) => {
        const row = { k: 'cast', a: tile.row, type: { elem: 'f32', lanes: 1 } } as const;
        const sum = add(add(tile.acc, load(bb, tile.col, tile.acc.type.lanes)), row);
        body.store(bo, tile.flat, max(sum, 0));
      };
    },
  };
  const spec = matmulSpec(a.type, b.type, false, true);
  const calls = matmulCalls(spec, doubled, sourceOf(argOf(b)), epilogue, WASM, [NO_ORIGIN]);
  const [da, db, dbias] = [numbers(m * k, 1), numbers(n * k, 2), numbers(n, 3)];
  const run = prepare(
    calls,
    new Map([
      [a, da],
      [b, db],
      [bias, dbias],
    ]),
  );
  run.run();
  const got = run.read(out);
  for (let r = 0; r < m; r++)
    for (let c = 0; c < n; c++) {
      let sum = 0;
      for (let p = 0; p < k; p++) sum += 2 * da[r * k + p]! * db[c * k + p]!;
      const want = Math.max(sum + dbias[c]! + r, 0);
      t.true(Math.abs(got[r * n + c]! - want) < 1e-5, `${r}, ${c}: ${got[r * n + c]}, not ${want}`);
    }
});
