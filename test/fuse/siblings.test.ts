/** Fusions side by side: joined on a GPU where nothing stands between them, left alone elsewhere. */
import test from 'ava';
import { WASM, WGSL } from '../../src/codegen/targets.ts';
import type { Op } from '../../src/ir/ir.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { verify } from '../../src/ir/verify.ts';

const fusions = (text: string, target = WGSL): readonly Op[] => {
  const module = fuse(decompose(parseModule(text)), target);
  if (verify(module).length > 0) throw new Error(verify(module).join('\n'));
  return module.funcs.get('main')!.body.ops.filter((op) => op.kind === 'fusion');
};
const labels = (text: string, target = WGSL): readonly string[] =>
  fusions(text, target).map((op) => String(op.attrs['label']));

const HEADS = `func @main(%x: f32[8, 12], %y: f32[8, 12]) -> (f32[4, 8], f32[4, 8], f32[8, 4]) {
  %0 = slice %x {start = [0, 0], stop = [8, 4], step = (1, 1)} : f32[8, 4]
  %1 = transpose %0 {perm = (1, 0)} : f32[4, 8]
  %2 = slice %x {start = [0, 4], stop = [8, 8], step = (1, 1)} : f32[8, 4]
  %3 = transpose %2 {perm = (1, 0)} : f32[4, 8]
  %4 = slice %y {start = [0, 8], stop = [8, 12], step = (1, 1)} : f32[8, 4]
  return %1, %3, %4
}`;

test('what runs over one space is one kernel, and reads what it shares once', (t) => {
  const [heads, other, ...none] = fusions(HEADS);
  t.deepEqual(none, []);
  t.is(heads!.results.length, 2);
  t.is(heads!.operands.length, 1);
  t.is(other!.results.length, 1, 'another space');
  t.is(fusions(HEADS, WASM).length, 3, 'only where starting a kernel costs something');
});

test('sums over the same rows are one kernel; over others they are not', (t) => {
  const text = `func @main(%x: f32[8, 12], %y: f32[8, 12]) -> (f32[12], f32[12], f32[8]) {
    %0 = sum %x {axes = (0), keepdims = false} : f32[12]
    %1 = mul %x, %y : f32[8, 12]
    %2 = sum %1 {axes = (0), keepdims = false} : f32[12]
    %3 = sum %y {axes = (1), keepdims = false} : f32[8]
    return %0, %2, %3
  }`;
  t.deepEqual(labels(text), ['sum_and_mul_sum', 'sum']);
});

test('what reads the other, through whatever lies between, stays behind it', (t) => {
  const text = `func @main(%x: f32[8, 8]) -> (f32[8, 8], f32[8, 8]) {
    %0 = sin %x : f32[8, 8]
    %1 = matmul %0, %0 {transpose_a = false, transpose_b = false} : f32[8, 8]
    %2 = sum %1 {axes = (0), keepdims = true} : f32[1, 8]
    %3 = transpose %x {perm = (1, 0)} : f32[8, 8]
    %4 = sub %3, %2 : f32[8, 8]
    return %4, %0
  }`;
  t.is(fusions(text).length, fusions(text, WASM).length);
});

test('no more tensors meet than a kernel takes', (t) => {
  const lines = Array.from({ length: 30 }, (_, i) => `%r${i} = sin %x${i} : f32[8]`);
  const text = `func @main(${lines.map((_, i) => `%x${i}: f32[8]`).join(', ')}) -> (${lines.map(() => 'f32[8]').join(', ')}) {
    ${lines.join('\n')}
    return ${lines.map((_, i) => `%r${i}`).join(', ')}
  }`;
  for (const op of fusions(text)) t.true(op.operands.length + op.results.length <= 24);
  t.is(fusions(text).flatMap((op) => op.results).length, 30);
  t.true(fusions(text).length <= 4);
});
