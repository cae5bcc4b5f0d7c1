/** Copies of ops and regions with fresh values, symbols replaced: what inlining, autodiff and calls need. */
import type { Op, Origin, Region, Value } from './ir.ts';
import { substituteAttrs, substituteType, type SymbolEnv } from './symbols.ts';

const NO_SYMBOLS: SymbolEnv = new Map();

/**
 * Copies ops into `out`. `map` sends old values to new ones and grows by the results; a value without an entry belongs to
 * an enclosing scope and stays. `origin` rewrites origins, for instance to put a caller's path in front.
 */
export function cloneOps(
  ops: readonly Op[],
  map: Map<Value, Value>,
  out: Op[],
  env: SymbolEnv = NO_SYMBOLS,
  origin: (o: Origin) => Origin = (o) => o,
): void {
  for (const op of ops) {
    out.push({
      kind: op.kind,
      operands: op.operands.map((v) => map.get(v) ?? v),
      attrs: substituteAttrs(op.attrs, env),
      regions: op.regions.map((r) => cloneRegion(r, map, env, origin)),
      results: op.results.map((v) => cloneValue(v, map, env)),
      origin: origin(op.origin),
    });
  }
}

export function cloneRegion(
  region: Region,
  map: Map<Value, Value>,
  env: SymbolEnv = NO_SYMBOLS,
  origin: (o: Origin) => Origin = (o) => o,
): Region {
  const params = region.params.map((v) => cloneValue(v, map, env));
  const ops: Op[] = [];
  cloneOps(region.ops, map, ops, env, origin);
  return { params, ops, results: region.results.map((v) => map.get(v) ?? v) };
}

export function cloneValue(v: Value, map: Map<Value, Value>, env: SymbolEnv = NO_SYMBOLS): Value {
  const made: Value = { type: substituteType(v.type, env), hint: v.hint };
  map.set(v, made);
  return made;
}

/** Every op, those in regions included, each before the ops in its own regions. */
export function* allOps(region: Region): Generator<Op> {
  for (const op of region.ops) {
    yield op;
    for (const r of op.regions) yield* allOps(r);
  }
}

/** What an op reads, in its regions too. Those of a fusion are closed. */
export const readsOf = (op: Op): readonly Value[] =>
  op.kind === 'fusion' || op.regions.length === 0
    ? op.operands
    : [...op.operands, ...op.regions.flatMap((r) => [...captures(r)])];

/** Values of enclosing scopes that a region reads, in order of first use. */
export function captures(region: Region, inner: Set<Value> = new Set(), found: Set<Value> = new Set()): Set<Value> {
  const use = (v: Value): void => {
    if (!inner.has(v)) found.add(v);
  };
  for (const p of region.params) inner.add(p);
  for (const op of region.ops) {
    op.operands.forEach(use);
    for (const r of op.regions) captures(r, inner, found);
    for (const v of op.results) inner.add(v);
  }
  region.results.forEach(use);
  return found;
}
