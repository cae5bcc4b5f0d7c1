/** The verifier: each rule of legality broken once. */
import test from 'ava';
import type { Func, Module, Op } from '../../src/ir/ir.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { verify } from '../../src/ir/verify.ts';

const CASES: readonly (readonly [string, string, readonly string[]])[] = [
  ['a legal function', '%y = neg %x : f32[B] ; return %x', []],
  ['an op that does not exist', '%y = blur %x : f32[B]', ['blur (%y): no op has this name']],
  ['too many operands', '%y = neg %x, %x : f32[B]', ['neg (%y): takes 1 tensor, not 2']],
  ['a wrong element type', '%y = not %x : f32[B]', ['not (%y): `x` must hold bool or i32 or u32, not f32']],
  ['a missing attribute', '%y = reshape %x : f32[B]', ['reshape (%y): attribute shape must be of the kind dims']],
  [
    'an attribute of another kind',
    '%y = flip %x {axes = [B]} : f32[B]',
    ['flip (%y): attribute axes must be of the kind ints'],
  ],
  [
    'a result that is not what the row says',
    '%y = neg %x : f32[2]',
    ['neg (%y): result 0 is f32[2], but must be f32[B]'],
  ],
  ['a result of another element type', '%y = lt %x, %x : f32[B]', ['lt (%y): result 0 is f32[B], but must be bool[B]']],
  [
    'shapes that cannot fit',
    '%a = constant {value = 0, elem = "f32", shape = [2]} : f32[2]; %b = constant {value = 0, elem = "f32", shape = [3]} : f32[3]; %y = add %a, %b : f32[3]',
    ['add (%y): shapes [2] and [3] do not fit: 2 against 3 in axis 0; only a size of 1 stretches'],
  ],
  [
    'a size that nothing binds, in a type and an attribute',
    '%y = constant {value = 0, elem = "f32", shape = [Q]} : f32[Q]',
    [
      'constant (%y): an attribute uses the size Q, which no parameter binds',
      'constant (%y): a type uses the size Q, which no parameter binds',
    ],
  ],
  [
    'a condition that is no bool',
    '%y = if %x : f32[B] then {\nyield %x\n} else {\nyield %x\n}',
    ['if (%y): the condition must be one bool[]'],
  ],
  ['one branch', '%y = if %c : f32[B] then {\nyield %x\n}', ['if (%y): takes two regions']],
  [
    'branches of other types',
    '%y = if %c : f32[B] then {\nyield %x\n} else {\nyield %c\n}',
    ['if (%y): branch value 0 is bool[], but must be f32[B]'],
  ],
  [
    'a branch with too few values',
    '%y = if %c : f32[B] then {\nyield %x\n} else {\nyield\n}',
    ['if (%y): branch values: 0 where 1 are due'],
  ],
  [
    'a carry that changes its type',
    '%y = for %x {count = <3>} : f32[B] do (%i: i32[], %a: f32[B]) {\nyield %c\n}',
    ['for (%y): carried value 0 is bool[], but must be f32[B]'],
  ],
  [
    'a loop without its position',
    '%y = for %x {count = <3>} : f32[B] do (%a: f32[B]) {\nyield %a\n}',
    ['for (%y): parameters: 1 where 2 are due'],
  ],
  [
    'a loop condition that is no bool',
    '%y = while %x : f32[B] while (%a: f32[B]) {\nyield %a\n} do (%b: f32[B]) {\nyield %b\n}',
    ['while (%y): condition 0 is f32[B], but must be bool[]'],
  ],
  [
    'a fusion that looks outside',
    '%y = fusion %x {family = "f"} : f32[B] of (%a: f32[B]) {\n%z = add %a, %x : f32[B]\nyield %z\n}',
    ['add (%z): operand 1 is not defined here'],
  ],
  ['a call of nothing', '%y = call @gone %x : f32[B]', ['call (%y): there is no function @gone']],
  [
    'a call with a wrong operand',
    '%y = call @pair %x, %c : f32[B, 2]',
    ['call (%y): operand 0 is f32[B], but must be f32[B, 2]', 'call (%y): operand 1 is bool[], but must be f32[B]'],
  ],
  [
    'a call whose sizes disagree',
    '%p = constant {value = 0, elem = "f32", shape = [3, 2]} : f32[3, 2]; %y = call @pair %p, %x : f32[3, 2]',
    ['call (%y): operand 1 is f32[B], but must be f32[3]'],
  ],
];

