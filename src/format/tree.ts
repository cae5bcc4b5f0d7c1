/** What the formatter lays out: every construct of the language as one of seven shapes, so that printing knows shapes only. */

/** Half-open range of offsets in the text. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** A piece of a line: text as it stands (`\n` alone is a line break), or a shape of its own. */
export type Part = string | Shape;

export type Shape = Words | Braces | Commas | Operation | Binding | Parens | Short;

/** A comment as Prettier hangs it on a shape; neither leading nor trailing where the shape has no parts to hang it between. */
export interface AttachedComment extends Comment {
  readonly leading?: boolean;
  readonly trailing?: boolean;
  printed?: boolean;
}

/** What every shape has. Prettier hangs comments on it. */
interface Base {
  readonly span: Range;
  comments?: readonly AttachedComment[];
}

/** Parts after each other: `for x in xs { ... }`. The parts bring their own spaces. */
export interface Words extends Base {
  readonly kind: 'words';
  readonly parts: readonly Part[];
}

/** Statements, members or entries: `{ a; b }`. The file itself is one, without the braces. */
export interface Braces extends Base {
  readonly kind: 'braces' | 'file';
  readonly items: readonly Shape[];
  readonly rows: readonly Row[];
  /** Nothing but spaces stood between `{` and the first item: one line, if it fits. */
  readonly inline: boolean;
}

/** Items that their author put on one line. */
export interface Row {
  /** Indices into the items. */
  readonly first: number;
  readonly count: number;
  /** An empty line stands above. */
  readonly gap: boolean;
  /** A comment after the last item, and the column that it has been aligned with its neighbours at (0: it is alone). */
  readonly comment: string;
  readonly column: number;
}

/** `(a, b)`, `[a, b]`, `{ a: b }` */
export interface Commas extends Base {
  readonly kind: 'commas';
  readonly open: '(' | '[' | '{';
  readonly close: ')' | ']' | '}';
  readonly items: readonly Shape[];
  /** `(x,)` */
  readonly single: boolean;
  /** One item per line, as its author wrote it: only for `{ }`. */
  readonly broken: boolean;
}

/** Operands of equal precedence: `a + b - c`. `signs` has one element less. */
export interface Operation extends Base {
  readonly kind: 'operation';
  readonly operands: readonly Shape[];
  readonly signs: readonly string[];
}

/** `left = right`, `left ~ right`, `left => right`, `for x in xs: right` */
export interface Binding extends Base {
  readonly kind: 'binding';
  readonly left: Shape;
  readonly sign: '=' | '~' | '=>' | ':';
  readonly right: Shape;
}

export interface Parens extends Base {
  readonly kind: 'parens';
  readonly inner: Shape;
}

/** Stays on one line where it is short: the result type of a function, before whose brackets the arguments break. */
export interface Short extends Base {
  readonly kind: 'short';
  readonly inner: Shape;
}

/** A comment that does not end a row. `///` is one to the formatter, too. */
export interface Comment {
  readonly kind: 'comment';
  value: string;
  readonly span: Range;
}

export interface Root extends Omit<Braces, 'comments'> {
  readonly kind: 'file';
  readonly comments: readonly Comment[];
}

/** `if a { b } else { c }` */
export function isIf(shape: Shape): boolean {
  return shape.kind === 'words' && shape.parts[0] === 'if ';
}

/** `if`, `seq`, a body: what opens at the end of its first line and closes at the margin. */
export function endsInBraces(shape: Shape): boolean {
  if (shape.kind === 'binding') return endsInBraces(shape.right);
  const last = shape.kind === 'words' ? shape.parts.at(-1) : undefined;
  return typeof last === 'object' && last.kind === 'braces';
}
