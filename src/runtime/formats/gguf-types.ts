/** GGUF's element types (ggml.h of llama.cpp): block sizes, and the values of those that are widened here. */
import { f16Value } from '../elem.ts';

export interface GgufType {
  readonly name: string;
  /** Elements and bytes of a block. */
  readonly block: number;
  readonly size: number;
  /** The same type as safetensors calls it, where a block is one element. */
  readonly dtype?: string;
  /** Writes the values of one block. */
  readonly widen?: (b: Uint8Array, at: number, out: Float32Array, to: number) => void;
}

const half = (b: Uint8Array, at: number): number => f16Value(b[at]! | (b[at + 1]! << 8));
const u32 = (b: Uint8Array, at: number): number =>
  (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0;
const round = Math.fround;

/** 4 bits: the low halves are elements 0 to 15 and the high ones 16 to 31. */
const nibble = (b: Uint8Array, at: number, i: number): number => (i < 16 ? b[at + i]! & 15 : b[at + i - 16]! >> 4);
/** 5 bits: the fifth is in a word of 32. */
const five = (b: Uint8Array, bits: number, at: number, i: number): number =>
  nibble(b, at, i) | (((u32(b, bits) >>> i) & 1) << 4);

/** scale * q: what the reference computes in float32. */
const scaled =
  (value: (b: Uint8Array, at: number, i: number) => number): NonNullable<GgufType['widen']> =>
  (b, at, out, to) => {
    const d = half(b, at);
    for (let i = 0; i < 32; i++) out[to + i] = d * value(b, at, i);
  };
/** scale * q + minimum. */
const shifted =
  (value: (b: Uint8Array, at: number, i: number) => number): NonNullable<GgufType['widen']> =>
  (b, at, out, to) => {
    const [d, m] = [half(b, at), half(b, at + 2)];
    for (let i = 0; i < 32; i++) out[to + i] = round(d * value(b, at, i)) + m;
  };

const plain = (name: string, size: number): GgufType => ({ name, block: 1, size, dtype: name });
const raw = (name: string, block: number, size: number): GgufType => ({ name, block, size });

export const GGUF_TYPES: ReadonlyMap<number, GgufType> = new Map([
  [0, plain('F32', 4)],
  [1, plain('F16', 2)],
  [2, { ...raw('Q4_0', 32, 18), widen: scaled((b, at, i) => nibble(b, at + 2, i) - 8) }],
  [3, { ...raw('Q4_1', 32, 20), widen: shifted((b, at, i) => nibble(b, at + 4, i)) }],
  [6, { ...raw('Q5_0', 32, 22), widen: scaled((b, at, i) => five(b, at + 2, at + 6, i) - 16) }],
  [7, { ...raw('Q5_1', 32, 24), widen: shifted((b, at, i) => five(b, at + 4, at + 8, i)) }],
  [8, { ...raw('Q8_0', 32, 34), widen: scaled((b, at, i) => (b[at + 2 + i]! << 24) >> 24) }],
  [9, raw('Q8_1', 32, 40)],
  [10, raw('Q2_K', 256, 84)],
  [11, raw('Q3_K', 256, 110)],
  [12, raw('Q4_K', 256, 144)],
  [13, raw('Q5_K', 256, 176)],
  [14, raw('Q6_K', 256, 210)],
  [15, raw('Q8_K', 256, 292)],
  [16, raw('IQ2_XXS', 256, 66)],
  [17, raw('IQ2_XS', 256, 74)],
  [18, raw('IQ3_XXS', 256, 98)],
  [19, raw('IQ1_S', 256, 50)],
  [20, raw('IQ4_NL', 32, 18)],
  [21, raw('IQ3_S', 256, 110)],
  [22, raw('IQ2_S', 256, 82)],
  [23, raw('IQ4_XS', 256, 136)],
  [24, plain('I8', 1)],
  [25, plain('I16', 2)],
  [26, plain('I32', 4)],
  [27, plain('I64', 8)],
  [28, plain('F64', 8)],
  [29, raw('IQ1_M', 256, 56)],
  [30, plain('BF16', 2)],
  [34, raw('TQ1_0', 256, 54)],
  [35, raw('TQ2_0', 256, 66)],
  [39, raw('MXFP4', 32, 17)],
]);
