/** Elementwise fusion changes no bit on the CPU, whatever the numbers: NaN, infinities, both zeros, subnormals, 16-bit types. */
import test from 'ava';
import fc from 'fast-check';
import { IrBuilder, tensor, value } from '../../src/ir/builder.ts';
import type { Module, Value } from '../../src/ir/ir.ts';
import { ndarray, sizeOf, type NdArray } from '../../src/ir/ndarray.ts';
import { expectSameBits } from '../support/compare.ts';
import { func, moduleOf } from '../support/op-func.ts';
import { runCompiled } from '../support/run-lowered.ts';

const UNARY = [
  'neg',
  'abs',
  'exp',
  'log',
  'sqrt',
  'rsqrt',
  'sin',
  'tanh',
  'sigmoid',
  'erf',
  'floor',
  'relu',
  'sign',
  'log1p',
];
const BINARY = ['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'pow', 'rem'];
const COMPARE = ['lt', 'ge', 'eq'];
const SPECIAL = [
  0,
  -0,
  1,
  -1,
  NaN,
  Infinity,
  -Infinity,
  2 ** -149,
  2 ** -127,
  3.4028234663852886e38,
  0.5,
  -2.5,
  1e-30,
  7,
];

const SHAPES = [[7, 9], [9], [7, 1], [], [7, 9], [2, 7, 9]];

function input(shape: readonly number[], seed: number): NdArray {
  const data = Array.from({ length: sizeOf(shape) }, (_, i) => {
    const h = (Math.imul(i + 1, 2654435761) ^ Math.imul(seed + 1, 40503)) >>> 0;
    return h % 3 === 0 ? SPECIAL[(h >>> 4) % SPECIAL.length]! : Math.fround(((h >>> 8) / 2 ** 24 - 0.5) * 6);
  });
  return ndarray('f32', shape, data);
}

function program(steps: readonly (readonly [number, number, number])[]): Module {
  const b = new IrBuilder();
  const params = SHAPES.map((s) => value(tensor('f32', s)));
  const values: Value[] = [...params];
  const pick = (n: number): Value => values[values.length - 1 - (n % Math.min(values.length, 6))]!;
  for (const [kind, x, y] of steps) {
    const [u, v] = [pick(x), pick(y)];
    if (kind % 7 < 3) values.push(b.one(UNARY[kind % UNARY.length]!, [u]));
    else if (kind % 7 < 5) values.push(b.one(BINARY[kind % BINARY.length]!, [u, v]));
    else if (kind % 7 === 5) values.push(b.one('select', [b.one(COMPARE[kind % COMPARE.length]!, [u, v]), u, v]));
    else {
      // Through 16 bits and back: rounded in registers as in memory.
      const half = b.one('cast', [u], { elem: kind % 2 === 0 ? 'f16' : 'bf16' });
      values.push(b.one('cast', [b.one('neg', [half])], { elem: 'f32' }));
    }
  }
  const results = values.slice(params.length).filter((_, i, all) => i % 3 === 0 || i >= all.length - 2);
  return moduleOf(func('main', params, b.ops, results));
}

test('elementwise graphs are equal to the bit, fused and not', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(1000), fc.nat(50), fc.nat(50)), { minLength: 1, maxLength: 16 }),
      fc.nat(1000),
      (steps, seed) => {
        const module = program(steps);
        const inputs = SHAPES.map((s, i) => input(s, seed + i));
        const alone = runCompiled(module, 'main', inputs, { merge: false });
        expectSameBits(runCompiled(module, 'main', inputs, { inPlace: true }), alone);
      },
    ),
    { numRuns: 100 },
  );
  t.pass();
});
