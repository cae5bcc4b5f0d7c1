/** Which clusters may become one kernel: the legality of fusion, family by family. */
import type { Dim } from '../dim.ts';
import { sameShape } from '../dim.ts';
import type { Op, Value } from '../ir.ts';
import { ints2 } from '../ops/attrs.ts';
import { opDef } from '../ops/table.ts';
import { axesOf, COSTLY, isReduction } from '../../codegen/rows.ts';
import { mergeable, identity, walkRegion } from '../../codegen/space.ts';
import { sameButOnes, splitsOnly } from '../../codegen/reshapes.ts';
import type { Cluster, Form, FusionGraph, Node } from './fuse-graph.ts';
import { classify } from './fuse-graph.ts';

/** What an op computes on when it is alone. */
export function formOf(op: Op): Form {
  const shape = op.results[0]?.type.shape;
  switch (classify(op)) {
    case 'free':
    case 'pointwise':
      return { kind: 'elementwise', shape: shape! };
    case 'reshape':
      // Inside a kernel only where the change of position costs nothing.
      return splitsOnly(op.operands[0]!.type.shape, shape!)
        ? { kind: 'elementwise', shape: shape! }
        : { kind: 'alone' };
    case 'reduction':
      return { kind: 'rowwise', shape: op.operands[0]!.type.shape, axes: axesOf(op) };
    case 'contraction':
      return { kind: 'contraction', core: op };
    case 'opaque':
      return { kind: 'alone' };
  }
}

/** The form of producer `p` and consumer `c` as one kernel, or null. */
export function joint(g: FusionGraph, p: Cluster, c: Cluster): Form | null {
  const [a, b] = [p.form, c.form];
  if (a.kind === 'alone' || b.kind === 'alone' || (b.kind === 'contraction' && a.kind !== 'elementwise')) return null;
  if (a.kind === 'contraction') return b.kind === 'elementwise' ? epilogue(g, p, c, a.core) : null;
  if (b.kind === 'contraction') return epilogue(g, p, c, b.core);
  if (a.kind === 'elementwise' && b.kind === 'elementwise') {
    return sameShape(a.shape, b.shape) || inlines(g, p, c) ? allExportsHave(g, p, c, [b.shape]) && b : null;
  }
  if (a.kind === 'rowwise' && b.kind === 'rowwise') {
    const same = sameShape(a.shape, b.shape) && sameAxes(a.axes, b.axes);
    return same ? rows(g, p, c, b.shape, b.axes) : null;
  }
  if (a.kind === 'rowwise') return rows(g, p, c, a.shape, a.axes);
  if (b.kind === 'rowwise' && a.kind === 'elementwise') {
    return sameShape(a.shape, b.shape) || inlines(g, p, c) ? rows(g, p, c, b.shape, b.axes) : null;
  }
  return null;
}

const sameAxes = (a: readonly number[], b: readonly number[]): boolean =>
  [...a].sort((x, y) => x - y).join() === [...b].sort((x, y) => x - y).join();

/** Every value that leaves has one of the shapes that the kernel stores. False is null, to chain. */
function allExportsHave(g: FusionGraph, p: Cluster, c: Cluster, shapes: readonly (readonly Dim[])[]): true | null {
  const ok = g.exported(p, c).every((v) => shapes.some((s) => sameShape(v.type.shape, s)));
  return ok ? true : null;
}

/**
 * May `p`, on another index space, be computed wherever `c` asks for it? Only if nothing else needs it, and if `c` does not
 * ask for costly elements many times over. Scalars and what is constant along the innermost axis leave the inner loop.
 */
function inlines(g: FusionGraph, p: Cluster, c: Cluster): boolean {
  if (g.exported(p).some((v) => (g.consumers.get(v) ?? []).some((n) => g.cluster(n) !== c) || g.results.has(v)))
    return false;
  const costly = p.nodes.some((n) => COSTLY.has(n.op.kind));
  const heavy = costly || p.nodes.length > 4;
  for (const n of c.nodes)
    for (const v of n.op.operands) {
      const from = g.producer.get(v);
      if (from && g.cluster(from) === p && repeats(n.op, v, p) && (heavy || isWindow(n.op))) return false;
    }
  return true;
}

