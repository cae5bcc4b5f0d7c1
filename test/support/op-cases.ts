/**
 * Inputs for every row of the op table, so that a new op is tested by what is derived from its row: shape rule and
 * gradient here, kernels of each target elsewhere. Elementwise rows get theirs from their signature; the others list shapes
 * and attributes below, and a row without a case fails `test/ops/table.test.ts`.
 */
import type { Attr, Attrs, ElemType } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { ndarray, sizeOf } from '../../src/ir/ndarray.ts';
import type { OpDef } from '../../src/ir/ops/def.ts';
import { elemsOf, withDefaults } from '../../src/ir/ops/define.ts';
import type { OpKind } from '../../src/ir/ops/table.ts';
import { OPS, opDef } from '../../src/ir/ops/table.ts';
import { randomBits } from '../../src/runtime/rng.ts';
import { listed } from './op-case-list.ts';

export interface OpCase {
  readonly name: string;
  readonly kind: string;
  /** Complete: defaults filled in. */
  readonly attrs: Attrs;
  /** f32 inputs hold numbers that f32 represents exactly. */
  readonly inputs: readonly NdArray[];
  /** No kinks, ties, poles or NaN near the inputs: central differences are meaningful. */
  readonly smooth: boolean;
}

/** A tensor of a listed case: a shape of floats, or more. */
export interface Sample {
  readonly shape: readonly number[];
  readonly elem?: ElemType;
  /** What to fill it with; uniform in [-2, 2) where absent. Integers are drawn from [range[0], range[1]). */
  readonly range?: readonly [number, number];
  readonly data?: readonly number[];
}

/** Uniform in a range, the same on every run; no two of the first thousand are equal, so extrema have no ties. */
export function sample(s: Sample, seed: number): NdArray {
  const elem = s.elem ?? 'f32';
  if (s.data) return ndarray(elem, s.shape, s.data.map(asF32(elem)));
  const [lo, hi] = s.range ?? (elem === 'bool' ? [0, 2] : elem === 'f32' ? [-2, 2] : [-9, 10]);
  const bits = randomBits([seed, 0x5eed], sizeOf(s.shape));
  const draw = (b: number): number => lo + ((hi - lo) * b) / 2 ** 32;
  return ndarray(
    elem,
    s.shape,
    Array.from(bits, (b) => (elem === 'f32' ? Math.fround(draw(b)) : wrapTo(elem, Math.floor(draw(b))))),
  );
}

const asF32 = (elem: ElemType) => (x: number) => (elem === 'f32' ? Math.fround(x) : x);
const wrapTo = (elem: ElemType, x: number): number => (elem === 'u32' ? x >>> 0 : x);

/** Every case of every row, control flow excepted. */
export function* opCases(): Iterable<OpCase> {
  for (const kind of Object.keys(OPS)) yield* casesOf(kind);
}

export function* casesOf(kind: string): Iterable<OpCase> {
  const row = opDef(kind);
  if (row.lower.kind === 'elementwise') yield* elementwiseCases(kind, row);
  let i = 0;
  for (const c of listed(kind)) {
    const inputs = c.inputs.map((s, k) => sample(s, 100 * i + k));
    yield {
      name: `${kind} ${c.name ?? shapes(inputs)}`,
      kind,
      attrs: withDefaults(row, c.attrs ?? {}),
      inputs,
      smooth: c.smooth ?? true,
    };
    i++;
  }
}

const shapes = (inputs: readonly NdArray[]): string => inputs.map((x) => `[${x.shape.join(',')}]`).join(' ');

/** Where elementwise functions are smooth and defined. */
const DOMAINS: Readonly<Partial<Record<OpKind, readonly (readonly [number, number])[]>>> = {
  log: [[0.1, 4]],
  log1p: [[-0.8, 4]],
  sqrt: [[0.1, 4]],
  rsqrt: [[0.1, 4]],
  div: [
    [-2, 2],
    [0.5, 3],
  ],
  rem: [
    [0.1, 0.9],
    [1, 2],
  ],
  pow: [
    [0.2, 2],
    [-2, 2],
  ],
};

