/** Element types of files: widths, the parts that bytes are swapped in, and their values as numbers. */
import { bf16Value, f16Value } from '../elem.ts';

/** Bits of an element. */
export const BITS: ReadonlyMap<string, number> = new Map([
  ['BOOL', 8],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['F8_E5M2FNUZ', 8],
  ['F8_E4M3FNUZ', 8],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['F4', 4],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C32', 32],
  ['I64', 64],
  ['U64', 64],
  ['F64', 64],
  ['C64', 64],
  ['C128', 128],
]);

/** Whole bytes of an element, or null where elements share bytes or the type is none of `BITS`. */
export function widthOfDtype(dtype: string): number | null {
  const bits = BITS.get(dtype);
  return bits === undefined || bits % 8 !== 0 ? null : bits / 8;
}

/** Bytes that change places together when the byte order is turned: a complex number is two floats. */
export const swapWidth = (dtype: string): number => widthOfDtype(dtype)! / (dtype.startsWith('C') ? 2 : 1);

/** Turns the byte order of groups of `width` bytes, in place. */
export function swapBytes(bytes: Uint8Array, width: number): Uint8Array {
  for (let at = 0; width > 1 && at + width <= bytes.length; at += width) {
    bytes.subarray(at, at + width).reverse();
  }
  return bytes;
}

/** An 8-bit float with those exponent bits and bias; `fnuz` has no infinities and no negative zero. */
function f8(bits: number, exponentBits: number, bias: number, kind: 'ieee' | 'fn' | 'fnuz'): number {
  const fractionBits = 7 - exponentBits;
  const exponent = (bits & 0x7f) >> fractionBits;
  const fraction = bits & ((1 << fractionBits) - 1);
  const sign = bits & 0x80 ? -1 : 1;
  const top = (1 << exponentBits) - 1;
  if (kind === 'fnuz' && bits === 0x80) return NaN;
  if (kind === 'ieee' && exponent === top) return fraction === 0 ? sign * Infinity : NaN;
  if (kind === 'fn' && (bits & 0x7f) === 0x7f) return NaN;
  const scale = 2 ** (Math.max(exponent, 1) - bias - fractionBits);
  return sign * (fraction + (exponent === 0 ? 0 : 1 << fractionBits)) * scale;
}

/** One number of a byte, of the 8-bit types. */
const BYTES: ReadonlyMap<string, (b: number) => number> = new Map([
  ['BOOL', (b: number) => b],
  ['U8', (b: number) => b],
  ['I8', (b: number) => (b << 24) >> 24],
  ['F8_E5M2', (b: number) => f8(b, 5, 15, 'ieee')],
  ['F8_E4M3', (b: number) => f8(b, 4, 7, 'fn')],
  ['F8_E5M2FNUZ', (b: number) => f8(b, 5, 16, 'fnuz')],
  ['F8_E4M3FNUZ', (b: number) => f8(b, 4, 8, 'fnuz')],
  ['F8_E8M0', (b: number) => (b === 255 ? NaN : 2 ** (b - 127))],
]);

/** E2M1 of the OCP Microscaling Formats, 1.0: a sign and one of eight. */
const F4 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
const f4 = (bits: number): number => (bits & 8 ? -F4[bits & 7]! : F4[bits & 7]!);

/** Values as numbers; 64-bit integers stay bigints, so that no bit is lost. Null for types without plain values. */
export function valuesOf(dtype: string, bytes: Uint8Array): ArrayLike<number> | ArrayLike<bigint> | null {
  const byte = BYTES.get(dtype);
  if (byte) return dtype === 'U8' ? bytes : Float64Array.from(bytes, byte);
  // Two to a byte, the first in its low half, as torch.float4_e2m1fn_x2. How four 6-bit floats share three bytes nobody says.
  if (dtype === 'F4')
    return Float64Array.from({ length: 2 * bytes.length }, (_, i) => f4(bytes[i >> 1]! >> (4 * (i & 1))));
  const width = widthOfDtype(dtype);
  if (width === null || bytes.length % width !== 0) return null;
  const { buffer } = new Uint8Array(bytes); // a Buffer's slice would be no copy
  switch (dtype) {
    case 'I16':
      return new Int16Array(buffer);
    case 'U16':
      return new Uint16Array(buffer);
    case 'F16':
      return Float32Array.from(new Uint16Array(buffer), f16Value);
    case 'BF16':
      return Float32Array.from(new Uint16Array(buffer), bf16Value);
    case 'I32':
      return new Int32Array(buffer);
    case 'U32':
      return new Uint32Array(buffer);
    case 'F32':
      return new Float32Array(buffer);
    case 'I64':
      return new BigInt64Array(buffer);
    case 'U64':
      return new BigUint64Array(buffer);
    case 'F64':
      return new Float64Array(buffer);
    default:
      return null;
  }
}
