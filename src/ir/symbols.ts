/** Symbols of types and attributes: which occur, what operands bind them to, and their replacement. */
import type { Dim } from './dim.ts';
import { Dim as DimClass, div, sub, substitute, symbolsOf } from './dim.ts';
import type { Attr, Attrs, DimCheck, TensorType } from './ir.ts';

export type SymbolEnv = ReadonlyMap<string, Dim>;

export const isDim = (a: unknown): a is Dim => a instanceof DimClass;

/** An attribute that is a list of sizes. Empty lists count as one. */
export const isDims = (a: Attr | undefined): a is readonly Dim[] => Array.isArray(a) && a.every(isDim);

/** Symbols of the shapes, in order of first occurrence. */
export function symbolsOfTypes(types: Iterable<TensorType>, into: Set<string> = new Set()): Set<string> {
  for (const t of types) for (const d of t.shape) symbolsOf(d, into);
  return into;
}

export function symbolsOfAttrs(attrs: Attrs, into: Set<string> = new Set()): Set<string> {
  for (const a of Object.values(attrs)) {
    if (isDim(a)) symbolsOf(a, into);
    else if (isDims(a)) for (const d of a) symbolsOf(d, into);
  }
  return into;
}

/** The symbol that a dim is, or null where it is anything else. */
export function bareSymbol(d: Dim): string | null {
  const [t] = d.terms;
  if (d.terms.length !== 1 || t!.coef !== 1 || t!.atoms.length !== 1) return null;
  const [a] = t!.atoms;
  return a!.kind === 'sym' ? a!.name : null;
}

/**
 * Matches formal types with actual ones: a dim that is a symbol binds it (the first one wins); then, from left to right,
 * dims that hold a single unbound symbol linearly, as `T + N` or `2*H`, are solved for it.
 */
export function bindSymbols(formal: readonly TensorType[], actual: readonly TensorType[]): Map<string, Dim> {
  const env = new Map<string, Dim>();
  const left: [Dim, Dim][] = [];
  formal.forEach((f, i) =>
    f.shape.forEach((d, j) => {
      const given = actual[i]?.shape[j];
      if (given === undefined || d.value !== null) return;
      const name = bareSymbol(d);
      if (name === null) left.push([d, given]);
      else if (!env.has(name)) env.set(name, given);
    }),
  );
  for (const [d, given] of left) solve(d, given, env);
  return env;
}

/** Symbols that arguments of these types bind: those of `B*T` alone are not among them. */
export const boundBy = (types: readonly TensorType[]): Set<string> => new Set(bindSymbols(types, types).keys());

function solve(formal: Dim, given: Dim, env: Map<string, Dim>): void {
  const open = formal.terms.filter((t) => t.atoms.some((a) => a.kind === 'fn' || !env.has(a.name)));
  const [t] = open;
  if (open.length !== 1 || t!.atoms.length !== 1 || t!.atoms[0]!.kind !== 'sym') return;
  const rest = substitute(new DimClass(formal.terms.filter((x) => x !== t)), env);
  env.set(t!.atoms[0]!.name, div(sub(given, rest), t!.coef));
}

export function substituteType(t: TensorType, env: SymbolEnv): TensorType {
  if (env.size === 0 || t.shape.every((d) => d.value !== null)) return t;
  return { elem: t.elem, shape: t.shape.map((d) => substitute(d, env)) };
}

export function substituteAttrs(attrs: Attrs, env: SymbolEnv): Attrs {
  if (env.size === 0 || symbolsOfAttrs(attrs).size === 0) return attrs;
  const out: Record<string, Attr> = {};
  for (const [k, a] of Object.entries(attrs)) {
    out[k] = isDim(a) ? substitute(a, env) : isDims(a) ? a.map((d) => substitute(d, env)) : a;
  }
  return out;
}

export const substituteCheck = (c: DimCheck, env: SymbolEnv): DimCheck => ({
  ...c,
  left: substitute(c.left, env),
  right: substitute(c.right, env),
});

/** Each check once, the first place of it kept; those that hold by arithmetic are left out. */
export function mergeChecks(lists: Iterable<readonly DimCheck[]>): DimCheck[] {
  const seen = new Map<string, DimCheck>();
  for (const list of lists) {
    for (const c of list) {
      const d = sub(c.left, c.right).value;
      if (d !== null && (c.kind === 'equal' ? d === 0 : d >= 0)) continue;
      const key = `${c.kind} ${c.left.key} ${c.right.key}`;
      if (!seen.has(key)) seen.set(key, c);
    }
  }
  return [...seen.values()];
}
