/** Results put into tapes and laid side by side by the kernel that makes them: the bits of separate kernels, and fewer of them. */
import test from 'ava';
import { WASM } from '../../src/codegen/targets.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { ndarray, sizeOf, type NdArray } from '../../src/ir/ndarray.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { verify } from '../../src/ir/verify.ts';
import { expectSameBits } from '../support/compare.ts';
import { runCompiled } from '../support/run-lowered.ts';

/** Kernels of the function when fused. */
function kernels(text: string): number {
  const module = fuse(parseModule(text), WASM);
  if (verify(module).length > 0) throw new Error(verify(module).join('\n'));
  return module.funcs.get('main')!.body.ops.filter((op) => op.kind === 'fusion').length;
}

/** Small integers: exact whatever computes with them. */
const wave = (shape: readonly number[], seed: number): NdArray =>
  ndarray(
    'f32',
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 7 + seed) % 23) - 11),
  );
const number = (n: number): NdArray => ndarray('i32', [], [n]);

function same(text: string, inputs: readonly NdArray[]): void {
  const module = parseModule(text);
  const wanted = interpret(module, 'main', inputs);
  expectSameBits(runCompiled(module, 'main', inputs), wanted);
  expectSameBits(runCompiled(module, 'main', inputs, { merge: false }), wanted);
}

/** Two values of one kernel go into tapes, of which one is read as well. */
const PUT = (tape: string, at: number): string => `
func @main(%x: f32[B, C], %y: f32[B, C], %s: f32[${tape}], %t: f32[${tape}], %i: i32[]) -> (f32[B, C], f32[${tape}], f32[${tape}]) {
  %a = add %x, %y : f32[B, C]
  %b = mul %a, %y : f32[B, C]
  %p = put %s, %i, %a {axis = ${at}} : f32[${tape}]
  %q = put %t, %i, %x {axis = ${at}} : f32[${tape}]
  return %b, %p, %q
}`;

for (const [axis, tape] of ['3, B, C', 'B, 3, C', 'B, C, 3'].entries())
  test(`put along axis ${axis}, inside and outside of the tape`, (t) => {
    t.is(kernels(PUT(tape, axis)), axis < 2 ? 1 : 3, 'along the last axis a slice does not lie side by side');
    for (const [b, c] of [
      [2, 37],
      [5, 8],
      [1, 1],
      [0, 4],
    ] as const)
      for (const i of [0, 2, -1, 3]) {
        const long = tape.split(', ').map((d) => (d === 'B' ? b : d === 'C' ? c : 3));
        same(PUT(tape, axis), [wave([b, c], 1), wave([b, c], 2), wave(long, 3), wave(long, 4), number(i)]);
      }
  });

const JOIN = (shape: string, joined: string, axis: number): string => `
func @main(%x: f32[${shape}], %y: f32[${shape}], %t: f32[4, ${joined}], %i: i32[]) -> (f32[${shape}], f32[${shape}], f32[${shape}], f32[${joined}], f32[4, ${joined}]) {
  %a = add %x, %y : f32[${shape}]
  %b = mul %a, %y : f32[${shape}]
  %c = sub %a, %x : f32[${shape}]
  %j = concat %b, %a, %c {axis = ${axis}} : f32[${joined}]
  %p = put %t, %i, %j {axis = 0} : f32[4, ${joined}]
  return %a, %b, %c, %j, %p
}`;

for (const [shape, joined, axis] of [
  [[5, 37], [5, 111], 1],
  [[5, 37], [15, 37], 0],
  [[2, 3, 40], [2, 9, 40], 1],
  [[1, 64], [1, 192], 1],
] as const)
  test(`[${shape}] side by side along axis ${axis}, and that into a tape`, (t) => {
    const text = JOIN(shape.join(', '), joined.join(', '), axis);
    t.is(kernels(text), 1);
    same(text, [wave(shape, 1), wave(shape, 2), wave([4, ...joined], 3), number(2)]);
  });

test('short runs are written across their borders', (t) => {
  const text = JOIN('50, 3', '50, 9', 1);
  t.true(kernels(text) > 1);
  same(text, [wave([50, 3], 1), wave([50, 3], 2), wave([4, 50, 9], 3), number(1)]);
});

test('a value that only tapes want is not stored beside them', (t) => {
  const text = `
func @main(%x: f32[B, 8], %s: f32[3, B, 8], %t: f32[3, B, 8], %i: i32[]) -> (f32[3, B, 8], f32[3, B, 8]) {
  %a = neg %x : f32[B, 8]
  %p = put %s, %i, %a {axis = 0} : f32[3, B, 8]
  %q = put %t, %i, %a {axis = 0} : f32[3, B, 8]
  return %p, %q
}`;
  const [only] = fuse(parseModule(text), WASM).funcs.get('main')!.body.ops;
  t.is(only!.results.length, 2);
  same(text, [wave([2, 8], 1), wave([3, 2, 8], 2), wave([3, 2, 8], 3), number(1)]);
});

test('what else reads the tape finds what it held', (t) => {
  const text = `
func @main(%x: f32[B, 8], %s: f32[3, B, 8], %i: i32[]) -> (f32[3, B, 8], f32[3, B, 8]) {
  %a = neg %x : f32[B, 8]
  %p = put %s, %i, %a {axis = 0} : f32[3, B, 8]
  %q = neg %s : f32[3, B, 8]
  return %p, %q
}`;
  t.is(kernels(text), 3);
  same(text, [wave([2, 8], 1), wave([3, 2, 8], 2), number(1)]);
});
