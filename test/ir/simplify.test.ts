/** Each rule of `simplify` alone: what it makes of a small function, and that its bits stay. */
import test from 'ava';
import { interpret } from '../../src/ir/interpret.ts';
import { evaluate } from '../../src/ir/dim.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import { simplify } from '../../src/ir/passes/simplify.ts';
import { RULES } from '../../src/ir/passes/simplify/rules.ts';
import type { Module } from '../../src/ir/ir.ts';
import { SIMPLIFY_CASES as CASES } from '../support/simplify-cases.ts';
import { expectSameBits } from '../support/compare.ts';

function moduleOf(params: string, program: string): Module {
  const [ops, results] = program.split(' => ') as [string, string];
  const type = (v: string): string => new RegExp(`${v}: (\\w+\\[[^\\]]*\\])`).exec(params)?.[1] ?? lastType(ops, v);
  const types = results.split(', ').map(type).join(', ');
  return parseModule(`func @f(${params}) -> (${types}) {\n${ops.replaceAll('; ', '\n')}\nreturn ${results}\n}`);
}

const ops = (program: string): string => program.split(' => ')[0]!;

const lastType = (ops: string, v: string): string =>
  / : (.*)$/.exec(ops.split('; ').find((l) => l.startsWith(`${v} = `)) ?? '')?.[1] ?? '';

/** Values that rules of arithmetic stumble over. */
const SPECIAL = [0, -0, 1.5, -2.25, Infinity, -Infinity, NaN, 1e-40, 3e38, 0.1];

function inputsOf(module: Module): NdArray[] {
  const dims = new Map([['B', 4]]);
  return module.funcs.get('f')!.body.params.map((p, k) => {
    const x = ndarray(
      p.type.elem,
      p.type.shape.map((d) => evaluate(d, dims)),
    );
    for (let i = 0; i < x.data.length; i++) {
      const v = SPECIAL[(i * 3 + k) % SPECIAL.length]!;
      x.data[i] = p.type.elem === 'f32' ? Math.fround(v) : p.type.elem === 'bool' ? i % 2 : i - 2;
    }
    return x;
  });
}

CASES.forEach(([name, params, before, after], i) => {
  test(`${name} (${i})`, (t) => {
    const module = moduleOf(params, before);
    const applied: string[] = [];
    // `fold` is not a rule; the other rules would take part in some cases.
    const rules = RULES.filter((r) => r.name === name);
    const simple = simplify(module, { late: true, rules, onRule: (n) => applied.push(n) });
    t.is(printModule(simple), printModule(moduleOf(params, after)));
    t.is(applied.includes(name), before !== after);
    const inputs = inputsOf(module);
    t.notThrows(() =>
      expectSameBits(interpret(simple, 'f', inputs, { round: true }), interpret(module, 'f', inputs, { round: true })),
    );
  });
});

test('every rule has a case, a reason and a name of its own', (t) => {
  const cased = new Set(CASES.map(([name]) => name));
  t.deepEqual(
    RULES.map((r) => r.name).filter((n) => !cased.has(n)),
    [],
  );
  t.is(new Set(RULES.map((r) => r.name)).size, RULES.length);
  t.true(RULES.every((r) => r.why.length > 10));
});

const text = (params: string, program: string, late = false): string => {
  const m = simplify(moduleOf(params, program), { late });
  return printModule(m)
    .split('\n')
    .slice(1, -3)
    .map((l) => l.trim())
    .join('; ');
};

test('what looks like a rule and is not', (t) => {
  const zero = '%0 = constant {value = 0, elem = "f32", shape = []} : f32[]';
  const kept = [
    `${zero}; %y = add %x, %0 : f32[B] => %y`, // -0 + 0 is 0
    `${zero}; %y = mul %x, %0 : f32[B] => %y`, // NaN * 0 is NaN
    `${zero}; %y = sub %0, %x : f32[B] => %y`, // 0 - 0 is 0, -0 would be neg
    '%y = sub %x, %x : f32[B] => %y', // Infinity - Infinity is NaN
    '%y = eq %x, %x : bool[B] => %y', // NaN is not NaN
    '%y = sum %x {axes = [], keepdims = false} : f32[B] => %y', // 0 + -0 is 0
    '%0 = constant {value = 3, elem = "f32", shape = []} : f32[]; %y = div %x, %0 : f32[B] => %y',
    '%y = stop_gradient %x : f32[B] => %y',
  ];
  for (const k of kept) t.is(text('%x: f32[B]', k), ops(k));
});

