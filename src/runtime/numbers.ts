/** Numbers made of an optimizer's hyper-parameters, such as 1 - betas.1: in double precision, rounded once when a program gets them. */
import type { NumberExpr } from './artifact.ts';

type Operation = (a: number, b: number) => number;

/** Real functions of one number, whose results are floats. */
export const REAL_OPS = {
  sqrt: Math.sqrt,
  rsqrt: (a) => 1 / Math.sqrt(a),
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
} as const satisfies Readonly<Record<string, (a: number) => number>>;

/** `%` has the sign of the divisor, as in the language. */
export const NUMBER_OPS = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a - Math.floor(a / b) * b,
  pow: Math.pow,
  min: Math.min,
  max: Math.max,
  neg: (a) => -a,
  abs: Math.abs,
  ...REAL_OPS,
} as const satisfies Readonly<Record<string, Operation>>;

export type NumberOp = keyof typeof NUMBER_OPS;

export function evaluateNumber(e: NumberExpr, valueOf: (name: string) => number): number {
  if (typeof e === 'number') return e;
  if (typeof e === 'string') return valueOf(e);
  const [op, a, b = 0] = e;
  return (NUMBER_OPS[op] as Operation)(evaluateNumber(a, valueOf), evaluateNumber(b, valueOf));
}
