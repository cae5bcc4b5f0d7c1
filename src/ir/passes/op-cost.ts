/** What arithmetic costs, in bytes that memory moves in the same time: one scale for what is stored and what is computed again. */
import { assuming, type Dim } from '../dim.ts';
import type { Op, Value } from '../ir.ts';
import { widthOf } from '../../runtime/elem.ts';

/** What stands for a size that is known only at run time. */
const TYPICAL_SIZE = 64;

/** Time of one element's operation; the default is that of an addition. */
const OP_BYTES: Readonly<Record<string, number>> = {
  div: 1.5,
  sqrt: 1.5,
  rsqrt: 3,
  rem: 4,
  exp: 4,
  expm1: 5,
  log: 5,
  log1p: 6,
  sigmoid: 5,
  tanh: 5,
  erf: 6,
  sin: 6,
  cos: 6,
  pow: 12,
};
const CHEAP = 0.4;
/** Of a multiplication and an addition in a product. */
const MULTIPLY_ADD = 0.3;
/** Names for what is there, or done on the way. */
export const FREE: ReadonlySet<string> = new Set(['broadcast_to', 'reshape', 'cast', 'stop_gradient', 'transpose']);
/** Computing one of these again costs more than storing and loading it in the cache. */
export const COSTLY: ReadonlySet<string> = new Set([
  'exp',
  'expm1',
  'log',
  'log1p',
  'sin',
  'cos',
  'tanh',
  'sigmoid',
  'erf',
  'pow',
]);

export const typical = (d: Dim): number => Math.max(1, assuming(d, TYPICAL_SIZE));
export const elementsOf = (shape: readonly Dim[]): number => shape.reduce((n, d) => n * typical(d), 1);
export const bytesOf = (v: Value): number => widthOf(v.type.elem) * elementsOf(v.type.shape);

/** Of one element of the result. */
export const costOf = (op: Op): number =>
  FREE.has(op.kind) ? 0 : op.kind === 'matmul' ? MULTIPLY_ADD * typical(depthOf(op)) : (OP_BYTES[op.kind] ?? CHEAP);

/** How many products a matrix product sums up for each result. */
export const depthOf = (op: Op): Dim => op.operands[0]!.type.shape.at(op.attrs['transpose_a'] === true ? -2 : -1)!;
