/** Shapes to Prettier's documents: where lines break. */
import { doc as prettierDoc, util, type AstPath, type Doc, type ParserOptions } from 'prettier';
import {
  endsInBraces,
  isIf,
  type AttachedComment,
  type Binding,
  type Braces,
  type Commas,
  type Operation,
  type Part,
  type Row,
  type Shape,
  type Words,
} from './tree.ts';

const {
  conditionalGroup,
  fill,
  group,
  hardline,
  ifBreak,
  indent,
  indentIfBreak,
  join,
  line,
  lineSuffix,
  breakParent,
  softline,
} = prettierDoc.builders;
const { willBreak } = prettierDoc.utils;

type Path<T extends Shape = Shape> = AstPath<T>;
/** Prints what the path points at, with its comments. */
type Print = (path: AstPath, args?: unknown) => Doc;

/** Tells a last argument that its brackets are to break. */
const OPEN = 'open';

const INDENT = 2;
/** A result type up to here is never broken. */
const SHORT = 40;

export function printShape(path: Path, options: ParserOptions, print: Print, args?: unknown): Doc {
  const doc = printBare(path, options, print, args === OPEN);
  const loose = looseComments(path.node);
  return loose.length === 0 ? doc : [doc, loose.map(({ value }) => [lineSuffix([' ', value]), breakParent])];
}

function printBare(path: Path, options: ParserOptions, print: Print, open: boolean): Doc {
  const { node } = path;
  switch (node.kind) {
    case 'words':
      return group(printParts(path as Path<Words>, print, open), { shouldBreak: open && endsInBraces(node) });
    case 'file':
      return printFile(path as Path<Braces>, options, print);
    case 'braces':
      return printBraces(path as Path<Braces>, options, print);
    case 'commas':
      return printCommas(path as Path<Commas>, print, open);
    case 'operation':
      return printOperation(path as Path<Operation>, print);
    case 'binding':
      return printBinding(path as Path<Binding>, options, print);
    case 'parens':
      return node.inner.comments
        ? ['(', indent([hardline, path.call(print, 'inner')]), hardline, ')']
        : group(['(', path.call(print, 'inner'), ')']);
    case 'short': {
      const inner = path.call(print, 'inner');
      const flat = flatText(inner);
      return flat !== null && flat.length <= SHORT ? flat : inner;
    }
  }
}

function printParts(path: Path<Words>, print: Print, open: boolean): Doc[] {
  return path.map((part: AstPath<Part>) => {
    const { node } = part;
    if (typeof node === 'object') return print(part, open && part.isLast ? OPEN : undefined);
    return node === '\n' ? hardline : node;
  }, 'parts');
}

/** Comments between brackets that hold nothing else. */
function looseLines(shape: Shape): Doc[] {
  const loose = looseComments(shape).map(({ value }) => value);
  return loose.length === 0 ? [] : [indent([hardline, join(hardline, loose)]), hardline];
}

/** The comments that belong to no part: `{ // nothing yet` `}`. They count as printed from here on. */
function looseComments({ comments = [] }: Shape): AttachedComment[] {
  const loose = comments.filter((comment) => !comment.leading && !comment.trailing && !comment.printed);
  for (const comment of loose) comment.printed = true;
  return loose;
}

// ---------------------------------------------------------------- rows

function printFile(path: Path<Braces>, options: ParserOptions, print: Print): Doc {
  const { node } = path;
  return node.items.length === 0 && !node.comments ? '' : [printRows(path, options, print), hardline];
}

/** Not a group of its own: where `{ a } else { b }` breaks, both break. */
function printBraces(path: Path<Braces>, options: ParserOptions, print: Print): Doc {
  const { node } = path;
  if (node.items.length === 0 && !node.comments) return '{}';
  const edge = node.inline && !node.comments ? line : hardline;
  return ['{', indent([edge, printRows(path, options, print)]), edge, '}'];
}

function printRows(path: Path<Braces>, options: ParserOptions, print: Print): Doc {
  const { node } = path;
  const items = path.map((item) => print(item), 'items');
  const rows = node.rows.map((row) => ({
    row,
    doc: joinRow(items.slice(row.first, row.first + row.count), node.items.slice(row.first, row.first + row.count)),
  }));
  const widths = rows.map(({ row, doc }) => (row.column === 0 ? null : (flatText(doc)?.length ?? null)));
  const printed = rows.map(({ row, doc }, i) => [
    i === 0 ? '' : row.gap ? [hardline, hardline] : hardline,
    doc,
    row.comment === '' ? '' : [lineSuffix([' '.repeat(padding(node.rows, widths, i)), row.comment]), breakParent],
  ]);
  const below = looseComments(node).map(({ value, span }, i) => {
    const gap = util.isPreviousLineEmpty(options.originalText, span.start);
    return [i === 0 && rows.length === 0 ? '' : gap ? [hardline, hardline] : hardline, value];
  });
  return [printed, below];
}

/** `a; b; c`, as many on a line as fit. */
function joinRow(items: Doc[], shapes: readonly Shape[]): Doc {
  if (items.length === 1) return items[0] ?? '';
  if (shapes.some(({ comments }) => comments)) return join(hardline, items);
  return fill(items.flatMap((item, i) => (i === 0 ? [item] : [[ifBreak('', ';'), line], item])));
}

/** Spaces before a row's comment: neighbouring comments that their author aligned stay aligned. */
function padding(rows: readonly Row[], widths: readonly (number | null)[], index: number): number {
  const own = widths[index];
  const column = rows[index]?.column;
  if (own === null || own === undefined) return 1;
  let widest = own;
  for (let i = index; i >= 0 && rows[i]?.column === column; i--) {
    widest = Math.max(widest, widths[i] ?? 0);
    if (rows[i]?.gap) break;
  }
  for (let i = index + 1; rows[i]?.column === column && !rows[i]?.gap; i++) widest = Math.max(widest, widths[i] ?? 0);
  return widest - own + 1;
}

