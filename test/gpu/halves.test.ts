/** f16 and bf16 on a GPU: two bytes in memory, arithmetic and sums in f32, one rounding at each store. */
import test from 'ava';
import { IrBuilder, value } from '../../src/ir/builder.ts';
import { dim } from '../../src/ir/dim.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { Module, Value } from '../../src/ir/ir.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { withDefaults } from '../../src/ir/ops/define.ts';
import { opDef } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { decode, encode } from '../../src/runtime/elem.ts';
import { absent } from '../support/absent.ts';
import { adapterDevice } from '../support/adapter.ts';
import { sample } from '../support/op-cases.ts';
import { func, moduleOf } from '../support/op-func.ts';
import { runOnGrid } from '../support/run-grid.ts';

const device = await adapterDevice();
if (!device) test('skipped: the package `webgpu` finds no adapter', absent);
const onAdapter = device ? test.serial : test.skip;

type Half = 'f16' | 'bf16';
/** Half the distance of neighbours, of a number. */
const HALF_ULP: Readonly<Record<Half, number>> = { f16: 2 ** -11, bf16: 2 ** -8 };

/** Numbers that the format has. */
function halves(elem: Half, seed: number, ...shape: number[]): NdArray {
  const { data } = sample({ shape }, seed);
  return ndarray(elem, shape, decode(encode(data, elem), elem));
}

const one = (b: IrBuilder, kind: string, operands: readonly Value[], attrs = {}): Value =>
  b.one(kind, operands, withDefaults(opDef(kind), attrs));

function moduleFor(inputs: readonly NdArray[], build: (b: IrBuilder, x: readonly Value[]) => readonly Value[]): Module {
  const b = new IrBuilder();
  const params = inputs.map((x) => value({ elem: x.elem, shape: x.shape.map(dim) }));
  return decompose(moduleOf(func('main', params, b.ops, build(b, params))));
}

for (const elem of ['f16', 'bf16'] as const) {
  onAdapter(`${elem}: sums, products and casts have the bits of the reference, fused or not`, async (t) => {
    // 7 x 33 elements: rows begin in the middle of a word.
    const inputs = [halves(elem, 1, 7, 33), halves(elem, 2, 7, 33), halves(elem, 3, 33)];
    const module = moduleFor(inputs, (b, [x, y, z]) => {
      const sum = one(b, 'add', [x!, y!]);
      const scaled = one(b, 'mul', [sum, z!]);
      return [sum, scaled, one(b, 'relu', [one(b, 'sub', [scaled, x!])]), one(b, 'cast', [scaled], { elem: 'f32' })];
    });
    // Each result is the exact one, rounded to the format once: f32 has twice its bits and two more.
    const rounded = (f: (i: number) => number): number[] => [
      ...decode(
        encode(
          Float64Array.from({ length: 7 * 33 }, (_, i) => f(i)),
          elem,
        ),
        elem,
      ),
    ];
    const [x, y, z] = inputs.map((v) => v.data) as [NdArray['data'], NdArray['data'], NdArray['data']];
    const sum = rounded((i) => x[i]! + y[i]!);
    const scaled = rounded((i) => sum[i]! * z[i % 33]!);
    const less = rounded((i) => scaled[i]! - x[i]!).map((v) => Math.max(v, 0));
    const want = [sum, scaled, less, scaled];
    for (const merge of [true, false]) {
      const got = await runOnGrid(device!, module, 'main', inputs, { merge });
      got.forEach((x, i) => t.deepEqual([...x.data], want[i], `result ${i}`));
    }
  });

  onAdapter(`${elem}: values past the largest, and the smallest, are rounded as anywhere`, async (t) => {
    const x = ndarray('f32', [8], [65519, 65520, -1e9, 3.4e38, 2 ** -25, 1.5 * 2 ** -25, -(2 ** -140), NaN]);
    const module = moduleFor([x], (b, [v]) => [one(b, 'cast', [v!], { elem })]);
    const [got] = await runOnGrid(device!, module, 'main', [x]);
    t.deepEqual([...got!.data], [...decode(encode(x.data, elem), elem)]);
  });

  for (const [m, k, n] of [
    [5, 300, 33],
    [70, 129, 65],
  ] as const)
    for (const [ta, tb] of [
      [false, false],
      [true, false],
      [false, true],
    ] as const)
      onAdapter(
        `${elem}: a product ${m} x ${k} x ${n}${ta ? ', left' : tb ? ', right' : ''}${ta || tb ? ' transposed' : ''}`,
        async (t) => {
          const inputs = [halves(elem, 1, ...(ta ? [k, m] : [m, k])), halves(elem, 2, ...(tb ? [n, k] : [k, n]))];
          const build = (b: IrBuilder, [x, y]: readonly Value[]): Value[] => [
            one(b, 'matmul', [x!, y!], { transpose_a: ta, transpose_b: tb }),
          ];
          const module = moduleFor(inputs, build);
          const exact = interpret(module, 'main', inputs)[0]!.data;
          const [got] = await runOnGrid(device!, module, 'main', inputs);
          // Products are exact in f32 (11 or 8 bits by as many); k sums lose at most k 2^-24 of the sum of sizes, here below 4 k.
          const lost = 4 * k * k * 2 ** -24;
          got!.data.forEach((v, i) => {
            const limit = HALF_ULP[elem] * Math.abs(exact[i]!) * 1.01 + lost + 2 ** -24;
            t.true(Math.abs(v - exact[i]!) <= limit, `element ${i}: ${v}, not ${exact[i]!}`);
          });
        },
      );

  onAdapter(`${elem}: sums are f32: 5000 ones are 5000, where the format itself stops at its bits`, async (t) => {
    const ones = (...shape: number[]): NdArray => ndarray(elem, shape, new Array<number>(5000).fill(1));
    const inputs = [ones(1, 5000), ones(5000, 1)];
    const module = moduleFor(inputs, (b, [x, y]) => [
      one(b, 'matmul', [x!, y!]),
      one(b, 'sum', [x!], { axes: [1] }),
      one(b, 'cumsum', [x!], { axis: 1 }),
    ]);
    const [product, sum] = await runOnGrid(device!, module, 'main', inputs);
    // The nearest of the format: 5000 itself, or the multiple of 32 next to it.
    const nearest = decode(encode([5000], elem), elem)[0];
    t.is(product!.data[0], nearest);
    t.is(sum!.data[0], nearest);
  });
}