const isWindow = (op: Op): boolean => op.kind.includes('pool2d');

/** Does the op read elements of the operand more than once, in a way that is not hoisted out of the inner loop? */
function repeats(op: Op, v: Value, p: Cluster): boolean {
  const isData = op.operands[0] === v;
  switch (op.kind) {
    case 'take':
      return isData;
    case 'max_pool2d':
    case 'avg_pool2d': {
      const [k, s] = [ints2(op.attrs, 'kernel'), ints2(op.attrs, 'stride')];
      return k[0] > s[0] || k[1] > s[1];
    }
    case 'max_pool2d_grad':
    case 'adaptive_avg_pool2d':
    case 'adaptive_avg_pool2d_grad':
      return true;
    case 'avg_pool2d_grad': {
      const [k, s] = [ints2(op.attrs, 'kernel'), ints2(op.attrs, 'stride')];
      return k[0] > s[0] || k[1] > s[1];
    }
    default: {
      const shape = v.type.shape;
      if (shape.every((d) => d.value === 1) || p.nodes.length === 0) return false;
      const stretched =
        op.results[0]!.type.shape.length > shape.length || !sameButOnes(shape, op.results[0]!.type.shape);
      const { lower } = opDef(op.kind);
      const broadcasts = lower.kind === 'elementwise' || op.kind === 'broadcast_to' || isReduction(op);
      return broadcasts && stretched && shape[shape.length - 1]!.value !== 1;
    }
  }
}

/**
 * A row-wise cluster: what depends on a reduction is of the full shape, of the reduced one with ones, or of the reduced
 * one without, and lines up with the rows; only such values leave.
 */
function rows(g: FusionGraph, p: Cluster, c: Cluster, shape: readonly Dim[], axes: readonly number[]): Form | null {
  const rank = shape.length;
  const kept = shape.flatMap((_, i) => (axes.includes(i) ? [] : [i]));
  const stored = rowShapes(shape, axes);
  const [full, withOnes, without] = stored as [string, string, string];
  const isShape = (v: Value, s: string): boolean => shapeKey(v.type.shape) === s;
  // Without ones, the kept axes line up with the last axes of the full space only if they are its last.
  const trailing = kept.every((axis, i) => axis === rank - kept.length + i);

  const dependent = new Set<Value>();
  const nodes = [...p.nodes, ...c.nodes].sort((x, y) => x.index - y.index);
  for (const n of nodes) {
    const { op } = n;
    if (isReduction(op)) {
      if (!sameShape(op.operands[0]!.type.shape, shape) || !sameAxes(axesOf(op), axes)) return null;
      dependent.add(op.results[0]!);
      continue;
    }
    const on = op.operands.filter((v) => dependent.has(v));
    if (on.length === 0) continue;
    const y = op.results[0]!;
    dependent.add(y);
    if (op.kind === 'reshape') {
      if (![full, withOnes, without].some((s) => isShape(y, s))) return null;
      // Ones come and go on the reduced space; the full space stays as it is.
      if (isShape(on[0]!, full) !== isShape(y, full)) return null;
      continue;
    }
    const { lower } = opDef(op.kind);
    if (lower.kind !== 'elementwise' && op.kind !== 'broadcast_to') return null;
    for (const v of on) {
      const scalar = v.type.shape.length === 0;
      if (isShape(y, full)) {
        if (!(isShape(v, full) || isShape(v, withOnes) || scalar || (trailing && isShape(v, without)))) return null;
      } else if (isShape(y, withOnes)) {
        if (!(isShape(v, withOnes) || scalar || (trailing && isShape(v, without)))) return null;
      } else if (isShape(y, without)) {
        if (!isShape(v, without)) return null;
      } else return null;
    }
  }
  if (!g.exported(p, c).every((v) => stored.some((s) => isShape(v, s)))) return null;
  return { kind: 'rowwise', shape, axes };
}

