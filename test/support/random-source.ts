/** Programs of the language that make no sense but parse, in as ugly a layout as the rules allow: for the formatter. */
import fc from 'fast-check';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { continues } from '../../src/parser/layout.ts';
import { markKeywords } from '../../src/parser/keywords.ts';
import { lex } from '../../src/parser/lexer.ts';
import * as t from '../../src/parser/tokens.ts';

type Text = fc.Arbitrary<string>;

/** Words that are keywords elsewhere are names here. */
const name: Text = fc.constantFrom('x', 'y', 'weight', 'block', 'type', 'init', 'train', 'grad', 'a_rather_long_name');
const upper: Text = fc.constantFrom('B', 'T', 'Linear', 'Conv2d');
const atom: Text = fc.oneof(
  name,
  upper,
  fc.constantFrom(
    '0',
    '17',
    '1e-3',
    '2.50',
    '"text"',
    '"\\u{1f600}\\n \\""',
    'true',
    'none',
    '_',
    '""',
    '"// no comment"',
  ),
);
const list = (item: Text, open: string, close: string, min = 0): Text =>
  fc.array(item, { minLength: min, maxLength: 4 }).map((items) => `${open}${items.join(', ')}${close}`);
const join = (...parts: readonly (string | Text)[]): Text =>
  fc
    .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
    .map((texts) => texts.join(''));
const maybe = (text: Text): Text => fc.oneof(fc.constant(''), text);
/** Items on lines of their own or after `;`. */
const lines = (item: Text, open: string, max = 3): Text =>
  fc
    .array(fc.tuple(item, fc.constantFrom('; ', '\n', '\n\n\n')), { maxLength: max })
    .map((items) => `${open}{ ${items.map(([text, end]) => text + end).join('')} }`);

const sign = fc.constantFrom('+', '-', '*', '/', '%', '@', 'and', 'or');
const selector: Text = fc.constantFrom('net.0.weight', '**.bias', 'Conv2d.*', 'layers.*.**', 'block.type');

const { expr, block, type } = fc.letrec<{ expr: string; operand: string; block: string; stmt: string; type: string }>(
  (tie) => {
    const expr = tie('expr');
    const operand = tie('operand');
    const block = tie('block');
    const cond = join('(', expr, ')');
    const arg = fc.oneof(expr, join(name, ': ', expr));
    const head = join(fc.constantFrom('x', '(i, x)'), ' in (', expr, ')');
    const ifElse = join(
      'if ',
      cond,
      ' ',
      block,
      fc.oneof(fc.constant(' '), join(' else if ', cond, ' ', block)),
      'else ',
      block,
    ).map((text) => text.replace(/\} {2}?else/g, '} else'));
    const value = join('{ ', expr, ' }');
    const ifValue = join(
      'if ',
      cond,
      ' ',
      value,
      fc.oneof(fc.constant(''), join(' else if ', cond, ' ', value)),
      ' else ',
      value,
    );
    const entry = fc.oneof(expr, join(name, ' = ', expr), join('for ', head, ' ', lines(operand, '')));
    const slice = fc.oneof(operand, fc.constantFrom(':', '...', '1:-1', '::2', 'none', 'x:'));
    const depth = { maxDepth: 4, depthSize: 'small' as const };
    return {
      operand: fc.oneof(
        depth,
        atom,
        join('(', expr, ')'),
        join('-', operand),
        join(operand, list(arg, '(', ')')),
        join(operand, list(slice, '[', ']', 1)),
        join('(', operand, ').', fc.constantFrom('0', 'weight', 'block')),
      ),
      expr: fc.oneof(
        depth,
        operand,
        fc
          .array(fc.tuple(operand, sign), { minLength: 1, maxLength: 4 })
          .map((parts) => `${parts.map(([a, s]) => `${a} ${s} `).join('')}x`),
        join('(', operand, ' == ', operand, ')'),
        join('not (', expr, ')'),
        list(expr, '(', ',)', 1),
        list(expr, '[', ']'),
        join('[for ', head, ': ', expr, ']'),
        list(join(name, ': ', expr), '{', '}', 1),
        lines(entry, 'seq '),
        join('(', ifValue, ')'),
        join('(', name, ' => ', expr, ')'),
        join('((x, y) => ', block, ')'),
        join('(', operand, '..', operand, ')'),
      ),
      stmt: fc.oneof(
        depth,
        expr.map((text) => `(${text})`),
        join(name, ' = ', fc.oneof(expr, ifValue)),
        join('(x, y) = ', expr),
        join(name, list(slice, '[', ']', 1), ' = ', expr),
        join('update x.y = ', expr),
        ifElse,
        join('while ', cond, ' ', block),
        join('for ', head, ' ', block),
      ),
      block: lines(tie('stmt'), ''),
      type: fc.oneof(
        depth,
        fc.constantFrom(
          'int',
          'f32[]',
          'E[...S]',
          'f32[B, 3, H, W]',
          '"none" | "tanh"',
          '(int, int) | "same"',
          'string?',
        ),
        join('f32', list(expr, '[', ']')),
        list(tie('type'), '(', ',)', 1),
        join('[', tie('type'), ']'),
        join('[', tie('type'), '; ', expr, ']'),
        join(list(tie('type'), '(', ')'), ' -> ', tie('type')),
        join('((', tie('type'), ') -> block)?'),
        list(join(name, ': ', tie('type')), '{', '}', 1),
      ),
    };
  },
);

