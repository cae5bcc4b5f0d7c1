/** Compares what a family's kernels compute with the float64 reference of the op, under the bound that theory gives. */
import type { KernelCall } from '../../src/codegen/call.ts';
import { IrBuilder } from '../../src/ir/builder.ts';
import * as D from '../../src/ir/dim.ts';
import type { Attrs, Value } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { ndarray } from '../../src/ir/ndarray.ts';
import { opDef } from '../../src/ir/ops/table.ts';
import { prepare, valueOf } from './run-kernels.ts';
import { numbers } from './sample-kernels.ts';

export interface Case {
  readonly kind: string;
  readonly shapes: readonly (readonly number[])[];
  readonly attrs: Attrs;
  /** Sizes written as symbols in the kernels (by name), to test what is known only at run time. */
  readonly symbolic?: (shape: readonly number[], operand: number | 'result') => readonly D.DimLike[];
  readonly symbols?: ReadonlyMap<string, number>;
  /** Products per result: each rounds, and each sum. */
  readonly terms: number;
  readonly data?: readonly Float32Array[];
}

export interface Comparison {
  /** The largest error as a fraction of its bound; at most 1 is correct. NaN and infinities must match exactly. */
  readonly worst: number;
  readonly got: Float32Array;
}

/** `calls` lowers the op: it is given the (possibly symbolic) operands and result. */
export function compare(
  c: Case,
  calls: (operands: readonly Value[], result: Value) => readonly KernelCall[],
  relaxed: boolean,
): Comparison {
  const data =
    c.data ??
    c.shapes.map((s, i) =>
      numbers(
        s.reduce((a, b) => a * b, 1),
        i + 1,
      ),
    );
  const want = reference(c, data);
  const sizes = reference(
    c,
    data.map((d) => d.map(Math.abs)),
  );
  const shaped = (shape: readonly number[], which: number | 'result'): Value =>
    valueOf('f32', ...(c.symbolic ? c.symbolic(shape, which) : shape));
  const operands = c.shapes.map(shaped);
  const result = shaped(want.shape, 'result');
  const out = new Float32Array(want.data.length).fill(NaN);
  const inputs = new Map([...operands.map((v, i) => [v, data[i]!] as const), [result, out] as const]);
  const run = prepare(calls(operands, result), inputs, c.symbols, relaxed);
  run.run();
  const got = run.read(result);
  let worst = 0;
  want.data.forEach((w, i) => {
    const g = got[i]!;
    if (!Number.isFinite(w)) {
      if (!Object.is(g, w)) worst = Infinity;
      return;
    }
    // Higham: the computed inner product differs by at most n u / (1 - n u) times the inner product of absolute values.
    const bound = (c.terms + 1) * 2 ** -24 * sizes.data[i]! + 2 ** -140;
    const error = Math.abs(g - w) / bound;
    if (!(error <= worst)) worst = Number.isNaN(error) ? Infinity : error;
  });
  return { worst, got };
}

function reference(c: Case, data: readonly Float32Array[]): NdArray {
  const b = new IrBuilder();
  const operands = c.shapes.map((s) => valueOf('f32', ...s));
  const result = b.one(c.kind, operands, c.attrs);
  const def = opDef(c.kind);
  if (typeof def.reference !== 'function') throw new Error(`${c.kind} has no reference of its own`);
  const shape = result.type.shape.map((d) => d.value!);
  const inputs = data.map((d, i) => ndarray('f32', c.shapes[i]!, d));
  return def.reference(inputs, b.ops[0]!, [{ elem: 'f32', shape }])[0]!;
}
