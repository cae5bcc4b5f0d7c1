/**
 * Which single instruction performs an operator of kernel IR, where there is one. A bool is an i32 0/1 as a scalar and
 * a mask (all bits of a lane) as a vector; u32 shares i32's instructions except where the sign matters.
 */
import type { BinOp, KElem, UnOp } from '../kernel.ts';
import { OP, SIMD } from './opcodes.ts';

/** [signed, unsigned] of integers, or one for both. */
type Pair = number | readonly [number, number];

const scalarFloat: Partial<Record<BinOp | UnOp, number>> = {
  neg: OP.f32Neg,
  abs: OP.f32Abs,
  sqrt: OP.f32Sqrt,
  floor: OP.f32Floor,
  ceil: OP.f32Ceil,
  trunc: OP.f32Trunc,
  round: OP.f32Nearest,
  add: OP.f32Add,
  sub: OP.f32Sub,
  mul: OP.f32Mul,
  div: OP.f32Div,
  min: OP.f32Min,
  max: OP.f32Max,
  eq: OP.f32Eq,
  ne: OP.f32Ne,
  lt: OP.f32Lt,
  le: OP.f32Le,
  gt: OP.f32Gt,
  ge: OP.f32Ge,
};

const vectorFloat: Partial<Record<BinOp | UnOp, number>> = {
  neg: SIMD.f32x4Neg,
  abs: SIMD.f32x4Abs,
  sqrt: SIMD.f32x4Sqrt,
  floor: SIMD.f32x4Floor,
  ceil: SIMD.f32x4Ceil,
  trunc: SIMD.f32x4Trunc,
  round: SIMD.f32x4Nearest,
  add: SIMD.f32x4Add,
  sub: SIMD.f32x4Sub,
  mul: SIMD.f32x4Mul,
  div: SIMD.f32x4Div,
  min: SIMD.f32x4Min,
  max: SIMD.f32x4Max,
  pmin: SIMD.f32x4Pmin,
  pmax: SIMD.f32x4Pmax,
  eq: SIMD.f32x4Eq,
  ne: SIMD.f32x4Ne,
  lt: SIMD.f32x4Lt,
  le: SIMD.f32x4Le,
  gt: SIMD.f32x4Gt,
  ge: SIMD.f32x4Ge,
};

const scalarInt: Partial<Record<BinOp | UnOp, Pair>> = {
  clz: OP.i32Clz,
  popcnt: OP.i32Popcnt,
  add: OP.i32Add,
  sub: OP.i32Sub,
  mul: OP.i32Mul,
  div: [OP.i32DivS, OP.i32DivU],
  rem: [OP.i32RemS, OP.i32RemU],
  and: OP.i32And,
  or: OP.i32Or,
  xor: OP.i32Xor,
  shl: OP.i32Shl,
  shr: [OP.i32ShrS, OP.i32ShrU],
  eq: OP.i32Eq,
  ne: OP.i32Ne,
  lt: [OP.i32LtS, OP.i32LtU],
  le: [OP.i32LeS, OP.i32LeU],
  gt: [OP.i32GtS, OP.i32GtU],
  ge: [OP.i32GeS, OP.i32GeU],
};

const vectorInt: Partial<Record<BinOp | UnOp, Pair>> = {
  neg: SIMD.i32x4Neg,
  abs: SIMD.i32x4Abs,
  not: SIMD.not,
  add: SIMD.i32x4Add,
  sub: SIMD.i32x4Sub,
  mul: SIMD.i32x4Mul,
  min: [SIMD.i32x4MinS, SIMD.i32x4MinU],
  max: [SIMD.i32x4MaxS, SIMD.i32x4MaxU],
  pmin: [SIMD.i32x4MinS, SIMD.i32x4MinU],
  pmax: [SIMD.i32x4MaxS, SIMD.i32x4MaxU],
  and: SIMD.and,
  or: SIMD.or,
  xor: SIMD.xor,
  eq: SIMD.i32x4Eq,
  ne: SIMD.i32x4Ne,
  lt: [SIMD.i32x4LtS, SIMD.i32x4LtU],
  le: [SIMD.i32x4LeS, SIMD.i32x4LeU],
  gt: [SIMD.i32x4GtS, SIMD.i32x4GtU],
  ge: [SIMD.i32x4GeS, SIMD.i32x4GeU],
};

export function scalarInstruction(op: BinOp | UnOp, elem: KElem): number | undefined {
  return elem === 'f32' ? scalarFloat[op] : signed(scalarInt[op], elem);
}

export function vectorInstruction(op: BinOp | UnOp, elem: KElem): number | undefined {
  return elem === 'f32' ? vectorFloat[op] : signed(vectorInt[op], elem);
}

const signed = (pair: Pair | undefined, elem: KElem): number | undefined =>
  pair === undefined || typeof pair === 'number' ? pair : pair[elem === 'i32' ? 0 : 1];
