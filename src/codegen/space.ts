/**
 * Iteration spaces: which axes of a fused region can run as one loop. Two neighbours merge where every tensor that is
 * touched has them side by side in memory or has neither, so most elementwise work becomes one flat loop.
 */
import type { Dim } from '../ir/dim.ts';
import { product, sameShape } from '../ir/dim.ts';
import type { Op, Region, Value } from '../ir/ir.ts';
import { ints, num, sizes } from '../ir/ops/attrs.ts';
import { opDef } from '../ir/ops/table.ts';
import type { Coord } from './coord.ts';
import { ORIGIN } from './coord.ts';
import { axisGroups } from './reshapes.ts';

/** An axis of the space, or what stands in its place: nothing (size 1), or a position that does not come from one axis. */
export type Token = number;
export const NONE = -1;
export const OTHER = -2;

/** How a param of a region is read: the axes of the space in the order of its own. */
export interface Access {
  readonly param: Value;
  readonly tokens: readonly Token[];
  /** Each element is read where the one with the same number, counted in memory, is written. */
  readonly flat: boolean;
}

export interface Walk {
  readonly accesses: readonly Access[];
  /** Where the ops of the region are asked for their results. */
  readonly visits: readonly { readonly op: Op; readonly tokens: readonly Token[] }[];
  /** Runs of axes that must lie side by side, or that stand alone. */
  readonly patterns: readonly (readonly Token[])[];
}

/** Follows every root from its position in the space to the params. `stops` are values that are known by position. */
export function walkRegion(
  region: Region,
  roots: readonly { readonly value: Value; readonly tokens: readonly Token[] }[],
  stops: ReadonlySet<Value> = new Set(),
): Walk {
  const producers = new Map<Value, Op>();
  for (const op of region.ops) for (const r of op.results) producers.set(r, op);
  const params = new Set(region.params);
  const accesses: Access[] = [];
  const patterns: (readonly Token[])[] = [];
  const visits: { readonly op: Op; readonly tokens: readonly Token[] }[] = [];
  const seen = new Map<Value, Set<string>>();

  const visit = (v: Value, given: readonly Token[], flat = false): void => {
    const tokens = given.map((t, i) => (v.type.shape[i]!.value === 1 ? NONE : t));
    const key = `${tokens.join()}${flat ? '=' : ''}`;
    const before = seen.get(v) ?? new Set();
    if (before.has(key)) return;
    seen.set(v, before.add(key));
    const op = producers.get(v);
    if (params.has(v) || stops.has(v) || !op) {
      patterns.push(tokens);
      if (params.has(v)) accesses.push({ param: v, tokens, flat });
      return;
    }
    visits.push({ op, tokens });
    follow(op, tokens, flat);
  };

  const aligned = (x: Value, to: Value, tokens: readonly Token[], flat: boolean): void =>
    visit(x, tokens.slice(tokens.length - x.type.shape.length), flat && sameShape(x.type.shape, to.type.shape));

  const follow = (op: Op, tokens: readonly Token[], flat: boolean): void => {
    const moved = new Set<number>();
    /** The axis stands alone, and positions on it change. */
    const alone = (i: number): void => {
      patterns.push([tokens[i]!]);
      moved.add(i);
    };
    const onward = (x: Value): void =>
      visit(
        x,
        tokens.map((t, i) => (moved.has(i) ? OTHER : t)),
      );
    const x = op.operands[0];
    switch (op.kind) {
      case 'constant':
      case 'size':
        return;
      case 'iota':
        alone(num(op.attrs, 'axis'));
        return;
      case 'transpose': {
        const source: Token[] = [];
        ints(op.attrs, 'perm').forEach((axis, i) => (source[axis] = tokens[i]!));
        return visit(x!, source);
      }
      case 'reshape': {
        const source = x!.type.shape.map((): Token => NONE);
        for (const g of axisGroups(x!.type.shape, op.results[0]!.type.shape)) {
          if (g.to.length > 1 || g.from.length > 1) patterns.push(g.to.map((t) => tokens[t]!));
          const single = g.to.length === 1 && g.from.length === 1;
          for (const f of g.from) source[f] = single ? tokens[g.to[0]!]! : OTHER;
        }
        return visit(x!, source, flat);
      }
      case 'slice': {
        const [start, stop, step] = [sizes(op.attrs, 'start'), sizes(op.attrs, 'stop'), ints(op.attrs, 'step')];
        x!.type.shape.forEach((d, i) => {
          if (start[i]!.value !== 0 || stop[i]!.key !== d.key || step[i] !== 1) alone(i);
        });
        return onward(x!);
      }
      case 'pad': {
        const [low, high] = [sizes(op.attrs, 'low'), sizes(op.attrs, 'high')];
        const gap = op.attrs['gap'] ? ints(op.attrs, 'gap') : [];
        low.forEach((l, i) => {
          if (l.value !== 0 || high[i]!.value !== 0 || (gap[i] ?? 0) > 0) alone(i);
        });
        return onward(x!);
      }
      case 'flip':
        ints(op.attrs, 'axes').forEach(alone);
        return onward(x!);
      case 'concat':
        alone(num(op.attrs, 'axis'));
        return op.operands.forEach(onward);
      case 'take': {
        const axis = num(op.attrs, 'axis');
        const rank = op.operands[1]!.type.shape.length;
        visit(op.operands[1]!, tokens.slice(axis, axis + rank));
        return visit(x!, [...tokens.slice(0, axis), OTHER, ...tokens.slice(axis + rank)]);
      }
      default: {
        const { lower } = opDef(op.kind);
        if (lower.kind === 'elementwise' || op.kind === 'broadcast_to')
          return op.operands.forEach((o) => aligned(o, op.results[0]!, tokens, flat));
        // Pooling: rows and columns move, planes stay.
        alone(2);
        alone(3);
        return op.operands.forEach((o) => visit(o, [tokens[0]!, tokens[1]!, OTHER, OTHER]));
      }
    }
  };

  for (const r of roots)
    visit(
      r.value,
      r.tokens,
      r.tokens.every((t, i) => t === i || r.value.type.shape[i]!.value === 1),
    );
  return { accesses, visits, patterns };
}

