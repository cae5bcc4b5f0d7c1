/**
 * A position along an axis (or in flat memory) for all lanes of a vector at once. Most have constant distances between
 * the lanes, which is what makes a load contiguous, strided or one broadcast scalar; the rest keep one index per lane.
 */
import * as K from './builder.ts';
import type { KExpr } from './kernel.ts';
import type { Scope } from './scope.ts';

export interface Coord {
  /** Index of lane 0 (i32, scalar). */
  readonly base: KExpr;
  /** Distance of each lane from `base`; empty where all lanes are at the same place. */
  readonly steps: readonly number[];
  /** Instead of base and steps where distances are not constant: one index per lane. */
  readonly each: readonly KExpr[] | null;
  /** `base` is known to be a multiple of this. */
  readonly multiple: number;
}

const of = (base: KExpr, steps: readonly number[], multiple: number): Coord => {
  const uniform = steps.every((s) => s === 0);
  return { base, steps: uniform ? [] : steps, each: null, multiple };
};

const constantOf = (e: KExpr): number | null => (e.k === 'const' ? e.value : null);

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

/** A number that `e` is known to be a multiple of. */
export const multipleOf = (e: KExpr): number => {
  const c = constantOf(e);
  return c === null ? 1 : c === 0 ? 1 << 30 : Math.abs(c);
};

/** The same position in every lane. */
export const uniform = (base: KExpr, multiple = multipleOf(base)): Coord => of(base, [], multiple);
export const ORIGIN: Coord = uniform(K.i32(0));

/** `lanes` consecutive positions from a base that is a multiple of `multiple`. */
export const consecutive = (base: KExpr, lanes: number, multiple = 1): Coord =>
  of(base, lanes === 1 ? [] : Array.from({ length: lanes }, (_, i) => i), multiple);

const perLane = (each: readonly KExpr[]): Coord => ({ base: each[0]!, steps: [], each, multiple: 1 });

export const isUniform = (c: Coord): boolean => c.each === null && c.steps.length === 0;
export const lanesOf = (c: Coord): number => c.each?.length ?? (c.steps.length || 1);

/** The index of one lane. */
export const laneAt = (c: Coord, lane: number): KExpr => c.each?.[lane] ?? K.add(c.base, c.steps[lane] ?? 0);

/** All indices as one value, scalar where they are the same. */
export function toValue(s: Scope, c: Coord): KExpr {
  if (isUniform(c)) return c.base;
  if (c.each) return s.share(K.vector(c.each));
  const steps = K.vector(c.steps.map((x) => K.i32(x)));
  return s.share(K.add(s.share(K.splat(c.base, c.steps.length)), s.share(steps)));
}

/** Any index value as a coordinate. */
export function fromValue(s: Scope, v: KExpr): Coord {
  if (v.type.lanes === 1) return uniform(v);
  return perLane(Array.from({ length: v.type.lanes }, (_, i) => s.share(K.lane(v, i))));
}

const mapLanes = (s: Scope, c: Coord, f: (e: KExpr) => KExpr): Coord =>
  perLane(Array.from({ length: lanesOf(c) }, (_, i) => s.share(f(laneAt(c, i)))));

/** c + n */
export function shift(s: Scope, c: Coord, n: KExpr): Coord {
  if (constantOf(n) === 0) return c;
  if (c.each) return mapLanes(s, c, (e) => K.add(e, n));
  return of(s.share(K.add(c.base, n)), c.steps, gcd(c.multiple, multipleOf(n)));
}

/** c * n */
export function scale(s: Scope, c: Coord, n: KExpr): Coord {
  const k = constantOf(n);
  if (k === 1) return c;
  if (k === null && !isUniform(c)) return mapLanes(s, c, (e) => K.mul(e, n));
  if (c.each) return mapLanes(s, c, (e) => K.mul(e, n));
  const multiple = Math.min(c.multiple * Math.max(1, Math.abs(k ?? 1)), 1 << 30);
  return of(
    s.share(K.mul(c.base, n)),
    c.steps.map((x) => x * (k ?? 1)),
    multiple,
  );
}

