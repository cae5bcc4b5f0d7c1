/** Schedules that small inputs do not reach: long rows shared by workgroups, large tiles, shared sums, 16-bit storage, sizes known at run time. */
import test from 'ava';
import { absent } from '../support/absent.ts';
import { IrBuilder, value } from '../../src/ir/builder.ts';
import { type DimLike, dim, sym } from '../../src/ir/dim.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { Attrs, ElemType, Module } from '../../src/ir/ir.ts';
import { withDefaults } from '../../src/ir/ops/define.ts';
import { opDef } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { adapterDevice } from '../support/adapter.ts';
import { close } from '../support/close.ts';
import { sample, type Sample } from '../support/op-cases.ts';
import { func, moduleOf, opModule } from '../support/op-func.ts';
import { runOnGrid } from '../support/run-grid.ts';

const device = await adapterDevice();
if (!device) test('skipped: the package `webgpu` finds no adapter', absent);
const onAdapter = device ? test.serial : test.skip;

/** Sums of thousands of terms near 1 differ by some roundings of the total. */
const SUMS = 2e-5;

interface Case {
  readonly kind: string;
  readonly attrs?: Attrs;
  readonly inputs: readonly Sample[];
  /** Sizes by operand that are symbols; absent: all are known. */
  readonly symbols?: readonly (readonly DimLike[])[];
}

const x = (...shape: number[]): Sample => ({ shape });

function moduleFor(c: Case, attrs: Attrs): Module {
  const inputs = c.inputs.map((s, i) => sample(s, 7 + i));
  if (!c.symbols) return opModule(c.kind, attrs, inputs);
  const b = new IrBuilder();
  const params = inputs.map((n, i) => value({ elem: n.elem, shape: c.symbols![i]!.map(dim) }));
  const results = b.emit(c.kind, params, attrs);
  return moduleOf(func('main', params, b.ops, results));
}

function check(name: string, c: Case): void {
  onAdapter(name, async (t) => {
    const attrs = withDefaults(opDef(c.kind), c.attrs ?? {});
    const inputs = c.inputs.map((s, i) => sample(s, 7 + i));
    const module = moduleFor(c, attrs);
    const wanted = interpret(module, 'main', inputs);
    const got = await runOnGrid(device!, decompose(module), 'main', inputs);
    wanted.forEach((w, i) => t.is(close(got[i]!, w, SUMS), null, `result ${i}`));
  });
}

const [B, H, W] = [sym('B'), sym('H'), sym('W')];

check('one long row is shared by workgroups', { kind: 'sum', attrs: { axes: [0] }, inputs: [x(70001)] });
check('few long rows, one of them the longest', { kind: 'max', attrs: { axes: [1] }, inputs: [x(3, 40000)] });
check('the place of the largest in a long row', { kind: 'argmax', attrs: { axis: 1 }, inputs: [x(2, 50000)] });
check('softmax of long rows: three passes', { kind: 'softmax', attrs: { axis: 1 }, inputs: [x(2, 33000)] });
check('moments of long columns', { kind: 'moments', attrs: { axes: [0, 2] }, inputs: [x(40, 3, 1000)] });
check('sums down columns', { kind: 'sum', attrs: { axes: [0] }, inputs: [x(1000, 70)] });
check('long sums down a few columns', { kind: 'sum', attrs: { axes: [0] }, inputs: [x(30000, 5)] });
check('rows of a length known at run time', {
  kind: 'softmax',
  attrs: { axis: 1 },
  inputs: [x(5, 700)],
  symbols: [[B, W]],
});
check('columns of a length known at run time', {
  kind: 'sum',
  attrs: { axes: [0] },
  inputs: [x(700, 37)],
  symbols: [[B, dim(37)]],
});
check('a batch known at run time, reduced with its images', {
  kind: 'sum',
  attrs: { axes: [0, 2, 3] },
  inputs: [x(9, 4, 28, 28)],
  symbols: [[B, dim(4), dim(28), dim(28)]],
});

