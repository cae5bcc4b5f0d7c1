/**
 * Symbolic sizes: integer polynomials over symbols, with floor division, remainder, min and max as opaque atoms.
 * Every Dim is normal (terms sorted, like terms merged), so two dims that are equal as polynomials print equal;
 * `key` is that print and is what maps and comparisons use. Symbols stand for sizes and are never negative.
 */

export type Atom =
  | { readonly kind: 'sym'; readonly name: string; readonly key: string }
  | { readonly kind: 'fn'; readonly fn: DimFn; readonly a: Dim; readonly b: Dim; readonly key: string };

/** `div` floors, `mod` is the remainder that belongs to it. */
export type DimFn = 'div' | 'mod' | 'min' | 'max';

interface Term {
  readonly coef: number;
  /** Sorted by key; repeated for powers. Empty for the constant term. */
  readonly atoms: readonly Atom[];
  readonly key: string;
}

export class Dim {
  readonly terms: readonly Term[];
  /** Canonical text, also how the dim is printed: `2*B*T + H/2 - 1`. */
  readonly key: string;

  /** Use the functions below; terms must already be normal. */
  constructor(terms: readonly Term[]) {
    this.terms = terms;
    this.key = render(terms);
  }

  /** The value where no symbol occurs, else null. */
  get value(): number | null {
    if (this.terms.length === 0) return 0;
    const [t] = this.terms;
    return this.terms.length === 1 && t!.atoms.length === 0 ? t!.coef : null;
  }

  toString(): string {
    return this.key;
  }
}

export type DimLike = Dim | number;

const term = (coef: number, atoms: readonly Atom[]): Term => ({
  coef,
  atoms,
  key: atoms.map((a) => a.key).join('*'),
});

/** A dim from a number, or the dim itself. */
export function dim(d: DimLike): Dim {
  if (d instanceof Dim) return d;
  if (!Number.isInteger(d)) throw new RangeError(`a dim must be an integer, not ${d}`);
  return d === 0 ? ZERO : new Dim([term(d, [])]);
}

export function sym(name: string): Dim {
  return new Dim([term(1, [{ kind: 'sym', name, key: name }])]);
}

const ZERO = new Dim([]);

