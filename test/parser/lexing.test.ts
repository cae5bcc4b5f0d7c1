/** Where words are keywords, where lines end, and what a number is. */
import test from 'ava';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { balance } from '../../src/parser/brackets.ts';
import { markKeywords } from '../../src/parser/keywords.ts';
import { layout } from '../../src/parser/layout.ts';
import { lex } from '../../src/parser/lexer.ts';

/** Tokens as text; keywords in capitals, ends of lines as `;`. */
function tokens(text: string): string {
  const bag = new DiagnosticBag();
  const { tokens: raw } = lex(text, 'a.net', bag);
  markKeywords(raw);
  return layout(balance(raw, text, 'a.net', bag))
    .map(({ tokenType: { name }, image }) =>
      name === 'End' ? ';' : name.toLowerCase() === image ? image.toUpperCase() : image,
    )
    .join(' ');
}

function codes(text: string): string[] {
  const bag = new DiagnosticBag();
  lex(text, 'a.net', bag);
  return bag.all.map(({ code }) => code);
}

test('newlines and semicolons end statements', (t) => {
  t.is(tokens('a\nb;c\n\n;\nd'), 'a ; b ; c ; d ;');
  t.is(tokens('zeros()\n**.bias ~ ones()'), 'zeros ( ) ; ** . bias ~ ones ( ) ;');
  t.is(tokens('a\r\nb\rc'), 'a ; b ; c ;');
});

test('but not inside ( and [, nor after an operator or a comma', (t) => {
  t.is(tokens('f(a,\n b\n)\n[c\n]'), 'f ( a , b ) ; [ c ] ;');
  t.is(tokens('a =\n b +\n c and\n d'), 'a = b + c AND d ;');
  t.is(tokens('f(x) ->\n g =>\n h'), 'f ( x ) -> g => h ;');
  t.is(tokens('f(x)\n -> g\n => h'), 'f ( x ) -> g => h ;');
  t.is(tokens('if a {\n b\n}\nelse {\n c\n}'), 'IF a { b ; } ELSE { c ; } ;');
});

test('inside { newlines count again, wherever it stands', (t) => {
  t.is(tokens('f(x => {\n a\n b\n}, c)'), 'f ( x => { a ; b ; } , c ) ;');
  t.is(tokens('{ a: 1,\n b: 2,\n}'), '{ a : 1 , b : 2 , } ;');
  t.is(tokens('{ }\n{\n}'), '{ } ; { } ;');
});

test('a wildcard at the end of a line is no operator', (t) => {
  t.is(
    tokens('freeze layers.*\nfreeze **\ncheckpoint *\nb *\nc'),
    'FREEZE layers . * ; FREEZE ** ; CHECKPOINT * ; b * c ;',
  );
});

test('a semicolon in brackets is a sign of its own', (t) => {
  t.is(tokens('type T = [f32[]; 3]'), 'TYPE T = [ f32 [ ] ; 3 ] ;');
});

test('declaring words are names where they declare nothing', (t) => {
  t.is(tokens('block = f(block: 1)\nblock A { }'), 'block = f ( block : 1 ) ; BLOCK A { } ;');
  t.is(tokens('x.block.type.init.for.none'), 'x . block . type . init . for . none ;');
  t.is(tokens('init.weight ~ a\ninit { }\ninit(x)'), 'init . weight ~ a ; INIT { } ; init ( x ) ;');
  t.is(tokens('train = 1\ntrain { }'), 'train = 1 ; TRAIN { } ;');
  t.is(tokens('update = update(x)\nupdate x = 1'), 'update = update ( x ) ; UPDATE x = 1 ;');
  t.is(tokens('for block in seq {'), 'FOR block IN seq { } ;');
  t.is(tokens('net = seq { seq }'), 'net = SEQ { seq ; } ;');
  t.is(tokens('export fn f\nexport = fn'), 'EXPORT FN f ; export = fn ;');
  t.is(tokens('import { A as B, from } from "x"'), 'IMPORT { A AS B , from ; } FROM "x" ;');
  t.is(tokens('buffer n: i32[] stored i64\nstored = 1'), 'BUFFER n : i32 [ ] STORED i64 ; stored = 1 ;');
  t.is(tokens('let a = tie\ntie a.b = c'), 'LET a = tie ; TIE a . b = c ;');
});

test('after a point only integers are read', (t) => {
  t.is(tokens('net.0.1.weight'), 'net . 0 . 1 . weight ;');
  t.is(tokens('0..T'), '0 .. T ;');
  t.is(tokens('0..10'), '0 .. 10 ;');
  t.is(tokens('x[..., 1.5e-3, 2e3, 1E5]'), 'x [ ... , 1.5e-3 , 2e3 , 1E5 ] ;');
});

test('numbers that are none', (t) => {
  t.deepEqual(codes('1.'), ['NW1009']);
  t.deepEqual(codes('(.5)'), ['NW1009']);
  t.deepEqual(codes('1.e5'), []); // the member `e5` of 1, which the checker rejects
  t.deepEqual(codes('2d'), ['NW1008']);
  t.deepEqual(codes('1_000'), ['NW1008']);
  t.deepEqual(codes('0x10'), ['NW1008']);
});

test('comments', (t) => {
  t.is(tokens('a // b\n/// c\n//// d\nb'), 'a ; b ;');
  t.deepEqual(codes('# a\n# b\n/* c\n d */ e'), ['NW1011', 'NW1011']);
  t.is(tokens('a /* b'), 'a ;');
});

test('tabs, form feeds, a byte-order mark and no-break spaces are space', (t) => {
  t.is(tokens('\ufeffa\t=\f b\u00a0+ c'), 'a = b + c ;');
  t.deepEqual(codes('\ufeffa\t=\f b\u00a0+ c'), []);
});

test('characters of no token', (t) => {
  t.deepEqual(codes('a € b'), ['NW1004']);
  t.is(tokens('größe = 3 − 2'), 'größe = 3 - 2 ;');
  t.deepEqual(codes('größe = 3 − 2'), ['NW1004', 'NW1004']);
  t.deepEqual(codes('\0\u0007'), ['NW1004']);
  t.deepEqual(codes('😀'), ['NW1004']);
});
