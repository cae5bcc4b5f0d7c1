/** The textual form of net IR: prints, parses back, and says where a fault is. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { parseModule, IrTextFault } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';

const PROGRAM = `func @relu(%x: f32[B, 4]) -> (f32[B, 4]) {
  %0 = constant {value = 0, elem = "f32", shape = []} : f32[]
  %1 = maximum %x, %0 : f32[B, 4]
  return %1
}

func @"odd name"(%x: f32[B, (H + 1)/2, 2*H*W - 3, (H%2), (H%(W + 1)), min(2*W, H)], %y.w: i32[]) -> () {
  check B == 2*H "B is not twice H"
  check H >= 3 "too \\"small\\""
  return
}

func @main(%x: f32[B, 4], %n: i32[], %c: bool[]) -> (f32[B, 4], f32[B, 4]) {
  %0 = call @relu %x : f32[B, 4]
  %1 = if %c : f32[B, 4] then {
    %2 = neg %0 : f32[B, 4]
    yield %2
  } else {
    yield %0
  }
  %acc = for %x {count = <B>} : f32[B, 4] do (%i: i32[], %x_1: f32[B, 4]) {
    %3 = add %x_1, %1 : f32[B, 4]
    yield %3
  }
  %4 = while %acc : f32[B, 4] while (%5: f32[B, 4]) {
    yield %c
  } do (%6: f32[B, 4]) {
    yield %6
  }
  %7, %8 = odd.op %4 {a = (1, -2.5, -0, inf, -inf, nan, 1e-7), b = ["x", "\\n"], c = true, d = null, e = [B, 2], f = <B + 1>, g = "s", h = -3} : bf16[], u32[2]
  nothing
  return %4, %acc
}
`;

test('what is printed is parsed back', (t) => {
  const text = printModule(parseModule(PROGRAM));
  t.is(printModule(parseModule(text)), text);
  // Dims are normalised on the way: only they may differ from what was written.
  t.is(text.replace('((H + 1)/2)', '(H + 1)/2'), PROGRAM);
});

test('the example of the documentation is as the printer writes it', (t) => {
  const page = readFileSync(new URL('../../docs/ir.md', import.meta.url), 'utf8');
  const text = /```\n(func[^`]*)```/.exec(page)?.[1] ?? '';
  t.is(printModule(parseModule(text)), text);
});

test('attributes keep their kinds', (t) => {
  const op = parseModule(PROGRAM)
    .funcs.get('main')!
    .body.ops.find((o) => o.kind === 'odd.op')!;
  t.deepEqual(op.attrs['a'], [1, -2.5, -0, Infinity, -Infinity, NaN, 1e-7]);
  t.deepEqual(op.attrs['b'], ['x', '\n']);
  t.is(op.attrs['d'], null);
  t.is(String(op.attrs['f']), 'B + 1');
  t.is(op.attrs['h'], -3);
});

test('names come from hints and are made unique', (t) => {
  const m = parseModule('func @f(%x: f32[]) -> (f32[]) {\n %x.y = neg %x : f32[]\n return %x.y\n}');
  const f = m.funcs.get('f')!;
  const x = { type: f.body.params[0]!.type, hint: 'a b' };
  const op = { ...f.body.ops[0]!, operands: [x], results: [{ ...x, hint: 'a b' }] };
  const g = { ...f, body: { params: [x], ops: [op, { ...op, results: [{ ...x, hint: '1' }] }], results: op.results } };
  t.is(
    printModule({ funcs: new Map([['f', g]]) }),
    'func @f(%a_b: f32[]) -> (f32[]) {\n  %a_b_1 = neg %a_b : f32[]\n  %_1 = neg %a_b : f32[]\n  return %a_b_1\n}\n',
  );
});

test('origins are comments', (t) => {
  const m = parseModule('func @f(%x: f32[]) -> (f32[]) {\n return %x\n}');
  const text = printModule(m, { origin: () => 'a.net:3  net.0' });
  t.true(text.includes('{   // a.net:3 net.0\n'));
  t.is(printModule(parseModule(text)), printModule(m));
});

for (const [what, text, line, message] of [
  ['an unknown value', 'func @f() -> () {\n\n  neg %x\n  return\n}', 3, /%x is not defined/],
  [
    'a value of another region',
    'func @f(%c: bool[]) -> () {\n if %c then {\n %a = neg %c : bool[]\n yield\n }\n return %a\n}',
    6,
    /%a is not defined/,
  ],
  ['two definitions', 'func @f(%x: f32[], %x: f32[]) -> () {\n return\n}', 1, /%x is defined twice/],
  ['two functions', 'func @f() -> () {\n return\n}\nfunc @f() -> () {\n return\n}', 4, /@f is defined twice/],
  ['a bad element type', 'func @f(%x: f64[]) -> () {\n return\n}', 1, /no element type f64/],
  ['result types that lie', 'func @f(%x: f32[]) -> (i32[]) {\n return %x\n}', 1, /types of @f/],
  ['a missing type', 'func @f(%x: f32[]) -> () {\n %y = neg %x\n return\n}', 3, /1 results of neg, but 0 types/],
  ['a fraction of a size', 'func @f(%x: f32[1.5]) -> () {\n return\n}', 1, /must be an integer/],
  ['a division by zero', 'func @f(%x: f32[B/0]) -> () {\n return\n}', 1, /divided by zero/],
  ['the end', 'func @f() -> () {\n', 2, /expected an op/],
  ['an odd character', 'func @f() -> () {\n ?', 2, /unexpected "\?"/],
] as const) {
  test(`${what} is a fault with its line`, (t) => {
    const fault = t.throws(() => parseModule(text), { instanceOf: IrTextFault });
    t.is(fault?.line, line);
    t.regex(fault?.message ?? '', message);
  });
}
