/** Reverse mode on composed functions: against differences, and by what the new functions look like. */
import test from 'ava';
import { parseModule } from '../../src/ir/parse.ts';
import { printFunc, printModule } from '../../src/ir/print.ts';
import { ndarray } from '../../src/ir/ndarray.ts';
import { AutodiffFault, vjp } from '../../src/ir/passes/autodiff.ts';
import { verify } from '../../src/ir/verify.ts';
import { gradcheck, wave } from '../support/gradcheck.ts';

const LAYER = `
func @layer(%x: f32[B, 3], %w: f32[3, 3], %b: f32[3]) -> (f32[B, 3]) {
  %h = matmul %x, %w {transpose_a = false, transpose_b = true} : f32[B, 3]
  %z = add %h, %b : f32[B, 3]
  %y = tanh %z : f32[B, 3]
  return %y
}
func @loss(%x: f32[B, 3], %w: f32[3, 3], %b: f32[3], %v: f32[3, 3]) -> (f32[], f32[B, 3]) {
  %0 = call @layer %x, %w, %b : f32[B, 3]
  %1 = call @layer %0, %w, %b : f32[B, 3]
  %2 = call @layer %1, %v, %b : f32[B, 3]
  %3 = mul %2, %2 : f32[B, 3]
  %4 = sum %3 {axes = (0, 1), keepdims = false} : f32[]
  return %4, %1
}
`;

test('shared parameters and functions called many times', (t) => {
  const m = parseModule(LAYER);
  const made = gradcheck(m, 'loss', [wave([4, 3]), wave([3, 3], 1), wave([3], 2), wave([3, 3], 3)], [1, 2, 3, 0]);
  t.deepEqual(verify(made.module), []);
  // With respect to x, w, b: one variant serves all three calls.
  t.deepEqual([...made.module.funcs.keys()], ['layer', 'loss', 'layer.fwd', 'layer.bwd', 'loss.vjp']);
});

test('without the gradient of the input the first call has a variant of its own', (t) => {
  const made = vjp(parseModule(LAYER), 'loss', [1, 2]);
  t.deepEqual(
    [...made.module.funcs.keys()],
    ['layer', 'loss', 'layer.fwd', 'layer.bwd', 'layer.bwd.1', 'layer.bwd.2', 'loss.vjp'],
  );
  t.deepEqual(verify(made.module), []);
});

test('the text of a small program', (t) => {
  const m = parseModule(`func @loss(%x: f32[B], %w: f32[]) -> (f32[]) {
  %0 = mul %x, %w : f32[B]
  %1 = sin %0 : f32[B]
  %2 = sum %1 {axes = (0), keepdims = false} : f32[]
  return %2
}
`);
  t.is(
    printFunc(vjp(m, 'loss', [1]).module.funcs.get('loss.vjp')!),
    `func @loss.vjp(%x: f32[B], %w: f32[]) -> (f32[], f32[]) {
  %0 = mul %x, %w : f32[B]
  %1 = sin %0 : f32[B]
  %2 = sum %1 {axes = (0), keepdims = false} : f32[]
  %3 = constant {value = 1, elem = "f32", shape = []} : f32[]
  %4 = reshape %3 {shape = [1]} : f32[1]
  %5 = broadcast_to %4 {shape = [B]} : f32[B]
  %x_1 = again %x : f32[B]
  %w_1 = again %w : f32[]
  %6 = mul %x_1, %w_1 : f32[B]
  %7 = cos %6 : f32[B]
  %8 = mul %5, %7 : f32[B]
  %9 = mul %8, %x_1 : f32[B]
  %10 = sum %9 {axes = (0), keepdims = false} : f32[]
  return %2, %10
}
`,
  );
});

test('differentiating twice gives the same functions once', (t) => {
  const once = vjp(parseModule(LAYER), 'loss', [1]);
  const twice = vjp(once.module, 'loss', [1]);
  t.is(twice.func, once.func);
  t.is(printModule(twice.module), printModule(once.module));
  t.is(vjp(once.module, 'loss', [2]).func, 'loss.vjp.1');
});

