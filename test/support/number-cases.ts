/**
 * Edge values of every element type through every operator that has an exact result, as methods of one block, with the bits that
 * docs/language.md promises. They are computed here from the rules alone: integers as BigInt, floats in float64 and rounded once.
 */
import type { ElemType } from '../../src/ir/ir.ts';

export interface NumberCase {
  readonly name: string;
  readonly args: readonly ElemType[];
  readonly result: ElemType;
  /** As an expression of the language, of operands that are expressions of it. */
  readonly net: (...operands: readonly string[]) => string;
  readonly exact: (...xs: number[]) => number;
}

type Int = 'i32' | 'u32';

export const EDGES: Readonly<Record<ElemType, readonly number[]>> = {
  i32: [0, 1, -1, 2, 3, -7, 31, 32, 33, 46341, 0x01000001, 0x7fffffc0, 0x7fffffff, -0x80000000],
  u32: [0, 1, 2, 3, 31, 32, 33, 65536, 0x01000001, 0x7fffffff, 0x80000000, 0xffffff7f, 0xffffff80, 0xffffffff],
  bool: [0, 1],
  f32: [
    ...[
      0,
      -0,
      1,
      -1,
      0.5,
      -0.5,
      1.5,
      2.5,
      -2.5,
      2 ** 23 + 1,
      2 ** 24,
      2147483520,
      2147483648,
      -2147483648,
      -2147483904,
    ],
    ...[4294967040, 4294967296, 3.4028234663852886e38, -3.4028234663852886e38, 1.1754943508222875e-38],
    // Halves: the largest and what rounds to it and beyond, subnormals and their ties.
    ...[65504, 65519.99609375, 65520, -65536, 2 ** -14, 2 ** -24, 2 ** -25, 1.5 * 2 ** -24, 2 ** -25 + 2 ** -40],
    // Ties of bf16 and of f16, and one step beside them.
    ...[1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 3.3961775292304957e38],
    ...[Infinity, -Infinity, NaN],
  ],
  f16: [0, -0, 1, -1.5, 65504, -65504, 2 ** -14, 2 ** -24, 1 + 2 ** -10, Infinity, -Infinity, NaN],
  bf16: [0, -0, 1, -1.5, 2 ** 100, 3.3895313892515355e38, 2 ** -100, 1 + 2 ** -7, 2 ** 31, Infinity, -Infinity, NaN],
};

/** A few of them stand as constants beside a tensor. */
export const CONSTANTS: Readonly<Record<ElemType, readonly number[]>> = {
  i32: [0, 1, -1, 33, 0x7fffffff, -0x80000000],
  u32: [0, 1, 33, 0x80000000, 0xffffffff],
  bool: [],
  f32: [0, -0, 1, -0.5, 2 ** 24 + 2, 3.4028234663852886e38, Infinity, -Infinity, NaN],
  f16: [],
  bf16: [],
};

/** A number as the language writes it at a type. */
export function literal(x: number, elem: ElemType): string {
  if (elem === 'bool') return x ? 'true' : 'false';
  const float = elem !== 'i32' && elem !== 'u32';
  if (Number.isNaN(x)) return `${elem}(nan)`;
  if (!Number.isFinite(x)) return `${elem}(${x < 0 ? '-' : ''}inf)`;
  const digits = Object.is(x, -0) ? '-0' : String(x).replace('e+', 'e');
  return `${elem}(${float && /^-?\d+$/.test(digits) ? `${digits}.0` : digits})`;
}

const wrap = (elem: Int, x: bigint): number => Number(elem === 'i32' ? BigInt.asIntN(32, x) : BigInt.asUintN(32, x));
const floor = (a: bigint, b: bigint): bigint => (a - (((a % b) + b) % b)) / b;

const integers = (elem: Int): NumberCase[] => {
  const two = (name: string, net: NumberCase['net'], f: (a: bigint, b: bigint) => bigint): NumberCase => ({
    name: `${elem}_${name}`,
    args: [elem, elem],
    result: elem,
    net,
    exact: (a, b) => wrap(elem, f(BigInt(a!), BigInt(b!))),
  });
  const one = (name: string, f: (a: bigint) => bigint): NumberCase => ({
    name: `${elem}_${name}`,
    args: [elem],
    result: elem,
    net: (a) => `op.${name}(${a})`,
    exact: (a) => wrap(elem, f(BigInt(a!))),
  });
  const infix = (symbol: string) => (a?: string, b?: string) => `${a} ${symbol} ${b}`;
  const call = (op: string) => (a?: string, b?: string) => `op.${op}(${a}, ${b})`;
  const shift = (b: bigint): bigint => BigInt.asUintN(5, b);
  return [
    two('add', infix('+'), (a, b) => a + b),
    two('sub', infix('-'), (a, b) => a - b),
    two('mul', infix('*'), (a, b) => a * b),
    two('div', infix('/'), (a, b) => (b === 0n ? 0n : floor(a, b))),
    two('rem', infix('%'), (a, b) => (b === 0n ? 0n : a - b * floor(a, b))),
    two('maximum', call('maximum'), (a, b) => (a > b ? a : b)),
    two('minimum', call('minimum'), (a, b) => (a < b ? a : b)),
    two('and', call('and'), (a, b) => a & b),
    two('or', call('or'), (a, b) => a | b),
    two('xor', call('xor'), (a, b) => a ^ b),
    two('shl', call('shl'), (a, b) => a << shift(b)),
    two('shr', call('shr'), (a, b) => a >> shift(b)),
    one('neg', (a) => -a),
    one('abs', (a) => (a < 0n ? -a : a)),
    one('sign', (a) => (a < 0n ? -1n : a > 0n ? 1n : 0n)),
    one('relu', (a) => (a > 0n ? a : 0n)),
    one('not', (a) => ~a),
    ...compared(elem),
  ];
};

