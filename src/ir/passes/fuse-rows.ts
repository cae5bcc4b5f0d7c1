/** What a row-wise kernel may hold, and what it stores. */
import { axesOf, isReduction } from '../../codegen/rows.ts';
import type { Dim } from '../dim.ts';
import { sameShape } from '../dim.ts';
import type { Value } from '../ir.ts';
import { opDef } from '../ops/table.ts';
import type { Cluster, Form, FusionGraph } from './fuse-graph.ts';

export const sameAxes = (a: readonly number[], b: readonly number[]): boolean =>
  [...a].sort((x, y) => x - y).join() === [...b].sort((x, y) => x - y).join();

/**
 * A row-wise cluster: what depends on a reduction is of the full shape, of the reduced one with ones, or of the reduced
 * one without, and lines up with the rows; only such values leave.
 */
export function rows(
  g: FusionGraph,
  p: Cluster,
  c: Cluster,
  shape: readonly Dim[],
  axes: readonly number[],
): Form | null {
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
