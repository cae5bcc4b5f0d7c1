/** Functions that have become equal are one; names, roots and origins decide which and whether. */
import test from 'ava';
import { parseModule } from '../../src/ir/parse.ts';
import { mergeEqual } from '../../src/ir/passes/merge.ts';
import { printModule } from '../../src/ir/print.ts';

const leaf = (name: string, kind = 'sin', x = 'x'): string =>
  `func @${name}(%${x}: f32[B]) -> (f32[B]) {\n  %0 = ${kind} %${x} : f32[B]\n  return %0\n}\n`;
const caller = (name: string, ...callees: string[]): string =>
  `func @${name}(%x: f32[B]) -> (f32[B]) {\n${callees.map((c, i) => `  %${i} = call @${c} %${i === 0 ? 'x' : i - 1} : f32[B]\n`).join('')}  return %${callees.length - 1}\n}\n`;
const merged = (text: string, ...roots: string[]): string => printModule(mergeEqual(parseModule(text), roots));

test('equal functions and callers of equal functions become one', (t) => {
  const text = [leaf('a'), leaf('b'), caller('p', 'a'), caller('q', 'b'), caller('main', 'p', 'q')].join('\n');
  t.is(merged(text, 'main'), [leaf('a'), caller('p', 'a'), caller('main', 'p', 'p')].join('\n'));
});

test('roots keep their names', (t) => {
  const text = [leaf('a'), leaf('b'), caller('main', 'b')].join('\n');
  t.is(merged(text, 'main', 'a', 'b'), [leaf('a'), leaf('b'), caller('main', 'a')].join('\n'));
});

test('other ops, other types and other places are other functions', (t) => {
  const text = [leaf('a'), leaf('b', 'cos'), leaf('c').replaceAll('f32', 'f16')].join('\n');
  t.is(merged(text), text);
  const m = parseModule([leaf('a'), leaf('b')].join('\n'));
  const b = m.funcs.get('b')!;
  const moved = { ...b, origin: { span: { file: 'b.net', start: 3, end: 4 }, path: '' } };
  t.is(mergeEqual({ funcs: new Map([...m.funcs, ['b', moved]]) }, []).funcs.size, 2);
});