// ---------------------------------------------------------------- brackets and operators

function printCommas(path: Path<Commas>, print: Print, opened: boolean): Doc {
  const { node } = path;
  const { open, close, single, items } = node;
  const docs = path.map((item) => print(item), 'items');
  const [only] = items;
  const last = items.at(-1);
  if (only === undefined) return [open, ...looseLines(node), close];
  const spread = printSpread(node, docs, opened || node.broken);
  if (opened || node.broken || items.some(({ comments }) => comments)) return spread;
  if (items.length === 1) return hugs(only) ? [open, docs[0] ?? '', single ? ',' : '', close] : spread;
  const before = docs.slice(0, -1).map(flatText);
  if (!opensWide(last) || before.includes(null)) return spread;
  const start = [open, before.map((item) => `${item ?? ''}, `)];
  const wide = path.call((item) => print(item, OPEN), 'items', items.length - 1);
  // Only the last argument breaks, where the others are short enough: `f(x, y => {` ... `})`.
  return conditionalGroup([[start, docs.at(-1) ?? '', close], [start, wide, close], spread]);
}

/** One item per line where they do not fit on one. */
function printSpread({ items, open, close, single }: Commas, docs: readonly Doc[], shouldBreak: boolean): Doc {
  const edge = open === '{' ? line : softline;
  const separated = docs.flatMap((doc, i) => (i === docs.length - 1 ? [doc] : [[doc, ','], line]));
  const inside =
    items.length > 3 && items.every((item) => isNumber(item) && !item.comments) ? fill(separated) : separated;
  return group([open, indent([edge, inside]), single ? ',' : '', edge, close], { shouldBreak });
}

/** A last argument that has lines of its own: a list comprehension, `seq`, a lambda with a body. */
function opensWide(shape: Shape | undefined): boolean {
  if (shape?.kind === 'commas') return shape.items[0]?.kind === 'binding' && shape.items[0].sign === ':';
  const last = shape?.kind === 'words' ? shape.parts.at(-1) : undefined;
  return typeof last === 'object' && !(shape && isIf(shape)) && (last.kind === 'braces' || opensWide(last));
}

/** What may share the brackets of its parent: `f([` ... `])`. */
function hugs(shape: Shape): boolean {
  if (shape.kind === 'binding' && isIf(shape.right)) return false;
  return shape.kind === 'commas' || endsInBraces(shape);
}

const isNumber = (shape: Shape): boolean =>
  shape.kind === 'words' &&
  shape.parts.every((part) => (typeof part === 'string' ? /^-$|^\d/.test(part) : isNumber(part)));

/** The operator stays at the end of its line: at the beginning of the next it would begin a statement. */
function printOperation(path: Path<Operation>, print: Print): Doc {
  const { node } = path;
  const parent: unknown = path.parent;
  const [first = '', ...rest] = path.map((operand) => print(operand), 'operands');
  if (isFactor(node)) return [first, ` ${node.signs[0] ?? ''} `, ...rest];
  const tail = rest.map((operand, i) => [` ${node.signs[i] ?? ''}`, line, operand]);
  const indented = isShape(parent) && parent.kind === 'binding' && parent.right === node;
  return group([first, indented ? tail : indent(tail)]);
}

/** `x * (a + b)` breaks inside the parentheses, so that a polynomial becomes a ladder and not a staircase of `(`. */
function isFactor({ operands: [first, second, third] }: Operation): boolean {
  const atom = first?.kind === 'words' && first.parts.every((part) => typeof part === 'string');
  return (
    atom &&
    !first.comments &&
    second?.kind === 'parens' &&
    !second.comments &&
    second.inner.kind === 'operation' &&
    third === undefined
  );
}

/**
 * `left = right`: on one line; or the right side whole on the next line; or, where that is too long as well, from the
 * first line on, broken inside.
 */
function printBinding(path: Path<Binding>, options: ParserOptions, print: Print): Doc {
  const { node } = path;
  const left = [group(path.call(print, 'left')), node.sign === ':' ? ':' : ` ${node.sign}`];
  const right = path.call(print, 'right');
  if (node.right.comments?.some(({ leading }) => leading)) return group([left, indent([hardline, right])]);
  if (node.right.kind === 'braces') return group([left, ' ', right]);
  if (node.right.kind === 'operation') return group([left, group(indent([line, right]))]);
  const stays = endsInBraces(node.right) && (node.sign === '=' || !isIf(node.right));
  const flat = stays ? null : flatText(right);
  if (flat === null || (depth(path) + 1) * INDENT + flat.length > options.printWidth) return [left, ' ', right];
  const id = Symbol('right');
  return [left, group(indent(line), { id }), indentIfBreak(flat, { groupId: id })];
}

/** How far the statement is indented, in steps. */
function depth(path: AstPath): number {
  return path.ancestors.filter((node) => isShape(node) && node.kind === 'braces').length;
}

const isShape = (node: unknown): node is Shape => typeof node === 'object' && node !== null && 'kind' in node;

/** A document on one line; null where it cannot stand on one. */
function flatText(doc: Doc): string | null {
  if (willBreak(doc)) return null;
  return prettierDoc.printer.printDocToString(doc, {
    printWidth: Infinity,
    tabWidth: INDENT,
    useTabs: false,
    endOfLine: 'lf',
  } as never).formatted;
}
