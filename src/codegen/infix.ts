/** The operators that C and WGSL write alike, between their operands. */
import type { BinOp } from './kernel.ts';

export const INFIX: Partial<Record<BinOp, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  and: '&',
  or: '|',
  xor: '^',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
};
