/** Writes the clusters of a fusion graph out as ops: `fusion` ops with closed regions, and the ops that stay as they are. */
import type { Op, Region, Value } from '../ir.ts';
import { opDef } from '../ops/table.ts';
import type { Cluster, FusionGraph, Node } from './fuse-graph.ts';
import { fusionLabel } from './fuse-label.ts';

/** Which values of other clusters a cluster computes itself. */
export type StorePlan = ReadonlyMap<Cluster, ReadonlySet<Node>> | null;

export function buildClusters(
  g: FusionGraph,
  results: readonly Value[],
  plan: StorePlan,
): { ops: readonly Op[]; results: readonly Value[] } {
  return new Writer(g, results, plan).write();
}

/** The nodes of a cluster that are really computed in it, and the values they take in and give out. */
interface Body {
  readonly nodes: readonly Node[];
  readonly inputs: readonly Value[];
}

class Writer {
  private readonly g: FusionGraph;
  private readonly results: readonly Value[];
  private readonly plan: StorePlan;
  /** Values that some kernel or the region's end reads from memory. */
  private readonly needed = new Set<Value>();
  private readonly ops: Op[] = [];

  constructor(g: FusionGraph, results: readonly Value[], plan: StorePlan) {
    this.g = g;
    this.results = results;
    this.plan = plan;
  }

  write(): { ops: readonly Op[]; results: readonly Value[] } {
    const clusters = this.g.ordered();
    this.results.forEach((v) => this.needed.add(v));
    // Backwards: what a cluster must store is what later ones read from memory.
    const bodies = new Map<Cluster, Body>();
    for (const c of [...clusters].reverse()) {
      const body = this.body(c);
      bodies.set(c, body);
      body.inputs.forEach((v) => this.needed.add(v));
    }
    for (const c of clusters) this.emit(c, bodies.get(c)!);
    return { ops: this.ops, results: this.results };
  }

  /** Does a cluster that reads `v` compute it itself? */
  private own(c: Cluster, v: Value): Node | null {
    const p = this.g.producer.get(v);
    if (!p) return null;
    if (this.g.cluster(p) === c) return p;
    if (this.plan?.get(c)?.has(p)) return p;
    return this.plan && p.cls === 'free' && c.form.kind !== 'alone' ? p : null;
  }

  private body(c: Cluster): Body {
    if (isAlias(c) || c.form.kind === 'alone') return this.untouched(c);
    const nodes = new Set<Node>();
    const inputs = new Set<Value>();
    const visit = (v: Value): void => {
      const n = this.own(c, v);
      if (!n) {
        inputs.add(v);
        return;
      }
      if (nodes.has(n)) return;
      nodes.add(n);
      // The operands of a contraction are read by its family: they come from memory.
      if (n.cls === 'contraction') n.op.operands.forEach((o) => inputs.add(o));
      else n.op.operands.forEach(visit);
    };
    for (const n of c.nodes) for (const v of n.op.results) if (this.needed.has(v)) visit(v);
    return { nodes: [...nodes].sort((a, b) => a.index - b.index), inputs: [...inputs] };
  }

  /** Ops that stay as they are: those that something reads, and control. */
  private untouched(c: Cluster): Body {
    const nodes: Node[] = [];
    const inputs = new Set<Value>();
    for (const n of [...c.nodes].reverse()) {
      const read = n.op.results.some((v) => this.needed.has(v) || inputs.has(v));
      if (!read && opDef(n.op.kind).lower.kind !== 'control') continue;
      nodes.unshift(n);
      n.reads.forEach((v) => inputs.add(v));
    }
    return { nodes, inputs: [...inputs] };
  }

  private emit(c: Cluster, body: Body): void {
    if (body.nodes.length === 0) return;
    if (isAlias(c) || c.form.kind === 'alone') {
      for (const n of body.nodes) this.ops.push(isFamily(n) ? fusion(c, [n], n.op.results) : n.op);
      return;
    }
    // A reshape of what comes from memory is an alias outside of the kernel.
    const inside = new Set(body.nodes);
    const outside = new Set(body.inputs);
    const borders: Node[] = [];
    for (const n of body.nodes) {
      if (n.cls !== 'reshape' || !outside.has(n.op.operands[0]!) || (this.plan && this.g.cluster(n) !== c)) continue;
      borders.push(n);
      outside.add(n.op.results[0]!);
    }
    for (const n of borders) {
      inside.delete(n);
      this.ops.push(n.op);
    }
    const exports = c.nodes.flatMap((n) => (inside.has(n) ? n.op.results.filter((v) => this.needed.has(v)) : []));
    const nodes = this.live([...inside], exports);
    if (exports.length > 0) this.ops.push(fusion(c, nodes, exports));
  }

  /** Without what only the reshapes needed that are outside now. */
  private live(nodes: readonly Node[], exports: readonly Value[]): Node[] {
    const wanted = new Set<Value>(exports);
    const out: Node[] = [];
    for (const n of [...nodes].sort((a, b) => b.index - a.index)) {
      if (!n.op.results.some((v) => wanted.has(v))) continue;
      n.op.operands.forEach((v) => wanted.add(v));
      out.unshift(n);
    }
    return out;
  }
}

const isFamily = (n: Node): boolean => opDef(n.op.kind).lower.kind === 'family';

const isAlias = (c: Cluster): boolean => c.nodes.every((n) => n.cls === 'reshape');

/** A closed region: its own values throughout, the operands in order of first use. */
function fusion(c: Cluster, nodes: readonly Node[], exports: readonly Value[]): Op {
  const map = new Map<Value, Value>();
  const operands: Value[] = [];
  const params: Value[] = [];
  const inner = new Set(nodes.flatMap((n) => n.op.results));
  const read = (v: Value): Value => {
    let w = map.get(v);
    if (!w) {
      w = { type: v.type, hint: v.hint };
      map.set(v, w);
      if (!inner.has(v)) {
        operands.push(v);
        params.push(w);
      }
    }
    return w;
  };
  const ops = nodes.map((n): Op => ({ ...n.op, operands: n.op.operands.map(read), results: n.op.results.map(read) }));
  const region: Region = { params, ops, results: exports.map(read) };
  const main = nodes.find((n) => n.cls === 'contraction' || n.cls === 'reduction') ?? nodes[nodes.length - 1]!;
  return {
    kind: 'fusion',
    operands,
    attrs: { family: familyOf(c, nodes), label: fusionLabel(nodes.filter((n) => c.nodes.includes(n))) },
    results: exports,
    regions: [region],
    origin: main.op.origin,
  };
}

/** By what is left of the cluster: nobody may need its contraction, or its reductions. */
function familyOf(c: Cluster, nodes: readonly Node[]): string {
  const core = nodes.find((n) => n.cls === 'contraction');
  if (core) return core.op.kind;
  if (c.form.kind === 'alone') return nodes[0]!.op.kind;
  return nodes.some((n) => n.cls === 'reduction') ? 'rowwise' : 'elementwise';
}
