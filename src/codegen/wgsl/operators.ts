/** Types, constants and operators of kernel IR as WGSL: single expressions, whatever the kernel. */
import { INFIX } from '../infix.ts';
import type { BinOp, KElem, KType, StorageElem, UnOp } from '../kernel.ts';

const SYMBOL: Partial<Record<BinOp, string>> = { ...INFIX, rem: '%' };
const UNARY: Partial<Record<UnOp, string>> = {
  abs: 'abs',
  sqrt: 'sqrt',
  floor: 'floor',
  ceil: 'ceil',
  trunc: 'trunc',
  round: 'round',
  clz: 'countLeadingZeros',
  popcnt: 'countOneBits',
};

export const typeName = (t: KType): string => {
  if (t.lanes === 1) return t.elem;
  if (t.lanes !== 4) throw new Error(`WGSL vectors have 4 lanes, not ${t.lanes}`);
  return `vec4<${t.elem}>`;
};
export const memoryElem = (e: StorageElem): string => (e === 'f32' || e === 'i32' ? e : 'u32');

export function constant(value: number, elem: KElem): string {
  if (elem === 'bool') return value ? 'true' : 'false';
  if (elem === 'i32') return value >= 0 ? `${value}i` : `i32(${value})`;
  if (elem === 'u32') return `${value >>> 0}u`;
  if (Number.isNaN(value)) return 'bitcast<f32>(bits_of[2])';
  if (!Number.isFinite(value)) return `bitcast<f32>(bits_of[${value > 0 ? 0 : 1}])`;
  // Shader compilers keep one zero for both signs.
  return Object.is(value, -0) ? 'bitcast<f32>(bits_of[4])' : `${String(value)}f`;
}

/** The same number, but not a constant expression. */
export function opaque(value: number, elem: KElem): string {
  if (elem === 'bool' || !Number.isFinite(value) || Object.is(value, -0)) return constant(value, elem);
  if (elem === 'i32') return `(${constant(value, elem)} | i32(bits_of[3]))`;
  if (elem === 'u32') return `(${constant(value, elem)} | bits_of[3])`;
  return `bitcast<f32>(bitcast<u32>(${constant(value, elem)}) | bits_of[3])`;
}

export function unary(op: UnOp, a: string, { elem }: KType): string {
  if (op === 'neg') return elem === 'u32' ? `(~${a} + 1u)` : `(-${a})`;
  if (op === 'not') return elem === 'bool' ? `(!${a})` : `(~${a})`;
  return `${UNARY[op]}(${a})`;
}

export function binary(op: BinOp, a: string, b: string, type: KType): string {
  const { elem, lanes } = type;
  const suffix = lanes === 1 ? 'f32' : 'vec4';
  if (op === 'min' || op === 'max') return elem === 'f32' ? `${op}_${suffix}(${a}, ${b})` : `${op}(${a}, ${b})`;
  if (op === 'pmin') return `select(${a}, ${b}, ${b} < ${a})`;
  if (op === 'pmax') return `select(${a}, ${b}, ${a} < ${b})`;
  if (op === 'shl' || op === 'shr') {
    const count = lanes === 1 ? 'u32' : 'vec4<u32>';
    return `(${a} ${op === 'shl' ? '<<' : '>>'} (${count}(${b}) & ${count}(31u)))`;
  }
  // `!=` is false where a NaN is met.
  if (elem === 'f32' && op === 'ne') return `(!(${a} == ${b}))`;
  if (elem === 'bool' && op === 'xor') return `(${a} != ${b})`;
  return `(${a} ${SYMBOL[op]} ${b})`;
}

export function cast(a: string, from: KType, to: KType): string {
  if (from.elem === 'f32' && (to.elem === 'i32' || to.elem === 'u32'))
    return `to_${to.elem}_${to.lanes === 1 ? 'f32' : 'vec4'}(${a})`;
  return `${typeName(to)}(${a})`;
}