function fromTerms(terms: Iterable<Term>): Dim {
  const merged = new Map<string, Term>();
  for (const t of terms) {
    const old = merged.get(t.key);
    merged.set(t.key, old ? term(old.coef + t.coef, t.atoms) : t);
  }
  const kept = [...merged.values()].filter((t) => t.coef !== 0);
  // Higher degree first, then by name; the constant comes last.
  kept.sort((a, b) => b.atoms.length - a.atoms.length || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return kept.length === 0 ? ZERO : new Dim(kept);
}

export const add = (a: DimLike, b: DimLike): Dim => fromTerms([...dim(a).terms, ...dim(b).terms]);
export const neg = (a: DimLike): Dim => mul(-1, a);
export const sub = (a: DimLike, b: DimLike): Dim => add(a, neg(b));

export function mul(a: DimLike, b: DimLike): Dim {
  const out: Term[] = [];
  for (const x of dim(a).terms)
    for (const y of dim(b).terms) {
      const atoms = [...x.atoms, ...y.atoms].sort((p, q) => (p.key < q.key ? -1 : p.key > q.key ? 1 : 0));
      out.push(term(x.coef * y.coef, atoms));
    }
  return fromTerms(out);
}

/** The product of all; 1 for none. */
export const product = (dims: Iterable<DimLike>): Dim => {
  let p = dim(1);
  for (const d of dims) p = mul(p, d);
  return p;
};

/** t / m where the monomial m divides it, else null. */
function divideTerm(t: Term, m: Term): Term | null {
  if (t.coef % m.coef !== 0) return null;
  const rest = [...t.atoms];
  for (const a of m.atoms) {
    const i = rest.findIndex((r) => r.key === a.key);
    if (i < 0) return null;
    rest.splice(i, 1);
  }
  return term(t.coef / m.coef, rest);
}

/**
 * Floor division. Terms that the divisor divides leave the atom: `(4*H + 3)/2` is `2*H + 3/2` = `2*H + 1`.
 * A symbolic divisor is taken to be positive.
 */
export function div(a: DimLike, b: DimLike): Dim {
  const x = dim(a);
  const y = dim(b);
  if (y.terms.length === 0) throw new RangeError('division of a size by zero');
  if (x.key === y.key) return dim(1);
  if (y.terms.length === 1) {
    const m = y.terms[0]!;
    const whole: Term[] = [];
    const left: Term[] = [];
    for (const t of x.terms) {
      const q = divideTerm(t, m);
      if (q) whole.push(q);
      else left.push(t);
    }
    let r = fromTerms(left);
    if (r.value !== null && y.value !== null) {
      return add(fromTerms(whole), Math.floor(r.value / y.value));
    }
    if (left.length === 0) return fromTerms(whole);
    if (y.value !== null && left.length > 0) {
      // Keep the constant inside the atom in [0, divisor), so that equal quotients look equal.
      const c = left.find((t) => t.atoms.length === 0)?.coef ?? 0;
      const shift = Math.floor(c / y.value);
      r = sub(r, shift * y.value);
      return add(add(fromTerms(whole), shift), nested(r, y.value) ?? atomDim('div', r, y));
    }
    return add(fromTerms(whole), atomDim('div', r, y));
  }
  return atomDim('div', x, y);
}

/** (x/m + rest)/n is (x + m*rest)/(m*n) for whole m, n > 0: strides in a row become one. */
function nested(a: Dim, n: number): Dim | null {
  if (n <= 0) return null;
  for (const t of a.terms) {
    const [atom] = t.atoms;
    if (t.coef !== 1 || t.atoms.length !== 1 || atom?.kind !== 'fn' || atom.fn !== 'div') continue;
    const m = atom.b.value;
    if (m === null || m <= 0) continue;
    return div(add(atom.a, mul(m, sub(a, new Dim([t])))), m * n);
  }
  return null;
}

/** Remainder of the floor division. */
export function mod(a: DimLike, b: DimLike): Dim {
  const x = dim(a);
  const y = dim(b);
  if (x.value !== null && y.value !== null) return dim(x.value - Math.floor(x.value / y.value) * y.value);
  const q = div(x, y);
  const r = sub(x, mul(q, y));
  return r.value !== null ? r : atomDim('mod', x, y);
}

export function min(a: DimLike, b: DimLike): Dim {
  return extremum('min', dim(a), dim(b));
}
export function max(a: DimLike, b: DimLike): Dim {
  return extremum('max', dim(a), dim(b));
}

function extremum(fn: 'min' | 'max', a: Dim, b: Dim): Dim {
  const d = sub(a, b).value;
  if (d !== null) return d <= 0 === (fn === 'min') ? a : b;
  return a.key < b.key ? atomDim(fn, a, b) : atomDim(fn, b, a);
}

function atomDim(fn: DimFn, a: Dim, b: Dim): Dim {
  const key = fn === 'div' ? `${paren(a)}/${paren(b)}` : fn === 'mod' ? `${paren(a)}%${paren(b)}` : `${fn}(${a}, ${b})`;
  return new Dim([term(1, [{ kind: 'fn', fn, a, b, key: fn === 'min' || fn === 'max' ? key : `(${key})` }])]);
}

const paren = (d: Dim): string =>
  d.terms.length === 1 &&
  (d.terms[0]!.atoms.length === 0 || (d.terms[0]!.coef === 1 && d.terms[0]!.atoms.length === 1)) &&
  !d.key.startsWith('-')
    ? d.key
    : `(${d.key})`;

function render(terms: readonly Term[]): string {
  if (terms.length === 0) return '0';
  let s = '';
  for (const t of terms) {
    const c = Math.abs(t.coef);
    const body = t.atoms.length === 0 ? String(c) : c === 1 ? t.key : `${c}*${t.key}`;
    s += s === '' ? (t.coef < 0 ? `-${body}` : body) : t.coef < 0 ? ` - ${body}` : ` + ${body}`;
  }
  return s;
}

/** Are they equal for every, for no, or for some values of the symbols? Symbols count as at least 0. */
export function compare(a: DimLike, b: DimLike): 'equal' | 'different' | 'unknown' {
  const d = sub(a, b);
  if (d.terms.length === 0) return 'equal';
  const c = d.terms.find((t) => t.atoms.length === 0)?.coef ?? 0;
  if (c > 0 && d.terms.every((t) => t.coef > 0)) return 'different';
  if (c < 0 && d.terms.every((t) => t.coef < 0)) return 'different';
  return 'unknown';
}

export const same = (a: DimLike, b: DimLike): boolean => dim(a).key === dim(b).key;
export const sameShape = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((d, i) => d.key === b[i]!.key);

/** Replaces symbols; those without an entry stay. */
export function substitute(d: Dim, env: ReadonlyMap<string, Dim>): Dim {
  if (d.value !== null) return d;
  // Most dims are a symbol: no arithmetic for those.
  const [first] = d.terms;
  if (d.terms.length === 1 && first!.coef === 1 && first!.atoms.length === 1 && first!.atoms[0]!.kind === 'sym') {
    return env.get(first!.atoms[0]!.name) ?? d;
  }
  let out: Dim = ZERO;
  for (const t of d.terms) {
    let p = dim(t.coef);
    for (const a of t.atoms) {
      if (a.kind === 'sym') p = mul(p, env.get(a.name) ?? sym(a.name));
      else p = mul(p, DIM_FNS[a.fn](substitute(a.a, env), substitute(a.b, env)));
    }
    out = add(out, p);
  }
  return out;
}

export const DIM_FNS: Record<DimFn, (a: DimLike, b: DimLike) => Dim> = { div, mod, min, max };

/** The number under a binding of every symbol that occurs; throws RangeError for an unbound one. */
export function evaluate(d: Dim, env: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const t of d.terms) {
    let p = t.coef;
    for (const a of t.atoms) {
      if (a.kind === 'sym') {
        const v = env.get(a.name);
        if (v === undefined) throw new RangeError(`size ${a.name} is not bound`);
        p *= v;
      } else p *= applyFn(a.fn, evaluate(a.a, env), evaluate(a.b, env));
    }
    total += p;
  }
  return total;
}

function applyFn(fn: DimFn, a: number, b: number): number {
  switch (fn) {
    case 'div':
      return Math.floor(a / b);
    case 'mod':
      return a - Math.floor(a / b) * b;
    case 'min':
      return Math.min(a, b);
    case 'max':
      return Math.max(a, b);
  }
}

/** Names of all symbols in it, in order of first occurrence. */
/** The size where every symbol is taken for `size`: for weighing costs, never for what is computed. */
export const assuming = (d: Dim, size: number): number =>
  d.value ?? evaluate(d, new Map([...symbolsOf(d)].map((name) => [name, size])));

export function symbolsOf(d: Dim, into: Set<string> = new Set()): Set<string> {
  for (const t of d.terms)
    for (const a of t.atoms) {
      if (a.kind === 'sym') into.add(a.name);
      else {
        symbolsOf(a.a, into);
        symbolsOf(a.b, into);
      }
    }
  return into;
}
