/**
 * Reads the patterns of `einsum`, `rearrange`, `reduce` and `repeat`: names of dims, `...`, lengths and parentheses, with the
 * place of each inside the string, so that a fault can point at the letter that is wrong.
 *
 * pattern = term { "," term } "->" term;  term = { axis | "(" { axis } ")" };  axis = name | length | "..."
 */

/** From `at` up to, not including, `end`: offsets in the text of the pattern. */
export interface Mark {
  readonly at: number;
  readonly end: number;
}

export type Axis = Mark &
  (
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'length'; readonly length: number }
    | { readonly kind: 'ellipsis' }
  );

/** One dim of a tensor: an axis, or several in parentheses that are laid out as one. */
export interface Place extends Mark {
  readonly axes: readonly Axis[];
  readonly grouped: boolean;
}

export interface Term extends Mark {
  readonly places: readonly Place[];
}

export interface Pattern {
  readonly inputs: readonly Term[];
  readonly output: Term;
}

/** What is wrong, as the rest of a sentence that begins with "this pattern". */
export interface PatternFault extends Mark {
  readonly fault: string;
}

export const isFault = (p: Pattern | PatternFault): p is PatternFault => 'fault' in p;

/** A pattern with one term on the left: words are names, as in einops. */
export function parsePattern(text: string): Pattern | PatternFault {
  const made = new Reader(text, false).pattern();
  if (isFault(made) || made.inputs.length === 1) return made;
  const [, second] = made.inputs;
  return { fault: 'describes more than one tensor', at: second!.at - 1, end: second!.end };
}

/**
 * The pattern of `einsum`. Where no term has a space inside, every letter is a name, as in torch.einsum; else words are,
 * as in einops.
 */
export function parseEinsum(text: string): Pattern | PatternFault {
  const words = text.split(/,|->/).some((term) => /\S\s+\S/.test(term.trim()));
  const made = new Reader(text, !words).pattern();
  if (isFault(made)) return made;
  for (const term of [...made.inputs, made.output])
    for (const p of term.places) {
      if (p.grouped) return { fault: 'has parentheses, which einsum does not know', at: p.at, end: p.end };
      if (p.axes[0]?.kind === 'length')
        return { fault: 'has a number, which einsum does not know', at: p.at, end: p.end };
    }
  return made;
}

const TOKEN = /\s+|->|\.\.\.|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[(),]|[^]/y;

class Reader {
  private readonly tokens: readonly (Mark & { readonly text: string })[];
  private next = 0;

  constructor(text: string, letters: boolean) {
    const tokens: (Mark & { text: string })[] = [];
    for (let at = 0; at < text.length;) {
      TOKEN.lastIndex = at;
      const [token] = TOKEN.exec(text)!;
      const parts = letters && /^[A-Za-z_]/.test(token) ? [...token] : [token];
      for (const part of parts) {
        if (!/^\s/.test(part)) tokens.push({ text: part, at, end: at + part.length });
        at += part.length;
      }
    }
    tokens.push({ text: '', at: text.length, end: text.length });
    this.tokens = tokens;
  }

  pattern(): Pattern | PatternFault {
    const inputs: Term[] = [];
    do {
      const term = this.term();
      if ('fault' in term) return term;
      inputs.push(term);
    } while (this.take(','));
    const arrow = this.here();
    if (!this.take('->'))
      return { ...arrow, fault: `needs \`->\` ${arrow.text === '' ? 'and what comes out' : 'here'}` };
    const output = this.term();
    if ('fault' in output) return output;
    const rest = this.here();
    return rest.text === ''
      ? { inputs, output }
      : { ...rest, fault: `cannot have \`${rest.text}\` after what comes out` };
  }

  private term(): Term | PatternFault {
    const first = this.here();
    const places: Place[] = [];
    let ellipsis = false;
    for (;;) {
      const open = this.here();
      const place = this.place();
      if (place === null) return { places, at: first.at, end: this.tokens[this.next - 1]?.end ?? first.end };
      if ('fault' in place) return place;
      for (const a of place.axes) {
        if (a.kind !== 'ellipsis') continue;
        if (ellipsis) return { fault: 'has `...` twice on one side', at: a.at, end: a.end };
        ellipsis = true;
      }
      places.push({ ...place, at: open.at });
    }
  }

  /** Null where the term ends. */
  private place(): Place | PatternFault | null {
    const open = this.here();
    if (open.text === '' || open.text === ',' || open.text === '->') return null;
    if (!this.take('(')) {
      const axis = this.axis();
      return 'fault' in axis ? axis : { axes: [axis], grouped: false, at: axis.at, end: axis.end };
    }
    const axes: Axis[] = [];
    while (!this.take(')')) {
      const { text } = this.here();
      if (text === '' || text === ',' || text === '->')
        return { fault: 'has a `(` that is not closed', at: open.at, end: open.end };
      if (text === '(') return { ...this.here(), fault: 'has parentheses inside parentheses' };
      const axis = this.axis();
      if ('fault' in axis) return axis;
      axes.push(axis);
    }
    return { axes, grouped: true, at: open.at, end: this.tokens[this.next - 1]!.end };
  }

  private axis(): Axis | PatternFault {
    const { text, at, end } = this.here();
    this.next++;
    if (text === '...') return { kind: 'ellipsis', at, end };
    if (/^[A-Za-z_]/.test(text)) return { kind: 'name', name: text, at, end };
    if (/^[1-9]/.test(text)) return { kind: 'length', length: Number(text), at, end };
    return { fault: `cannot have \`${text}\``, at, end };
  }

  private here(): Mark & { readonly text: string } {
    return this.tokens[this.next]!;
  }

  private take(text: string): boolean {
    const found = this.here().text === text;
    if (found) this.next++;
    return found;
  }
}
