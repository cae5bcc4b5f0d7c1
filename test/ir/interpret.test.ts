/** The interpreter against results by hand, and its faults. */
import test from 'ava';
import { InterpretFault, interpret } from '../../src/ir/interpret.ts';
import { ndarray } from '../../src/ir/ndarray.ts';
import { parseModule } from '../../src/ir/parse.ts';

const m = parseModule(`
func @halve(%x: f32[N]) -> (f32[N]) {
  %h = constant {value = 0.5, elem = "f32", shape = []} : f32[]
  %0 = mul %x, %h : f32[N]
  return %0
}
func @calls(%x: f32[A], %y: f32[2*A + 1]) -> (f32[A], f32[2*A + 1], i32[]) {
  %0 = call @halve %x : f32[A]
  %1 = call @halve %y : f32[2*A + 1]
  %n = size {dim = <A*A>} : i32[]
  return %0, %1, %n
}
func @branch(%x: f32[], %c: bool[]) -> (f32[], f32[]) {
  %0, %1 = if %c : f32[], f32[] then {
    %2 = neg %x : f32[]
    yield %2, %x
  } else {
    yield %x, %x
  }
  return %0, %1
}
func @power(%x: f32[], %s: f32[T]) -> (f32[], i32[]) {
  %zero = constant {value = 0, elem = "i32", shape = []} : i32[]
  %y, %last = for %x, %zero {count = <T>} : f32[], i32[] do (%i: i32[], %a: f32[], %old: i32[]) {
    %2 = mul %a, %x : f32[]
    yield %2, %i
  }
  return %y, %last
}
func @shrink(%x: f32[N]) -> (f32[N]) {
  %one = constant {value = 1, elem = "f32", shape = []} : f32[]
  %y = while %x : f32[N] while (%a: f32[N]) {
    %s = sum %a {axes = (0), keepdims = false} : f32[]
    %c = gt %s, %one : bool[]
    yield %c
  } do (%b: f32[N]) {
    %h = call @halve %b : f32[N]
    yield %h
  }
  return %y
}
func @fused(%x: f32[N]) -> (f32[N]) {
  %y = fusion %x {family = "elementwise"} : f32[N] of (%a: f32[N]) {
    %b = neg %a : f32[N]
    yield %b
  }
  return %y
}
func @checked(%x: f32[A], %y: f32[B]) -> (f32[A]) {
  check A == 2*B "A must be twice B"
  check B >= 1 "B is empty"
  return %x
}
func @tenth() -> (f32[]) {
  %0 = constant {value = 0.1, elem = "f32", shape = []} : f32[]
  %1 = mul %0, %0 : f32[]
  return %1
}`);

const f32 = (...x: number[]) => ndarray('f32', [x.length], x);
const scalar = (x: number) => ndarray('f32', [], [x]);
const bool = (x: boolean) => ndarray('bool', [], [Number(x)]);
const data = (func: string, ...inputs: Parameters<typeof interpret>[2]): number[][] =>
  interpret(m, func, inputs).map((r) => [...r.data]);

test('calls bind sizes of the callee', (t) => {
  t.deepEqual(data('calls', f32(2, 4), f32(1, 2, 3, 4, 5)), [[1, 2], [0.5, 1, 1.5, 2, 2.5], [4]]);
});

test('if runs one branch', (t) => {
  t.deepEqual(data('branch', scalar(3), bool(true)), [[-3], [3]]);
  t.deepEqual(data('branch', scalar(3), bool(false)), [[3], [3]]);
});

test('for carries values and knows its position', (t) => {
  t.deepEqual(data('power', scalar(2), f32(0, 0, 0)), [[16], [2]]);
  t.deepEqual(data('power', scalar(2), f32()), [[2], [0]]);
});

test('while runs as long as its condition holds', (t) => {
  t.deepEqual(data('shrink', f32(4, 4)), [[0.5, 0.5]]);
  t.deepEqual(data('shrink', f32(0.5, 0.25)), [[0.5, 0.25]]);
});

test('a fusion means its region', (t) => {
  t.deepEqual(data('fused', f32(1, -2)), [[-1, 2]]);
});

test('rounding is by request', (t) => {
  t.is(interpret(m, 'tenth', [])[0]!.data[0], 0.1 * 0.1);
  t.is(interpret(m, 'tenth', [], { round: true })[0]!.data[0], Math.fround(Math.fround(0.1) * Math.fround(0.1)));
});

test('every op can be watched', (t) => {
  const seen: string[] = [];
  interpret(m, 'calls', [f32(2), f32(1, 2, 3)], { onOp: (op) => void seen.push(op.kind) });
  t.deepEqual(seen, ['constant', 'mul', 'call', 'constant', 'mul', 'call', 'size']);
});

for (const [what, run, message] of [
  ['an unknown function', () => interpret(m, 'gone', []), /no function @gone/],
  ['too few arrays', () => interpret(m, 'halve', []), /takes 1 arrays, not 0/],
  ['a wrong rank', () => interpret(m, 'halve', [scalar(1)]), /f32\[N\], not f32\[\]/],
  ['a wrong element type', () => interpret(m, 'halve', [ndarray('i32', [1])]), /not i32\[1\]/],
  ['sizes that disagree', () => interpret(m, 'calls', [f32(1), f32(1)]), /f32\[2\*A \+ 1\], not f32\[1\]/],
  ['a check of equality', () => interpret(m, 'checked', [f32(1), f32(1)]), /^A must be twice B$/],
  ['a check of a bound', () => interpret(m, 'checked', [f32(), f32()]), /^B is empty$/],
  ['a loop without end', () => interpret(m, 'shrink', [f32(Infinity)], { maxIterations: 9 }), /after 9 iterations/],
] as const) {
  test(`${what} is a fault`, (t) => {
    t.regex(t.throws(run, { instanceOf: InterpretFault })?.message ?? '', message);
  });
}
