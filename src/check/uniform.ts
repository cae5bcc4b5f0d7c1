/**
 * Numbers that a run may change: hyper-parameters of an optimizer, and what is computed from them alone. They stay expressions, which
 * the runtime evaluates in double precision, so that `1.0 - betas.1` is rounded once; a step gets each as a scalar argument.
 */
import { value } from '../ir/builder.ts';
import type { Value } from '../ir/ir.ts';
import type { NumberExpr } from '../runtime/artifact.ts';
import { NUMBER_OPS, type NumberOp } from '../runtime/numbers.ts';
import { numberOf, tensorVal, type TensorVal, type Val } from './values.ts';

/** Those that a step has asked for, by their text. */
export type Uniforms = Map<string, { readonly expr: NumberExpr; readonly param: Value }>;

export const keyOfNumber = (e: NumberExpr): string => JSON.stringify(e);

/** The expression of a number known now or in a run; null for anything else. */
const exprOf = (v: Val): NumberExpr | null => (v.kind === 'uniform' ? v.expr : numberOf(v));

/** Arithmetic in which such a number takes part; null where it is not arithmetic of numbers alone. */
export function uniformOp(op: string, args: readonly Val[]): Val | null {
  if (!Object.hasOwn(NUMBER_OPS, op) || !args.some((a) => a.kind === 'uniform')) return null;
  const [a, b] = args.map(exprOf);
  if (a === undefined || a === null || b === null) return null;
  if (args.length !== NUMBER_OPS[op as NumberOp].length) return null;
  const expr: NumberExpr = b === undefined ? [op as NumberOp, a] : [op as NumberOp, a, b];
  return { kind: 'uniform', expr };
}

/** The scalar argument that holds it. Only steps of optimizers have such numbers, and only they hand them in. */
export function uniformArgument(uniforms: Uniforms, expr: NumberExpr): TensorVal {
  const key = keyOfNumber(expr);
  let u = uniforms.get(key);
  if (!u) {
    const hint = typeof expr === 'string' ? expr.replace('.', '_') : 'number';
    uniforms.set(key, (u = { expr, param: value({ elem: 'f32', shape: [] }, hint) }));
  }
  return tensorVal(u.param, null);
}