test('constants fold to the last bit, and only where kernels round correctly', (t) => {
  const c = (name: string, x: string): string => `%${name} = constant {value = ${x}, elem = "f32", shape = []} : f32[]`;
  t.is(
    text('', `${c('a', '0.1')}; ${c('b', '0.2')}; %y = add %a, %b : f32[] => %y`),
    `%0 = constant {value = ${Math.fround(Math.fround(0.1) + Math.fround(0.2))}, elem = "f32", shape = []} : f32[]`,
  );
  t.is(text('', `${c('a', '2')}; %y = sqrt %a : f32[] => %y`), c('0', String(Math.fround(Math.SQRT2))));
  const exp = `${c('a', '2')}; %y = exp %a : f32[] => %y`;
  t.is(text('', exp), ops(exp));
  t.is(text('', '%n = size {dim = <7>} : i32[]; %y = cast %n {elem = "f32"} : f32[] => %y'), c('0', '7'));
  t.is(
    text(
      '',
      '%a = constant {value = 7, elem = "i32", shape = []} : i32[]; %b = constant {value = -2, elem = "i32", shape = []} : i32[]; %y = div %a, %b : i32[] => %y',
    ),
    '%0 = constant {value = -4, elem = "i32", shape = []} : i32[]',
  );
  t.is(text('%x: f32[B]', '%n = size {dim = <B>} : i32[] => %n'), '%n = size {dim = <B>} : i32[]');
});

test('equal ops become one, also across regions, but not out of them', (t) => {
  const m = parseModule(`func @f(%x: f32[B], %z: f32[B], %c: bool[]) -> (f32[B]) {
  %0 = add %x, %z : f32[B]
  %1 = add %z, %x : f32[B]
  %2 = if %c : f32[B] then {
    %3 = add %x, %z : f32[B]
    %4 = sin %3 : f32[B]
    yield %4
  } else {
    %5 = sin %1 : f32[B]
    yield %5
  }
  %6 = sin %0 : f32[B]
  %7 = add %2, %6 : f32[B]
  return %7
}`);
  t.is(
    printModule(simplify(m)),
    `func @f(%x: f32[B], %z: f32[B], %c: bool[]) -> (f32[B]) {
  %0 = add %x, %z : f32[B]
  %1 = if %c : f32[B] then {
    %2 = sin %0 : f32[B]
    yield %2
  } else {
    %3 = sin %0 : f32[B]
    yield %3
  }
  %4 = sin %0 : f32[B]
  %5 = add %1, %4 : f32[B]
  return %5
}
`,
  );
});

test('a known condition keeps one branch, a loop of no iterations its initial values', (t) => {
  const m = parseModule(`func @f(%x: f32[B]) -> (f32[B]) {
  %c = constant {value = 0, elem = "bool", shape = []} : bool[]
  %0 = if %c : f32[B] then {
    yield %x
  } else {
    %1 = sin %x : f32[B]
    yield %1
  }
  %2 = for %0 {count = <0>} : f32[B] do (%i: i32[], %a: f32[B]) {
    %3 = sin %a : f32[B]
    yield %3
  }
  return %2
}`);
  t.is(printModule(simplify(m)), 'func @f(%x: f32[B]) -> (f32[B]) {\n  %0 = sin %x : f32[B]\n  return %0\n}\n');
});

test('dead ops go, in regions too', (t) => {
  const m = parseModule(`func @f(%x: f32[B], %c: bool[]) -> (f32[B]) {
  %dead = sin %x : f32[B]
  %0 = if %c : f32[B] then {
    %1 = exp %x : f32[B]
    yield %x
  } else {
    %2 = cos %x : f32[B]
    yield %2
  }
  return %0
}`);
  t.false(/sin|exp/.test(printModule(simplify(m))));
});