const OTHERS = `
func @pair(%p: f32[N, 2], %q: f32[N]) -> (f32[N, 2]) {
  return %p
}`;

const moduleOf = (ops: string): Module =>
  parseModule(
    `func @f(%x: f32[B], %c: bool[]) -> (f32[B]) {\n${ops.replace(/;/g, '\n').replace('return %x', '')}\nreturn %x\n}${OTHERS}`,
  );

for (const [what, ops, faults] of CASES) {
  test(what, (t) => {
    t.deepEqual(
      verify(moduleOf(ops)).map((f) => f.replace('@f ', '')),
      [...faults],
    );
  });
}

/** What text cannot say is made by hand. */
const edited = (m: Module, edit: (f: Func, ops: readonly Op[]) => Partial<Func['body']>): Module => {
  const f = m.funcs.get('f')!;
  return { funcs: new Map([...m.funcs, ['f', { ...f, body: { ...f.body, ...edit(f, f.body.ops) } }]]) };
};

test('a use before the definition', (t) => {
  const m = edited(moduleOf('%y = neg %x : f32[B]; %z = sin %y : f32[B]'), (_f, ops) => ({ ops: [...ops].reverse() }));
  t.deepEqual(verify(m), ['@f sin (%z): operand 0 is not defined here']);
});

test('a value that is defined twice', (t) => {
  const m = edited(moduleOf('%y = neg %x : f32[B]'), (_f, ops) => ({ ops: [...ops, ...ops] }));
  t.deepEqual(verify(m), ['@f neg (%y): a value of type f32[B] is defined twice']);
});

test('a result that is not defined', (t) => {
  const m = edited(moduleOf('%y = neg %x : f32[B]'), (_f, ops) => ({ ops: [], results: ops[0]!.results }));
  t.deepEqual(verify(m), ['@f: result 0 of a region is not defined in it']);
});

test('regions on an op that has none', (t) => {
  const m = edited(moduleOf('%y = neg %x : f32[B]'), (f, ops) => ({
    ops: [{ ...ops[0]!, regions: [{ ...f.body, params: [], ops: [] }] }],
  }));
  t.deepEqual(verify(m), ['@f neg (%y): takes no regions']);
});

test('a function under another name', (t) => {
  const m = moduleOf('');
  t.deepEqual(verify({ funcs: new Map([['g', m.funcs.get('f')!]]) }), ['@g: its function is called @f']);
});

test('a cycle of calls', (t) => {
  const m = parseModule(`
func @a(%x: f32[]) -> (f32[]) {
  %y = call @b %x : f32[]
  return %y
}
func @b(%x: f32[]) -> (f32[]) {
  %y = call @a %x : f32[]
  return %y
}`);
  t.deepEqual(verify(m), ['@a calls itself: @a -> @b -> @a']);
});

test('checks make sizes interchangeable that arithmetic does not know to be equal', (t) => {
  const text = (check: string): string =>
    `func @f(%x: f32[A], %y: f32[B]) -> (f32[A]) {\n${check}\n%p = constant {value = 0, elem = "f32", shape = [A, 2]} : f32[A, 2]\n%q = call @pair %p, %y : f32[A, 2]\nreturn %x\n}${OTHERS}`;
  t.is(verify(parseModule(text(''))).length, 1);
  t.deepEqual(verify(parseModule(text('check A == B "A is not B"'))), []);
});