test('a cheap value is computed again, a dear one is saved', (t) => {
  const m = parseModule(`
func @f(%x: f32[B, 3], %w: f32[3, 3]) -> (f32[B, 3]) {
  %h = matmul %x, %w {transpose_a = false, transpose_b = false} : f32[B, 3]
  %0 = sin %h : f32[B, 3]
  %1 = exp %0 : f32[B, 3]
  %2 = mul %1, %h : f32[B, 3]
  return %2
}
func @loss(%x: f32[B, 3], %w: f32[3, 3]) -> (f32[]) {
  %0 = call @f %x, %w : f32[B, 3]
  %1 = call @f %0, %w : f32[B, 3]
  %2 = sum %1 {axes = (0, 1), keepdims = false} : f32[]
  return %2
}`);
  const made = gradcheck(m, 'loss', [wave([2, 3]), wave([3, 3], 1)], [1, 0]);
  const fwd = made.module.funcs.get('f.fwd')!;
  t.deepEqual(
    fwd.body.results.map((r) => r.hint),
    [null, 'h'],
  );
});

test('integers, stop_gradient and what depends on nothing cut the gradient', (t) => {
  const m = parseModule(`
func @loss(%x: f32[4], %n: i32[4], %unused: f32[2]) -> (f32[]) {
  %0 = stop_gradient %x : f32[4]
  %1 = cast %n {elem = "f32"} : f32[4]
  %2 = mul %0, %x : f32[4]
  %3 = mul %2, %1 : f32[4]
  %4 = sum %3 {axes = (0), keepdims = false} : f32[]
  return %4
}`);
  const made = vjp(m, 'loss', [0, 1, 2]);
  t.is(
    printFunc(made.module.funcs.get('loss.vjp')!),
    `func @loss.vjp(%x: f32[4], %n: i32[4], %unused: f32[2]) -> (f32[], f32[4], i32[4], f32[2]) {
  %0 = stop_gradient %x : f32[4]
  %1 = cast %n {elem = "f32"} : f32[4]
  %2 = mul %0, %x : f32[4]
  %3 = mul %2, %1 : f32[4]
  %4 = sum %3 {axes = (0), keepdims = false} : f32[]
  %5 = constant {value = 1, elem = "f32", shape = []} : f32[]
  %6 = reshape %5 {shape = [1]} : f32[1]
  %7 = broadcast_to %6 {shape = [4]} : f32[4]
  %n_1 = again %n : i32[4]
  %8 = cast %n_1 {elem = "f32"} : f32[4]
  %9 = mul %7, %8 : f32[4]
  %x_1 = again %x : f32[4]
  %10 = stop_gradient %x_1 : f32[4]
  %11 = mul %9, %10 : f32[4]
  %12 = constant {value = 0, elem = "i32", shape = [4]} : i32[4]
  %13 = constant {value = 0, elem = "f32", shape = [2]} : f32[2]
  return %4, %11, %12, %13
}
`,
  );
});

test('if: gradients of what the branches capture', (t) => {
  const m = parseModule(`
func @loss(%x: f32[B], %w: f32[], %v: f32[]) -> (f32[]) {
  %s = sum %x {axes = (0), keepdims = false} : f32[]
  %zero = constant {value = 0, elem = "f32", shape = []} : f32[]
  %c = gt %s, %zero : bool[]
  %a = mul %x, %w : f32[B]
  %y, %z = if %c : f32[B], f32[] then {
    %1 = sin %a : f32[B]
    %2 = mul %1, %v : f32[B]
    yield %2, %s
  } else {
    %3 = mul %a, %a : f32[B]
    yield %3, %w
  }
  %4 = mul %y, %z : f32[B]
  %5 = sum %4 {axes = (0), keepdims = false} : f32[]
  return %5
}`);
  const w = ndarray('f32', [], [0.7]);
  const v = ndarray('f32', [], [1.3]);
  for (const phase of [0, 3]) {
    t.notThrows(() => gradcheck(m, 'loss', [wave([3], phase), w, v], [0, 1, 2]));
  }
});

test('for: carries, captured parameters, the position, an inner call and an inner if', (t) => {
  const m = parseModule(`
func @cell(%h: f32[B, 2], %w: f32[2, 2]) -> (f32[B, 2]) {
  %0 = matmul %h, %w {transpose_a = false, transpose_b = false} : f32[B, 2]
  %1 = tanh %0 : f32[B, 2]
  return %1
}
func @loss(%h: f32[B, 2], %w: f32[2, 2], %xs: f32[T, B, 2]) -> (f32[]) {
  %n = constant {value = 0, elem = "i32", shape = []} : i32[]
  %h1, %n1, %last = for %h, %n, %h {count = <T>} : f32[B, 2], i32[], f32[B, 2] do (%i: i32[], %c: f32[B, 2], %k: i32[], %old: f32[B, 2]) {
    %x = take %xs, %i {axis = 0} : f32[B, 2]
    %a = add %c, %x : f32[B, 2]
    %b = call @cell %a, %w : f32[B, 2]
    %one = constant {value = 1, elem = "i32", shape = []} : i32[]
    %k1 = add %k, %one : i32[]
    %odd = eq %k, %one : bool[]
    %y = if %odd : f32[B, 2] then {
      %p = mul %b, %b : f32[B, 2]
      yield %p
    } else {
      yield %b
    }
    yield %y, %k1, %c
  }
  %2 = mul %h1, %last : f32[B, 2]
  %3 = sum %2 {axes = (0, 1), keepdims = false} : f32[]
  return %3
}`);
  for (const steps of [0, 1, 4]) {
    t.notThrows(() => gradcheck(m, 'loss', [wave([3, 2]), wave([2, 2], 1), wave([steps, 3, 2], 2)], [0, 1, 2]));
  }
});