/** One loop over some neighbouring axes. */
export interface LoopAxis {
  readonly axes: readonly number[];
  readonly extent: Dim;
}

/** Can axes i and j, neighbours in the space, run as one? */
export function mergeable(patterns: readonly (readonly Token[])[], i: number, j: number): boolean {
  return patterns.every((p) => {
    const flat = p.filter((t) => t !== NONE);
    const at = flat.indexOf(i);
    if (at < 0) return !flat.includes(j);
    return flat[at + 1] === j;
  });
}

/** The loops over the axes given (in order), as few as possible; axes of size 1 need none. */
export function loopsOver(
  shape: readonly Dim[],
  axes: readonly number[],
  patterns: readonly (readonly Token[])[],
): readonly LoopAxis[] {
  const groups: number[][] = [];
  let last = -1;
  for (const axis of axes) {
    if (shape[axis]!.value === 1) continue;
    const adjacent = last >= 0 && shape.slice(last + 1, axis).every((d) => d.value === 1);
    if (adjacent && mergeable(patterns, last, axis)) groups[groups.length - 1]!.push(axis);
    else groups.push([axis]);
    last = axis;
  }
  return groups.map((g) => ({ axes: g, extent: product(g.map((a) => shape[a]!)) }));
}

/**
 * Positions per axis from positions in the loops. A merged position stands at the last of its axes, beyond that axis's
 * size: everything that is read has these axes side by side, so its address comes out right.
 */
export function placeIn(rank: number, loops: readonly LoopAxis[], at: readonly Coord[]): Coord[] {
  const out = new Array<Coord>(rank).fill(ORIGIN);
  loops.forEach((loop, i) => (out[loop.axes[loop.axes.length - 1]!] = at[i]!));
  return out;
}

export const identity = (rank: number): readonly Token[] => Array.from({ length: rank }, (_, i) => i);

/**
 * Is the param read at exactly the position that is being written, and nowhere else? `once`: the kernel comes to each position
 * once, so that the shapes need not be the same.
 */
export function readInPlace(walk: Walk, param: Value, shape: readonly Dim[], once: boolean): boolean {
  const own = walk.accesses.filter((a) => a.param === param);
  if (own.length === 0) return false;
  if (once && product(param.type.shape).key === product(shape).key && own.every((a) => a.flat)) return true;
  const here = (a: Access): boolean => a.tokens.every((t, i) => t === i || shape[i]!.value === 1);
  return sameShape(param.type.shape, shape) && own.every(here);
}