/** Constant between integers, or not a function of floats at all: differences say nothing that the row does not. */
const STEPS = new Set<string>(['floor', 'ceil', 'round', 'trunc', 'sign', 'stop_gradient'] satisfies OpKind[]);

const FLOAT_EDGES = [
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  -2.5,
  2,
  3,
  1e-40,
  -1e-40,
  3e38,
  -3e38,
  88.8,
  -104,
  1e-20,
];
/** Quotients that fit a mantissa: the remainder of others is 0 in kernels and anything in float64. */
const REM_EDGES = FLOAT_EDGES.filter(
  (x) => !(Math.abs(x) > 1000 && Math.abs(x) < Infinity) && !(x !== 0 && Math.abs(x) < 1e-3),
);
const INT_EDGES = [0, 1, -1, 2, 3, -3, 7, 31, 32, 33, 0x7fffffff, -0x80000000, 0x7ffffffe, 12345];

/** Shapes of one, two and three operands: odd and even lengths around vector widths, broadcasting, nothing at all. */
const SHAPES: readonly (readonly (readonly number[])[])[] = [
  [[], [], []],
  [[1], [1], [1]],
  [[3], [3], [3]],
  [[17], [17], []],
  [[64], [], [64]],
  [[65], [65], [65]],
  [[2, 3, 4], [3, 4], [4]],
  [
    [3, 1],
    [1, 5],
    [3, 5],
  ],
  [
    [2, 1, 3],
    [4, 1],
    [1, 1, 1],
  ],
  [[0], [0], [0]],
  [
    [2, 0],
    [1, 1],
    [2, 0],
  ],
];

function* elementwiseCases(kind: string, row: OpDef): Iterable<OpCase> {
  const arity = row.operands.length;
  for (const [elem, attrs] of variants(kind, row)) {
    const elems = operandElems(kind, row, elem);
    const domain = Object.hasOwn(DOMAINS, kind)
      ? (DOMAINS as Record<string, readonly (readonly [number, number])[]>)[kind]
      : undefined;
    let i = 0;
    for (const shape of SHAPES) {
      const inputs = elems.map((e, k) =>
        sample(
          { shape: shape[k]!, elem: e, ...(e === 'f32' && domain ? { range: domain[k]! } : {}) },
          1000 + 10 * i + k,
        ),
      );
      const smooth = elem === 'f32' && !STEPS.has(kind);
      yield { name: `${kind} ${elem} ${shapes(inputs)}`, kind, attrs, inputs, smooth };
      i++;
    }
    yield { name: `${kind} ${elem} edges`, kind, attrs, inputs: edges(kind, elems, arity), smooth: false };
  }
}

/** Element types worth a run: one of each class, and for casts each target. */
function* variants(kind: string, row: OpDef): Iterable<[ElemType, Attrs]> {
  const taken = kind === 'select' ? (['f32', 'i32', 'bool'] as const) : elemsOf(row.operands[0]!, undefined);
  for (const elem of taken) {
    if (elem === 'f16' || elem === 'bf16') continue;
    if (row.attrs['elem'] === undefined) yield [elem, withDefaults(row, {})];
    else for (const to of ['f32', 'i32', 'u32', 'bool'] satisfies Attr[]) yield [elem, withDefaults(row, { elem: to })];
  }
}

function operandElems(kind: string, row: OpDef, elem: ElemType): readonly ElemType[] {
  return row.operands.map((_, i) => (kind === 'select' && i === 0 ? 'bool' : elem));
}

/** Each edge against each: for two operands the full square. */
function edges(kind: string, elems: readonly ElemType[], arity: number): readonly NdArray[] {
  const values = (e: ElemType): readonly number[] =>
    e === 'f32'
      ? kind === 'rem'
        ? REM_EDGES
        : FLOAT_EDGES
      : e === 'bool'
        ? [0, 1]
        : e === 'i32'
          ? INT_EDGES
          : INT_EDGES.map((x) => x >>> 0);
  return elems.map((e, k) => {
    const v = values(e);
    const shape = Array.from({ length: arity }, (_, axis) => (axis === k ? v.length : 1)).slice(k);
    return ndarray(e, shape, v.map(asF32(e)));
  });
}