const params = list(join(name, ': ', type, maybe(join(' = ', expr))), '(', ')');
const method = join(params, maybe(join(' -> ', type)), fc.oneof(join(' => ', expr), join(' ', block)));
const doc = maybe(fc.constantFrom('/// One line.\n', '/// Two\n/// lines.\n', '/// Stray.\n\n/// Own.\n'));
const settings = lines(join(name, ' = ', expr), '');
const plainMember = fc.oneof(
  join(
    doc,
    fc.constantFrom('param', 'buffer'),
    ' ',
    name,
    ': ',
    type,
    maybe(fc.constant(' stored i64')),
    maybe(join(' ~ ', expr)),
  ),
  join(doc, 'const ', name, fc.oneof(join(' = ', expr), join(': ', type, ' ~ ', expr))),
  join('let ', name, ' = ', expr),
  join(doc, name, ' = ', expr),
  join(doc, name, method),
  join('tie ', selector, ' = ', fc.oneof(selector, join('transpose(', selector, ')'))),
  join('freeze ', selector),
  lines(join(selector, ' ~ ', expr), 'init '),
  lines(
    fc.oneof(join(name, ' = ', expr), join('override ', selector, ' ', settings), join('freeze ', selector)),
    'train ',
  ),
);
const members = lines(plainMember, '');
const member = fc.oneof(
  plainMember,
  join('if (', expr, ') ', members, maybe(join(' else ', fc.oneof(members, join('if (', expr, ') ', members))))),
);
const decl = fc.oneof(
  join(
    doc,
    fc.constantFrom('', 'export '),
    fc.constantFrom('block', 'optimizer'),
    ' A',
    fc.oneof(fc.constant(''), params),
    lines(member, ' ', 5),
  ),
  join(doc, 'fn f', method, maybe(join('\ngrad (dy) => ', expr))),
  join(doc, 'type A = ', type),
  join(doc, 'const a = ', expr),
  fc.constantFrom('import { A, B as C } from "./a.net"', 'import { A, } from "std/nn"'),
);

/** Programs in which white space and comments stand wherever they may. */
export const randomSource: Text = fc
  .tuple(fc.array(decl, { maxLength: 4 }), fc.infiniteStream(fc.nat({ max: 99 })))
  .map(([decls, choices]) => scatter(decls.join('\n'), () => choices.next().value as number));

/** Line breaks, empty lines and comments between the tokens of `text`. */
export function scatter(text: string, choose: () => number): string {
  const { tokens } = lex(text, '', new DiagnosticBag());
  markKeywords(tokens);
  let out = '';
  let end = 0;
  const brackets: string[] = [];
  tokens.forEach((token, i) => {
    const gap = text.slice(end, token.startOffset);
    const flat = brackets.at(-1) === '(' || brackets.at(-1) === '[';
    const newline = tokens[i - 1]?.tokenType === t.Newline;
    // `seq` is a keyword only before its `{`, and ` .0` a number that lacks a digit.
    const tight = tokens[i - 1]?.tokenType === t.Seq || token.tokenType === t.Dot;
    const free = (flat && !tight) || newline || continues(tokens[i - 1], tokens[i - 2]);
    out += gap.includes('//') || !free || token.tokenType === t.Newline ? gap : white(gap, choose);
    const opens = t.OPENERS.get(token.tokenType);
    if (opens) brackets.push(opens);
    if (t.CLOSERS.has(token.tokenType)) brackets.pop();
    // A comment may end any line, and stand above the next.
    out += token.tokenType === t.Newline && choose() < 15 ? ` // ends\n` : token.image;
    end = t.endOf(token);
  });
  return out + text.slice(end);
}

function white(gap: string, choose: () => number): string {
  const choice = choose();
  if (choice < 80) return gap;
  if (choice < 85) return '   ';
  if (choice < 90) return '\n  ';
  if (choice < 95) return ' // why\n  ';
  return '\n\n  // own line\n\n ';
}
