/** One op as a function of net IR, for tests that run a row through the interpreter, autodiff or a pass. */
import { IrBuilder, tensor, value } from '../../src/ir/builder.ts';
import type { Attrs, Func, Module, Op, Value } from '../../src/ir/ir.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';

export const typed = (x: NdArray): Value => value(tensor(x.elem, x.shape));

/** The op alone, on values of the inputs' types. */
export function opOn(kind: string, attrs: Attrs, inputs: readonly NdArray[]): { op: Op; params: readonly Value[] } {
  const b = new IrBuilder();
  const params = inputs.map(typed);
  b.emit(kind, params, attrs);
  return { op: b.ops[0]!, params };
}

export const func = (name: string, params: readonly Value[], ops: readonly Op[], results: readonly Value[]): Func => ({
  name,
  body: { params, ops, results },
  checks: [],
  origin: NO_ORIGIN,
});

export const moduleOf = (...funcs: Func[]): Module => ({ funcs: new Map(funcs.map((f) => [f.name, f])) });

/** A module with `main(inputs...) -> results` of one op. */
export function opModule(kind: string, attrs: Attrs, inputs: readonly NdArray[]): Module {
  const { op, params } = opOn(kind, attrs, inputs);
  return moduleOf(func('main', params, [op], op.results));
}