function compared(elem: ElemType): NumberCase[] {
  const tests: readonly (readonly [string, string, (a: number, b: number) => boolean])[] = [
    ['eq', '==', (a, b) => a === b],
    ['ne', '!=', (a, b) => a !== b],
    ['lt', '<', (a, b) => a < b],
    ['le', '<=', (a, b) => a <= b],
    ['gt', '>', (a, b) => a > b],
    ['ge', '>=', (a, b) => a >= b],
  ];
  return tests.map(([name, symbol, f]) => ({
    name: `${elem}_${name}`,
    args: [elem, elem],
    result: 'bool',
    net: (a, b) => `${a} ${symbol} ${b}`,
    exact: (a, b) => Number(f(a!, b!)),
  }));
}

/** To the nearest, ties to the one whose last bit is 0; of two infinitely far apart neighbours the finite one is never nearer. */
function bf16(x: number): number {
  if (!Number.isFinite(x) || x === 0) return x;
  const step = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -126) - 7);
  const quotient = x / step;
  const below = Math.floor(quotient);
  const rest = quotient - below;
  const whole = rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
  const y = whole * step;
  return Math.abs(y) >= 2 ** 128 ? Math.sign(x) * Infinity : y === 0 ? 0 * Math.sign(x) : y;
}

/** What a type makes of a number; to integers it truncates and stays in range, NaN is 0. */
export function rounded(elem: ElemType, x: number): number {
  if (elem === 'f32') return Math.fround(x);
  if (elem === 'f16') return Math.f16round(Math.fround(x));
  if (elem === 'bf16') return bf16(Math.fround(x));
  if (elem === 'bool') return Number(x !== 0);
  const [low, high] = elem === 'i32' ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
  return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), low), high) + 0;
}

const evenly = (x: number): number => {
  const down = Math.floor(x);
  const rest = x - down;
  const y = rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
  return y === 0 ? (x < 0 || Object.is(x, -0) ? -0 : 0) : y;
};

const floats = (): NumberCase[] => {
  const two = (name: string, net: NumberCase['net'], f: (a: number, b: number) => number): NumberCase => ({
    name: `f32_${name}`,
    args: ['f32', 'f32'],
    result: 'f32',
    net,
    exact: (a, b) => Math.fround(f(a!, b!)),
  });
  const one = (name: string, f: (a: number) => number): NumberCase => ({
    name: `f32_${name}`,
    args: ['f32'],
    result: 'f32',
    net: (a) => `op.${name}(${a})`,
    exact: (a) => Math.fround(f(a!)),
  });
  return [
    two('add', (a, b) => `${a} + ${b}`, (a, b) => a + b), // prettier-ignore
    two('sub', (a, b) => `${a} - ${b}`, (a, b) => a - b), // prettier-ignore
    two('mul', (a, b) => `${a} * ${b}`, (a, b) => a * b), // prettier-ignore
    two('div', (a, b) => `${a} / ${b}`, (a, b) => a / b), // prettier-ignore
    two('maximum', (a, b) => `op.maximum(${a}, ${b})`, Math.max),
    two('minimum', (a, b) => `op.minimum(${a}, ${b})`, Math.min),
    one('neg', (a) => -a),
    one('abs', Math.abs),
    one('sign', (a) => (a > 0 ? 1 : a < 0 ? -1 : 0)),
    one('relu', (a) => (a <= 0 ? 0 : a)),
    one('floor', Math.floor),
    one('ceil', Math.ceil),
    one('trunc', Math.trunc),
    one('round', evenly),
    one('sqrt', Math.sqrt),
    ...compared('f32'),
    {
      name: 'f32_is_nan',
      args: ['f32'],
      result: 'bool',
      net: (a) => `op.is_nan(${a})`,
      exact: (a) => +Number.isNaN(a),
    },
    {
      name: 'f32_is_inf',
      args: ['f32'],
      result: 'bool',
      net: (a) => `op.is_inf(${a})`,
      exact: (a) => +(Math.abs(a!) === Infinity),
    },
  ];
};

const bools = (): NumberCase[] => {
  const two = (name: string, symbol: string, f: (a: number, b: number) => number): NumberCase => ({
    name: `bool_${name}`,
    args: ['bool', 'bool'],
    result: 'bool',
    net: (a, b) => (symbol === '' ? `op.${name}(${a}, ${b})` : `${a} ${symbol} ${b}`),
    exact: (a, b) => f(a!, b!),
  });
  return [
    two('and', 'and', (a, b) => a & b),
    two('or', 'or', (a, b) => a | b),
    two('xor', '', (a, b) => a ^ b),
    two('eq', '==', (a, b) => +(a === b)),
    two('ne', '!=', (a, b) => +(a !== b)),
    { name: 'bool_not', args: ['bool'], result: 'bool', net: (a) => `not ${a}`, exact: (a) => 1 - a! },
  ];
};

const ELEMS: readonly ElemType[] = ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'];
const isInt = (e: ElemType): e is Int => e === 'i32' || e === 'u32';

/** Between integers bits stay; to 16-bit floats the way is by f32. */
const casts = (): NumberCase[] =>
  ELEMS.flatMap((from) =>
    ELEMS.filter((to) => to !== from).map((to): NumberCase => ({
      name: `${from}_as_${to}_cast`,
      args: [from],
      result: to,
      net: (a) => `${to}(${a})`,
      exact: (a) => (isInt(from) && isInt(to) ? wrap(to, BigInt(a!)) : rounded(to, a!)),
    })),
  );

export const NUMBER_CASES: readonly NumberCase[] = [
  ...integers('i32'),
  ...integers('u32'),
  ...floats(),
  ...bools(),
  ...casts(),
];
