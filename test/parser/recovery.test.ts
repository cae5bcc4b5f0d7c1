/** A fault costs what it stands in and no more: the rest of the file is read, and each fault has one message. */
import test from 'ava';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { parse } from '../../src/parser/index.ts';
import type { BlockDecl, Decl, Member } from '../../src/parser/index.ts';

function read(text: string): { decls: readonly Decl[]; messages: string[] } {
  const bag = new DiagnosticBag();
  const { decls } = parse(text, 'a.net', bag);
  return {
    decls,
    messages: bag.all.map(({ span, message }) => `${text.slice(0, span.start).split('\n').length}: ${message}`),
  };
}

const memberName = (member: Member): string =>
  member.kind === 'method' ? member.fn.name.name : 'name' in member ? member.name.name : member.kind;
const members = (decl: Decl | undefined): string[] => (decl as BlockDecl).members.map(memberName);

test('three faults give three messages, and everything sound is there', (t) => {
  const { decls, messages } = read(`
block A { a = Linear(4, ); b = Linear(1 2); c = Linear(2, 2) }
block B(n: int = ) { x = Linear(1, 1); param w f32[2] }
fn f(x: f32[B]) -> f32[B] { y = x + ; y }
fn g(x: f32[B]) -> f32[B] => x
`);
  t.deepEqual(messages, [
    '2: expected `,` or `)`, found `2`',
    '3: expected a value, found `)`',
    '3: expected `:` and a type, found `f32`',
    '4: expected a value, found `;`',
  ]);
  t.deepEqual(
    decls.map((decl) => decl.name.name),
    ['A', 'B', 'f', 'g'],
  );
  t.deepEqual(members(decls[0]), ['a', 'b', 'c']);
});

test('a fault inside braces inside brackets stays there', (t) => {
  const { decls, messages } = read('block A {\n a = f(x => { y = , 2\n z }, 3)\n b = g(1)\n}\n');
  t.deepEqual(messages, ['2: expected a value, found `,`']);
  t.deepEqual(members(decls[0]), ['a', 'b']);
});

test('an unclosed bracket ends on its line', (t) => {
  const { decls, messages } = read('block A {\n a = f(1, [2, 3\n b = g(1\n c = h(2)\n}\nblock C { }\n');
  t.deepEqual(messages, ['2: this `(` is never closed', '2: this `[` is never closed', '3: this `(` is never closed']);
  t.deepEqual(members(decls[0]), ['a', 'b', 'c']);
  t.is(decls.length, 2);
});

test('an unclosed bracket over several lines ends where the indentation does', (t) => {
  const { decls, messages } = read('block A {\n  a = f(\n    1,\n    2\n  b = g(1)\n}\n');
  t.deepEqual(messages, ['2: this `(` is never closed']);
  t.deepEqual(members(decls[0]), ['a', 'b']);
});

test('a forgotten brace is blamed on the line that opened it, and the next declaration is whole', (t) => {
  const { decls, messages } = read(
    'block A {\n  f(x: f32[B]) -> f32[B] {\n    x\n}\n\nexport block C {\n  c = D()\n}\n',
  );
  t.deepEqual(messages, ['2: this `{` is never closed']);
  t.deepEqual(
    decls.map((decl) => decl.name.name),
    ['A', 'C'],
  );
  t.deepEqual(members(decls[1]), ['c']);
});

test('a brace too many does not end the block', (t) => {
  const { decls, messages } = read('block A {\n  a = f(1))\n  b = g(2]\n  c = h(3)\n}\n}\nblock B { }\n');
  t.deepEqual(messages, [
    '2: this `)` closes nothing',
    '3: this `(` is never closed',
    '3: this `]` closes nothing',
    '6: this `}` closes nothing',
  ]);
  t.deepEqual(members(decls[0]), ['a', 'b', 'c']);
  t.is(decls.length, 2);
});

test('the end of the file is found wherever it comes', (t) => {
  const whole =
    'export block A(n: int = 3) { net = seq { Linear(n, [2]) }; f(x: f32[B]) -> f32[B] { if a { x } else { net(x) } } }';
  for (let length = 1; length < whole.length; length++) {
    const bag = new DiagnosticBag();
    parse(whole.slice(0, length), 'a.net', bag);
    t.true(bag.hasErrors, whole.slice(0, length));
  }
  t.deepEqual(read(whole).messages, []);
});

test('one message for a file that is nested too deeply', (t) => {
  for (const deep of [
    `const k = ${'('.repeat(5000)}1${')'.repeat(5000)}`,
    `const k = ${'['.repeat(5000)}`,
    `const k = ${'-'.repeat(5000)}1`,
    `const k = ${'not '.repeat(5000)}a`,
    `const k = ${'x => '.repeat(5000)}1`,
    `const k = ${'1 + '.repeat(5000)}1`,
    `const k = a${'.b'.repeat(5000)}`,
    `const k = a${'(1)'.repeat(5000)}`,
    `type T = ${'(int) -> '.repeat(5000)}int`,
    `fn f() { ${'if a { b } else '.repeat(5000)} { c } }`,
    `block A { ${'if a { } else '.repeat(5000)} { } }`,
    `block A { s = seq { ${'if a { } else '.repeat(5000)} { } } }`,
    `fn f() ${'{ if a '.repeat(5000)}`,
  ]) {
    const { messages } = read(deep);
    t.deepEqual(messages, ['1: this is nested too deeply'], deep.slice(0, 40));
  }
});

test('what the limits allow is read', (t) => {
  t.deepEqual(read(`const k = ${'('.repeat(58)}1${')'.repeat(58)}`).messages, []);
  t.deepEqual(read(`const k = ${'1 + '.repeat(500)}1`).messages, []);
});