/** last - c */
export function reverse(s: Scope, c: Coord, last: KExpr): Coord {
  if (c.each) return mapLanes(s, c, (e) => K.sub(last, e));
  return of(
    s.share(K.sub(last, c.base)),
    c.steps.map((x) => 0 - x),
    1,
  );
}

/** The sum of positions, outer parts first so that they leave the inner loops. */
export function sum(s: Scope, parts: readonly Coord[]): Coord {
  const lanes = Math.max(...parts.map(lanesOf), 1);
  if (parts.some((c) => c.each)) {
    const at = (i: number): KExpr =>
      sumBases(
        s,
        parts.map((c) => (isUniform(c) ? c.base : laneAt(c, i))),
      );
    return perLane(Array.from({ length: lanes }, (_, i) => at(i)));
  }
  const steps = Array.from({ length: lanes }, (_, i) => parts.reduce((n, c) => n + (c.steps[i] ?? 0), 0));
  return of(
    sumBases(
      s,
      parts.map((c) => c.base),
    ),
    steps,
    parts.reduce((g, c) => gcd(c.multiple, g), 0) || 1,
  );
}

function sumBases(s: Scope, bases: readonly KExpr[]): KExpr {
  const ordered = bases.map((e) => ({ e, depth: s.depthOf(e) })).sort((a, b) => a.depth - b.depth);
  return ordered.reduce((acc: KExpr, { e }) => s.share(K.add(acc, e), 'at'), K.i32(0));
}

/** Floor of c / n, for positions that are not negative. */
export function divide(s: Scope, c: Coord, n: KExpr): Coord {
  const k = constantOf(n);
  if (k === 1) return c;
  if (isUniform(c)) return uniform(s.share(K.div(c.base, n)), k !== null && c.multiple % k === 0 ? c.multiple / k : 1);
  if (k === null || c.each || c.multiple % k !== 0 || c.steps.some((x) => x < 0))
    return mapLanes(s, c, (e) => K.div(e, n));
  return of(
    s.share(K.div(c.base, n)),
    c.steps.map((x) => Math.floor(x / k)),
    c.multiple / k,
  );
}

/** Remainder of that division. */
export function remainder(s: Scope, c: Coord, n: KExpr): Coord {
  const k = constantOf(n);
  if (k === 1) return ORIGIN;
  if (isUniform(c)) return uniform(k !== null && c.multiple % k === 0 ? K.i32(0) : s.share(K.rem(c.base, n)));
  if (k === null || c.each || c.multiple % k !== 0 || c.steps.some((x) => x < 0))
    return mapLanes(s, c, (e) => K.rem(e, n));
  return of(
    K.i32(0),
    c.steps.map((x) => x % k),
    1 << 30,
  );
}

/** Into [0, n - 1], so that an address computed from it is one of the tensor's (an empty one is never loaded for use). */
export function clamp(s: Scope, c: Coord, n: KExpr): Coord {
  const f = (e: KExpr): KExpr => K.max(K.min(e, K.sub(n, 1)), 0);
  return isUniform(c) ? uniform(s.share(f(c.base))) : mapLanes(s, c, f);
}

/** 0 <= c < n as bool, scalar where all lanes agree. */
export function inside(s: Scope, c: Coord, n: KExpr): KExpr {
  const v = toValue(s, c);
  return s.share(K.and(K.ge(v, 0), K.lt(v, n)));
}

/** The same for equal positions. */
export const coordKey = (s: Scope, c: Coord): string =>
  c.each ? c.each.map((e) => s.key(e)).join(' ') : `${s.key(c.base)}+${c.steps.join(' ')}`;

/** The innermost block that it depends on. */
export const coordDepth = (s: Scope, c: Coord): number =>
  c.each ? Math.max(...c.each.map((e) => s.depthOf(e))) : s.depthOf(c.base);
