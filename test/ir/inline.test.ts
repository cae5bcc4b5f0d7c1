/** What is inlined, what stays a call, and what becomes of checks and paths. */
import test from 'ava';
import type { Module } from '../../src/ir/ir.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { printFunc } from '../../src/ir/print.ts';
import { calleesOf } from '../../src/ir/passes/dce.ts';
import { inline } from '../../src/ir/passes/inline.ts';
import { verify } from '../../src/ir/verify.ts';

/** `calls` of @name in a row, then `heavy` matmuls. */
const chain = (name: string, calls: readonly string[], heavy: number): string => {
  const lines = [
    ...calls.map((c, i) => `%c${i} = call @${c} %${i === 0 ? 'x' : `c${i - 1}`} : f32[B, 2]`),
    ...Array.from(
      { length: heavy },
      (_, i) => `%m${i} = matmul %x, %w {transpose_a = false, transpose_b = false} : f32[B, 2]`,
    ),
  ];
  const last = heavy > 0 ? `%m${heavy - 1}` : calls.length > 0 ? `%c${calls.length - 1}` : '%x';
  const weight = '%w = constant {value = 1, elem = "f32", shape = [2, 2]} : f32[2, 2]';
  return `func @${name}(%x: f32[B, 2]) -> (f32[B, 2]) {\n${weight}\n${lines.join('\n')}\nreturn ${last}\n}\n`;
};

const left = (m: Module): Record<string, number> =>
  Object.fromEntries([...m.funcs].map(([name, f]) => [name, calleesOf(f.body).length]));

test('light functions vanish however often they are called', (t) => {
  const m = parseModule(chain('linear', [], 1) + chain('main', ['linear', 'linear', 'linear'], 0));
  const made = inline(m, ['main']);
  t.deepEqual(left(made), { main: 0 });
  t.deepEqual(verify(made), []);
});

test('heavy functions stay when they are called twice, with their leaves inlined', (t) => {
  const m = parseModule(
    chain('linear', [], 1) +
      chain('layer', ['linear', 'linear'], 0) +
      chain('once', ['linear', 'linear', 'linear'], 0) +
      chain('main', ['layer', 'once', 'layer', 'layer'], 0),
  );
  t.deepEqual(left(inline(m, ['main'])), { layer: 0, main: 3 });
});

test('a function between is inlined and brings its calls', (t) => {
  const m = parseModule(chain('layer', [], 2) + chain('stack', ['layer', 'layer'], 0) + chain('main', ['stack'], 0));
  t.deepEqual(left(inline(m, ['main'])), { layer: 0, main: 2 });
});

test('calls from two places count, those from two programs do not', (t) => {
  const parts = chain('layer', [], 2) + chain('a', ['layer'], 2) + chain('b', ['layer'], 2);
  const one = parseModule(`${parts}${chain('main', ['a', 'b'], 0)}`);
  t.deepEqual(left(inline(one, ['main'])), { layer: 0, main: 2 });
  t.deepEqual(left(inline(parseModule(parts), ['a', 'b'])), { a: 0, b: 0 });
});

test('32 ops are heavy without any contraction', (t) => {
  const sines = (n: number): string =>
    `func @f(%x: f32[B, 2]) -> (f32[B, 2]) {\n${Array.from({ length: n }, (_, i) => `%s${i} = sin %${i === 0 ? 'x' : `s${i - 1}`} : f32[B, 2]`).join('\n')}\nreturn %s${n - 1}\n}\n`;
  t.deepEqual(left(inline(parseModule(sines(31) + chain('main', ['f', 'f'], 0)), ['main'])), { main: 0 });
  t.deepEqual(left(inline(parseModule(sines(32) + chain('main', ['f', 'f'], 0)), ['main'])), { f: 0, main: 2 });
});

test('sizes are substituted, checks come along once, paths get the prefix of the caller', (t) => {
  const m = parseModule(`
func @f(%x: f32[N], %y: f32[M]) -> (f32[N]) {
  check N == 2*M "N must be twice M"
  %z = constant {value = 1, elem = "f32", shape = [N]} : f32[N]
  return %z
}
func @main(%a: f32[2*B], %b: f32[B], %c: f32[C]) -> (f32[2*B], f32[C]) {
  %0 = call @f %a, %b : f32[2*B]
  %1 = call @f %c, %b : f32[C]
  %2 = call @f %c, %b : f32[C]
  return %0, %2
}`);
  const at = (path: string) => ({ span: { file: 'a.net', start: 0, end: 1 }, path });
  const funcs = new Map(
    [...m.funcs].map(([name, f]) => {
      const path = name === 'f' ? 'inner' : 'net.0';
      return [name, { ...f, body: { ...f.body, ops: f.body.ops.map((o) => ({ ...o, origin: at(path) })) } }];
    }),
  );
  const made = inline({ funcs }, ['main']);
  t.is(
    printFunc(made.funcs.get('main')!, { origin: (o) => o.path }),
    `func @main(%a: f32[2*B], %b: f32[B], %c: f32[C]) -> (f32[2*B], f32[C]) {
  check C == 2*B "N must be twice M"
  %z = constant {value = 1, elem = "f32", shape = [2*B]} : f32[2*B]   // net.0.inner
  %z_1 = constant {value = 1, elem = "f32", shape = [C]} : f32[C]   // net.0.inner
  %z_2 = constant {value = 1, elem = "f32", shape = [C]} : f32[C]   // net.0.inner
  return %z, %z_2
}
`,
  );
});

test('calls inside regions are inlined, with regions of the callee', (t) => {
  const m = parseModule(`
func @f(%x: f32[N], %c: bool[]) -> (f32[N]) {
  %y = if %c : f32[N] then {
    %0 = sin %x : f32[N]
    yield %0
  } else {
    yield %x
  }
  return %y
}
func @main(%a: f32[B], %c: bool[]) -> (f32[B]) {
  %y = for %a {count = <2>} : f32[B] do (%i: i32[], %b: f32[B]) {
    %0 = call @f %b, %c : f32[B]
    %1 = call @f %0, %c : f32[B]
    yield %1
  }
  return %y
}`);
  const made = inline(m, ['main']);
  t.deepEqual(left(made), { main: 0 });
  t.deepEqual(verify(made), []);
});
