/** What the calls with patterns share: the pattern as an argument, sizes of names, faults that point into the string. */
import * as D from '../ir/dim.ts';
import { didYouMean } from '../diagnostics/index.ts';
import type { Arg, Span } from '../parser/ast.ts';
import { at, refuse, report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { evalValue } from './evaluate.ts';
import { isFault, type Axis, type Mark, type Pattern, type PatternFault, type Term } from './pattern.ts';
import { requireEqual } from './tensor.ts';
import { isPoison, type TensorVal } from './values.ts';

/** A name of a pattern: its size and where it got it. */
interface Size {
  readonly dim: D.Dim;
  readonly from: Span | null;
}

/** A dim of a tensor under its name; the dims of an ellipsis are counted from the right, as broadcasting does. */
export interface Label extends Mark {
  readonly name: string;
}

/** A pattern in the source. */
export class PatternText {
  readonly cx: Cx;
  readonly pattern: Pattern;
  readonly sizes = new Map<string, Size>();
  private readonly span: Span;
  private readonly literal: boolean;

  private constructor(cx: Cx, pattern: Pattern, span: Span, literal: boolean) {
    this.cx = cx;
    this.pattern = pattern;
    this.span = span;
    this.literal = literal;
  }

  /** Null after a report. */
  static read(cx: Cx, callee: string, arg: Arg, parse: (text: string) => Pattern | PatternFault): PatternText | null {
    const v = evalValue(cx, arg.value);
    if (isPoison(v)) return null;
    const { span } = arg.value;
    if (v.kind !== 'string') {
      const what = { what: `the pattern of \`${callee}\``, wanted: 'a string', found: describe(v) };
      const help = callee === 'repeat' ? 'tile(x, [2, 3]) repeats whole dims by position' : null;
      return refuse(cx, 'type_mismatch', what, span, { help });
    }
    // With escapes, or where a constant holds the pattern, places are not those of the characters.
    const literal = arg.value.kind === 'string' && span.end - span.start === v.value.length + 2;
    const made = parse(v.value);
    if (!isFault(made)) return new PatternText(cx, made, span, literal);
    return refuse(cx, 'bad_pattern', { fault: made.fault }, literal ? inside(span, made) : span);
  }

  place(mark: Mark): Span {
    return this.literal ? inside(this.span, mark) : this.span;
  }

  /** Reports a fault of a name, with the name that was probably meant. */
  wrong(mark: Mark, fault: string, candidates: Iterable<string> = [], name = ''): null {
    return refuse(this.cx, 'pattern_name', { fault }, this.place(mark), { help: didYouMean(name, candidates) });
  }

  /** The places of a term for a tensor of that rank: each a list of labels and lengths. Null after a report. */
  fit(term: Term, x: TensorVal): (readonly (Label | (Axis & { kind: 'length' }))[])[] | null {
    const rank = x.value.type.shape.length;
    const open = term.places.find((p) => p.axes.some((a) => a.kind === 'ellipsis'));
    if (open?.grouped)
      return refuse(this.cx, 'bad_pattern', { fault: 'has `...` in parentheses on the left' }, this.place(open));
    const count = term.places.length - (open ? 1 : 0);
    if (open ? rank < count : rank !== count) {
      const named = `${open ? 'at least ' : ''}${count}`;
      return refuse(this.cx, 'pattern_rank', { count: named, found: describe(x) }, this.place(term), {
        related: at([x.from[0], 'its shape comes from here']),
      });
    }
    return term.places.flatMap((p) => {
      if (p === open) return ellipsis(p, rank - count).map((l) => [l]);
      return [
        p.axes.map((a) =>
          a.kind === 'name' ? { name: a.name, at: a.at, end: a.end } : (a as Axis & { kind: 'length' }),
        ),
      ];
    });
  }

  /** States the size of a name: its first, or equal to the one it has. */
  bind(label: Label, dim: D.Dim, from: Span | null): boolean {
    const known = this.sizes.get(label.name);
    if (!known) {
      this.sizes.set(label.name, { dim, from });
      return true;
    }
    const fault = `\`${shown(label.name)}\` is ${known.dim} and ${dim}`;
    const related = at([known.from, `${known.dim} comes from here`], [from, `${dim} comes from here`]);
    return requireEqual(this.cx, known.dim, dim, 'pattern_size', { fault }, this.place(label), related);
  }

  size(name: string): D.Dim {
    return this.sizes.get(name)!.dim;
  }
}

const inside = (span: Span, mark: Mark): Span => ({
  file: span.file,
  start: span.start + 1 + mark.at,
  end: span.start + 1 + Math.max(mark.end, mark.at + 1),
});

/** No name of a pattern starts like this. */
const DOTS = '...';

export const ellipsis = (mark: Mark, count: number): Label[] =>
  Array.from({ length: count }, (_, i) => ({ name: `${DOTS}${count - 1 - i}`, at: mark.at, end: mark.end }));

export const isEllipsis = (name: string): boolean => name.startsWith(DOTS);
export const shown = (name: string): string => (isEllipsis(name) ? DOTS : name);

/** A tensor argument, or null after a report. */
export function tensorArg(cx: Cx, callee: string, arg: Arg): TensorVal | null {
  const v = evalValue(cx, arg.value);
  if (v.kind === 'tensor') return v;
  if (!isPoison(v))
    report(
      cx,
      'type_mismatch',
      { what: `this argument of \`${callee}\``, wanted: 'a tensor', found: describe(v) },
      arg.span,
    );
  return null;
}