for (const [m, k, n] of [
  [1, 300, 40],
  [70, 33, 129],
  [17, 5000, 9],
  [65, 1, 16],
  [1040, 20, 1030],
] as const) {
  for (const [ta, tb] of [
    [false, false],
    [true, false],
    [false, true],
  ] as const)
    check(`matmul ${m} x ${k} x ${n}${ta ? ', left transposed' : ''}${tb ? ', right transposed' : ''}`, {
      kind: 'matmul',
      attrs: { transpose_a: ta, transpose_b: tb },
      inputs: [ta ? x(k, m) : x(m, k), tb ? x(n, k) : x(k, n)],
    });
}
check('matmul of sizes known at run time', {
  kind: 'matmul',
  inputs: [x(3, 50, 20), x(3, 20, 70)],
  symbols: [
    [B, H, W],
    [B, W, sym('N')],
  ],
});

const conv = { stride: [2, 1], padding: [1, 2, 0, 1], dilation: [1, 2], groups: 2 };
const [image, weight, output] = [x(5, 4, 20, 18), x(6, 2, 3, 3), x(5, 6, 11, 15)];
const images: readonly DimLike[] = [B, 4, 20, 18];
const outputs: readonly DimLike[] = [B, 6, 11, 15];
for (const symbolic of [false, true]) {
  const sized = symbolic ? ', a batch known at run time' : '';
  const b = symbolic ? B : dim(5);
  check(`convolution${sized}`, {
    kind: 'conv2d',
    attrs: conv,
    inputs: [image, weight],
    ...(symbolic && { symbols: [images, [6, 2, 3, 3]] }),
  });
  check(`its gradient by the input${sized}`, {
    kind: 'conv2d_input_grad',
    attrs: { ...conv, input: [dim(20), dim(18)] },
    inputs: [output, weight],
    ...(symbolic && { symbols: [outputs, [6, 2, 3, 3]] }),
  });
  check(`its gradient by the weight${sized}`, {
    kind: 'conv2d_weight_grad',
    attrs: { ...conv, kernel: [3, 3] },
    inputs: [image, output],
    ...(symbolic && { symbols: [[b, 4, 20, 18], outputs] }),
  });
}

check('a table of many rows gathers equal indices in order', {
  kind: 'scatter_add',
  attrs: { size: dim(11), axis: 0 },
  inputs: [{ shape: [400], elem: 'i32', range: [-2, 13] }, x(400, 33)],
});
check('slices are added to a tensor in the order of equal indices', {
  kind: 'index_add',
  attrs: { axis: 1 },
  inputs: [x(3, 11, 9), { shape: [200], elem: 'i32', range: [-2, 13] }, x(3, 200, 9)],
});
check('one slice of many elements is replaced', {
  kind: 'put',
  attrs: { axis: 1 },
  inputs: [x(40, 5, 70), { shape: [], elem: 'i32', range: [2, 3] }, x(40, 70)],
});
check('more rows than a dimension of the grid has workgroups', {
  kind: 'sum',
  attrs: { axes: [1] },
  inputs: [x(70000, 33)],
});

for (const elem of ['f16', 'bf16'] satisfies ElemType[]) {
  onAdapter(`${elem} is stored by neighbours that share a word`, async (t) => {
    const b = new IrBuilder();
    const input = sample(x(7, 129), 3);
    const p = value({ elem: 'f32', shape: [dim(7), dim(129)] });
    const [half] = b.emit('cast', [p], { elem });
    const [total] = b.emit('sum', [half!], withDefaults(opDef('sum'), { axes: [0] }));
    const module = moduleOf(func('main', [p], b.ops, [half!, total!]));
    for (const merge of [true, false]) {
      const got = await runOnGrid(device!, module, 'main', [input], { merge });
      const wanted = interpret(module, 'main', [input]);
      wanted.forEach((w, i) => t.is(close(got[i]!, w, elem === 'f16' ? 1e-3 : 8e-3), null, `result ${i}`));
    }
  });
}
