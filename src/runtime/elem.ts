/** Element types in memory: widths, typed arrays, conversion of what a user gives. */
import type { Elem } from './artifact.ts';
import { DTypeError } from './errors.ts';

export type TypedArray = Float32Array | Int32Array | Uint32Array | Uint16Array;

/** What values of an element type are read as: f16 and bf16 widen to f32, bool is 0 or 1. */
export type ValuesOf<E extends Elem> = E extends 'i32'
  ? Int32Array
  : E extends 'u32' | 'bool'
    ? Uint32Array
    : Float32Array;

export const ELEMS: readonly Elem[] = ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'];

export const widthOf = (e: Elem): number => (e === 'f16' || e === 'bf16' ? 2 : 4);

export type NumberSource = ArrayLike<number> | ArrayLike<boolean> | ArrayLike<bigint> | BigInt64Array | BigUint64Array;

/** Raw little-endian bytes of those values as `elem`. Integers are range-checked; floats are rounded to nearest even, 16-bit ones by way of f32. */
export function encode(values: ArrayLike<number | bigint | boolean>, elem: Elem): Uint8Array {
  const n = values.length;
  const out = new Uint8Array(n * widthOf(elem));
  switch (elem) {
    case 'f32': {
      const a = new Float32Array(out.buffer);
      if (values instanceof Float32Array) a.set(values);
      else for (let i = 0; i < n; i++) a[i] = Number(values[i]);
      return out;
    }
    case 'i32':
    case 'u32':
    case 'bool': {
      const a = elem === 'i32' ? new Int32Array(out.buffer) : new Uint32Array(out.buffer);
      const [low, high] = elem === 'i32' ? [-(2 ** 31), 2 ** 31 - 1] : elem === 'u32' ? [0, 2 ** 32 - 1] : [0, 1];
      if (values.constructor === a.constructor && elem !== 'bool') {
        a.set(values as unknown as Int32Array);
        return out;
      }
      for (let i = 0; i < n; i++) {
        const v = Number(values[i]);
        if (!Number.isInteger(v) || v < low || v > high) {
          throw new DTypeError(
            `element ${i} is ${String(values[i])}, which ${elem} cannot hold (${low} to ${high}, whole)`,
          );
        }
        a[i] = v;
      }
      return out;
    }
    case 'f16':
    case 'bf16': {
      const a = new Uint16Array(out.buffer);
      const round = elem === 'f16' ? f16Bits : bf16Bits;
      for (let i = 0; i < n; i++) a[i] = round(Math.fround(Number(values[i])));
      return out;
    }
  }
}

/** The values in such bytes; a copy. */
export function decode<E extends Elem>(bytes: Uint8Array, elem: E): ValuesOf<E>;
export function decode(bytes: Uint8Array, elem: Elem): Float32Array | Int32Array | Uint32Array {
  const copy = bytes.slice().buffer;
  switch (elem) {
    case 'f32':
      return new Float32Array(copy);
    case 'i32':
      return new Int32Array(copy);
    case 'u32':
    case 'bool':
      return new Uint32Array(copy);
    case 'f16':
      return Float32Array.from(new Uint16Array(copy), f16Value);
    case 'bf16':
      return Float32Array.from(new Uint16Array(copy), bf16Value);
  }
}

const F = new Float32Array(1);
const U = new Uint32Array(F.buffer);

export function bf16Bits(v: number): number {
  F[0] = v;
  const u = U[0]!;
  if (Number.isNaN(v)) return (u >>> 16) | 0x40;
  return ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

export function bf16Value(bits: number): number {
  U[0] = bits << 16;
  return F[0]!;
}

export function f16Value(bits: number): number {
  const exp = (bits >> 10) & 31;
  const frac = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exp === 31) return frac ? NaN : sign * Infinity;
  return exp === 0 ? sign * frac * 2 ** -24 : sign * (1 + frac / 1024) * 2 ** (exp - 15);
}

export function f16Bits(v: number): number {
  const sign = v < 0 || Object.is(v, -0) ? 0x8000 : 0;
  const a = Math.abs(v);
  if (Number.isNaN(v)) return 0x7e00;
  if (a >= 65520) return sign | 0x7c00;
  const exp = a < 2 ** -14 ? -14 : Math.floor(Math.log2(a)) - (a < 2 ** Math.floor(Math.log2(a)) ? 1 : 0);
  const scaled = a * 2 ** (10 - exp);
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  // A subnormal has no hidden bit; a carry out of the fraction moves into the exponent by itself.
  return sign | (a < 2 ** -14 ? rounded : rounded + ((exp + 14) << 10));
}
