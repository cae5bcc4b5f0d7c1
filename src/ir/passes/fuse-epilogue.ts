/** What may be done at the store of a contraction. */
import { COSTLY } from './op-cost.ts';
import { identity, mergeable, walkRegion } from '../../codegen/space.ts';
import { sameShape } from '../dim.ts';
import type { Op, Value } from '../ir.ts';
import { opDef } from '../ops/table.ts';
import type { Cluster, Form, FusionGraph, Node } from './fuse-graph.ts';

/** Elementwise work at the store of a contraction: every tensor it reads must line up with the result's tiles. */
export function epilogue(g: FusionGraph, p: Cluster, c: Cluster, core: Op): Form | null {
  const y = core.results[0]!;
  const shape = y.type.shape;
  const nodes = [...p.nodes, ...c.nodes].filter((n) => n.op !== core);
  const exported = g.exported(p, c);
  if (!exported.every((v) => sameShape(v.type.shape, shape))) return null;
  const inside = new Set(nodes);
  // The operands of the core are read by its family, not computed here.
  if (core.operands.some((v) => producedIn(g, v, inside))) return null;
  if (!nodes.every((n) => isPlain(n.op)) || repeatsMuch(nodes, core)) return null;
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

const isPlain = (op: Op): boolean =>
  opDef(op.kind).lower.kind === 'elementwise' || op.kind === 'broadcast_to' || op.kind === 'reshape';

const SLOW: ReadonlySet<string> = new Set([...COSTLY, 'div', 'sqrt', 'rsqrt', 'rem']);

/**
 * What is smaller than the result (a norm's scale per channel) would be computed again at every store: better once, by a
 * small kernel of its own. A scalar is computed once in any case.
 */
function repeatsMuch(nodes: readonly Node[], core: Op): boolean {
  const small = nodes.filter(({ op }) => {
    const shape = op.results[0]!.type.shape;
    return !sameShape(shape, core.results[0]!.type.shape) && shape.some((d) => d.value !== 1) && op.kind !== 'reshape';
  });
  return small.length > 2 || small.some((n) => SLOW.has(n.op.kind));
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