export const shapeKey = (shape: readonly Dim[]): string => shape.map((d) => d.key).join();

/** The shapes that a row-wise kernel stores: the full one, the reduced one with ones, and without. */
export function rowShapes(shape: readonly Dim[], axes: readonly number[]): readonly string[] {
  const keys = shape.map((d) => d.key);
  return [keys, keys.map((k, i) => (axes.includes(i) ? '1' : k)), keys.filter((_, i) => !axes.includes(i))].map((s) =>
    s.join(),
  );
}

/** Elementwise work at the store of a contraction: every tensor it reads must line up with the result's tiles. */
function epilogue(g: FusionGraph, p: Cluster, c: Cluster, core: Op): Form | null {
  const y = core.results[0]!;
  const shape = y.type.shape;
  const nodes = [...p.nodes, ...c.nodes].filter((n) => n.op !== core);
  const exported = g.exported(p, c);
  if (!exported.every((v) => sameShape(v.type.shape, shape))) return null;
  const inside = new Set(nodes);
  // The operands of the core are read by its family, not computed here.
  if (core.operands.some((v) => producedIn(g, v, inside))) return null;
  for (const n of nodes) {
    const { lower } = opDef(n.op.kind);
    const plain = lower.kind === 'elementwise' || n.op.kind === 'broadcast_to' || n.op.kind === 'reshape';
    if (!plain) return null;
  }
  const params = new Set<Value>();
  for (const n of nodes)
    for (const v of n.op.operands)
      if (v !== y && !producedIn(g, v, inside) && g.producer.get(v)?.cls !== 'free') params.add(v);
  const ops = [...freeInputs(g, nodes), ...nodes.map((n) => n.op)];
  const region = { params: [...params], ops, results: exported };
  const roots = exported.map((value) => ({ value, tokens: identity(shape.length) }));
  const { patterns } = walkRegion(region, roots, new Set([y]));
  const aligned = tileGroups(core).every((group) =>
    group.every((axis, i) => i === 0 || mergeable(patterns, group[i - 1]!, axis)),
  );
  return aligned ? { kind: 'contraction', core } : null;
}

const producedIn = (g: FusionGraph, v: Value, nodes: ReadonlySet<Node>): boolean => {
  const n = g.producer.get(v);
  return n !== undefined && nodes.has(n);
};

function freeInputs(g: FusionGraph, nodes: readonly Node[]): Op[] {
  const found = new Set<Op>();
  for (const n of nodes)
    for (const v of n.op.operands) {
      const from = g.producer.get(v);
      if (from?.cls === 'free') found.add(from.op);
    }
  return [...found];
}

/** Axes of a contraction's result that a tile sees as one: see `ResultView`. Axes of size 1 do not count. */
export function tileGroups(core: Op): readonly (readonly number[])[] {
  const shape = core.results[0]!.type.shape;
  const rank = shape.length;
  const wide = (axes: readonly number[]): readonly number[] => axes.filter((i) => shape[i]!.value !== 1);
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
  switch (core.kind) {
    case 'matmul':
      return foldsBatch(core)
        ? [wide(range(0, rank - 1)), [rank - 1]]
        : [wide(range(0, rank - 2)), [rank - 2], [rank - 1]];
    case 'conv2d_weight_grad':
      return [[0], wide([1, 2, 3])];
    default:
      return [[0], [1], wide([2, 3])];
  }
}

/** The second operand is one matrix for all batches, so batch and rows are one axis of the tiles: see `matmulSpec`. */
function foldsBatch(core: Op): boolean {
  return core.operands[1]!.type.shape.slice(0, -2).every((d) => d.value === 1) && core.attrs['transpose_a'] !== true;
}