test('a loop inside a called function keeps its tape between forward and backward', (t) => {
  const m = parseModule(`
func @f(%x: f32[B], %w: f32[]) -> (f32[B]) {
  %y = for %x {count = <3>} : f32[B] do (%i: i32[], %c: f32[B]) {
    %0 = mul %c, %w : f32[B]
    %1 = sin %0 : f32[B]
    yield %1
  }
  return %y
}
func @loss(%x: f32[B], %w: f32[]) -> (f32[]) {
  %0 = call @f %x, %w : f32[B]
  %1 = call @f %0, %w : f32[B]
  %2 = sum %1 {axes = (0), keepdims = false} : f32[]
  return %2
}`);
  const made = gradcheck(m, 'loss', [wave([2]), ndarray('f32', [], [0.9])], [0, 1]);
  t.deepEqual(verify(made.module), []);
  t.is(made.module.funcs.get('f.fwd')!.body.results.length, 2);
});

test('a size that only the gradient needs is bound through an argument', (t) => {
  const m = parseModule(`
func @total(%x: f32[B, C]) -> (f32[]) {
  %0 = sum %x {axes = (0, 1), keepdims = false} : f32[]
  return %0
}
func @loss(%x: f32[B, C]) -> (f32[]) {
  %0 = call @total %x : f32[]
  return %0
}`);
  const made = gradcheck(m, 'loss', [wave([2, 3])], [0]);
  t.deepEqual(verify(made.module), []);
  t.is(made.module.funcs.get('total.bwd')!.body.params.length, 2);
});

test('a saved product of sizes does not bind them', (t) => {
  const m = parseModule(`
func @f(%x: f32[B, T, 2], %w: f32[2, 2]) -> (f32[B, T, 2]) {
  %0 = reshape %x {shape = [B*T, 2]} : f32[B*T, 2]
  %1 = matmul %0, %w {transpose_a = false, transpose_b = false} : f32[B*T, 2]
  %2 = sin %1 : f32[B*T, 2]
  %3 = reshape %2 {shape = [B, T, 2]} : f32[B, T, 2]
  return %3
}
func @loss(%x: f32[B, T, 2], %w: f32[2, 2]) -> (f32[]) {
  %0 = call @f %x, %w : f32[B, T, 2]
  %1 = sum %0 {axes = (0, 1, 2), keepdims = false} : f32[]
  return %1
}`);
  t.notThrows(() => gradcheck(m, 'loss', [wave([2, 3, 2]), wave([2, 2], 1)], [1]));
});

test('attention is expanded for its gradient', (t) => {
  const m = parseModule(`
func @loss(%q: f32[B, 3, 2], %k: f32[B, 3, 2], %v: f32[B, 3, 2]) -> (f32[]) {
  %0 = attention %q, %k, %v {causal = true, scale = null} : f32[B, 3, 2]
  %1 = sin %0 : f32[B, 3, 2]
  %2 = sum %1 {axes = (0, 1, 2), keepdims = false} : f32[]
  return %2
}`);
  const shape = [2, 3, 2];
  t.notThrows(() => gradcheck(m, 'loss', [wave(shape), wave(shape, 1), wave(shape, 2)], [0, 1, 2]));
});

for (const [what, text, message] of [
  ['a loss with axes', 'func @loss(%x: f32[2]) -> (f32[2]) {\n return %x\n}', /only a scalar.*f32\[2\]/],
  ['an integer loss', 'func @loss(%x: i32[]) -> (i32[]) {\n return %x\n}', /only a scalar/],
  ['no result', 'func @loss(%x: f32[]) -> () {\n return\n}', /returns nothing/],
] as const) {
  test(`${what} is refused`, (t) => {
    const fault = t.throws(() => vjp(parseModule(text), 'loss', [0]), { instanceOf: AutodiffFault });
    t.regex(fault?.message ?? '', message);
  });
}
