/**
 * Fusion: groups the ops of every function into `fusion {family}` ops, each of which one kernel family computes in one
 * go. Whole row computations are written out first (fuse-expand), then clusters grow along the edges that save the
 * most (fuse-rules says what is legal), then values are computed again where that is cheaper than storing them
 * (fuse-recompute), and what only places results is done by the kernels that make them (fuse-stores). Calls, control flow, `view`, `pack` and bare `reshape` stay as they are.
 */
import type { Target } from '../../codegen/call.ts';
import type { Module, Region, Value } from '../ir.ts';
import { expandWhole } from './fuse-expand.ts';
import type { Node } from './fuse-graph.ts';
import { FusionGraph } from './fuse-graph.ts';
import { sinkReshapes } from './fuse-reshape.ts';
import { planStores } from './fuse-recompute.ts';
import { buildClusters } from './fuse-region.ts';
import { formOf, joint } from './fuse-rules.ts';
import { joinSiblings } from './fuse-siblings.ts';
import { placeResults } from './fuse-stores.ts';

export interface FuseOptions {
  /** false: every op of the program is a kernel of its own. What fused programs are tested against. */
  readonly merge?: boolean;
}

export function fuse(module: Module, target: Target, options: FuseOptions = {}): Module {
  const funcs = [...module.funcs].map(
    ([name, f]) => [name, { ...f, body: fuseRegion(f.body, target, options) }] as const,
  );
  return { funcs: new Map(funcs) };
}

function fuseRegion(region: Region, target: Target, options: FuseOptions): Region {
  const inner = region.ops.map((op) => ({
    ...op,
    regions: op.kind === 'fusion' ? op.regions : op.regions.map((r) => fuseRegion(r, target, options)),
  }));
  const expanded = expandWhole(inner);
  const { renamed } = expanded;
  const merge = options.merge ?? true;
  const parts = merge ? sinkReshapes(expanded.parts) : expanded.parts;
  const rename = (v: Value): Value => renamed.get(v) ?? v;
  const results = region.results.map(rename);
  const g = new FusionGraph(parts, results, formOf);
  for (const n of g.nodes) grow(g, n, MAX_BUFFERS[target.kind], merge);
  const built = buildClusters(g, results, merge ? planStores(g) : null);
  const most = MAX_BUFFERS[target.kind];
  const finish = target.kind === 'wgsl' ? joinSiblings : placeResults;
  const ops = merge ? finish(built.ops, most, built.results) : built.ops;
  return { params: region.params, ops, results: built.results };
}

/** What is fused already, in kernels of so many tensors at most. Nothing is computed twice: that would need more of them. */
export function fuseSmaller(region: Region, tensors: number): Region {
  const parts = region.ops.map((op) => ({ op, source: op }));
  const g = new FusionGraph(parts, region.results, formOf);
  for (const n of g.nodes) grow(g, n, tensors, true);
  return { params: region.params, ...buildClusters(g, region.results, new Map()) };
}

/** Joins the cluster of a node with those of its operands, as long as that is legal and worth it. */
function grow(g: FusionGraph, n: Node, most: number, merge: boolean): void {
  if (n.cls === 'free' || n.cls === 'opaque') return;
  for (let again = true; again;) {
    again = false;
    for (const p of producersOf(g, n)) {
      if (!merge && p.source !== n.source) continue;
      const [a, b] = [g.cluster(p), g.cluster(n)];
      if (a === b) continue;
      const form = joint(g, a, b);
      if (!form || !fits(g, [...a.nodes, ...b.nodes], most) || g.wouldCycle(a, b)) continue;
      g.merge(a, b, form);
      again = true;
    }
  }
}

/** The most valuable to join first: a contraction saves a whole pass over its result, and the latest one is the nearest. */
function producersOf(g: FusionGraph, n: Node): Node[] {
  const weight = (p: Node): number =>
    g.cluster(p).form.kind === 'contraction' ? 2 : g.cluster(p).form.kind === 'rowwise' ? 1 : 0;
  const found = n.op.operands.flatMap((v) => {
    const p = g.producer.get(v);
    return p && p.cls !== 'free' && p.cls !== 'opaque' ? [p] : [];
  });
  return [...new Set(found)].sort((a, b) => weight(b) - weight(a) || b.index - a.index);
}

/** This is there to keep kernels readable and in registers; what a device cannot take is taken apart when its kernel is known (codegen/fit.ts). */
const MAX_BUFFERS: Readonly<Record<Target['kind'], number>> = { wasm: 24, c: 24, wgsl: 24 };

function fits(g: FusionGraph, nodes: readonly Node[], most: number): boolean {
  const inside = new Set(nodes);
  const buffers = new Set<Value>();
  for (const n of nodes) {
    for (const v of n.op.operands) {
      const p = g.producer.get(v);
      if (!p || (p.cls !== 'free' && !inside.has(p))) buffers.add(v);
    }
    for (const v of n.op.results) {
      if (g.results.has(v) || (g.consumers.get(v) ?? []).some((x) => !inside.has(x))) buffers.add(v);
    }
  }
  return buffers.size <= most && nodes.length <= 200;
}
