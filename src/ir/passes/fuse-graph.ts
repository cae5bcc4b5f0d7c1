/** The graph that fusion works on: ops of one region, what feeds what, and a partition of them into clusters without cycles. */
import { readsOf } from '../clone.ts';
import type { Dim } from '../dim.ts';
import type { Op, Value } from '../ir.ts';
import { opDef } from '../ops/table.ts';
import { isReduction } from '../../codegen/rows.ts';
import { tilesInput } from '../../codegen/windows.ts';
import type { Part } from './fuse-expand.ts';

/**
 * free: computed anew wherever it is needed. pointwise: fits any index space. opaque: stays as it is (control, aliases,
 * families that fuse with nothing).
 */
export type NodeClass = 'free' | 'pointwise' | 'reshape' | 'reduction' | 'contraction' | 'opaque';

export interface Node {
  readonly index: number;
  readonly op: Op;
  readonly source: Op;
  readonly cls: NodeClass;
  /** Values that it reads, those of its regions included. */
  readonly reads: readonly Value[];
}

export interface Cluster {
  readonly id: number;
  readonly nodes: readonly Node[];
  readonly form: Form;
}

/** What a cluster computes on. */
export type Form =
  | { readonly kind: 'elementwise'; readonly shape: readonly Dim[] }
  | { readonly kind: 'rowwise'; readonly shape: readonly Dim[]; readonly axes: readonly number[] }
  | { readonly kind: 'contraction'; readonly core: Op }
  | { readonly kind: 'alone' };

export const CONTRACTIONS: ReadonlySet<string> = new Set([
  'matmul',
  'conv2d',
  'conv2d_input_grad',
  'conv2d_weight_grad',
]);
const POINTWISE_FAMILIES: ReadonlySet<string> = new Set([
  'take',
  'max_pool2d',
  'avg_pool2d',
  'avg_pool2d_grad',
  'adaptive_avg_pool2d',
  'adaptive_avg_pool2d_grad',
]);
const FREE: ReadonlySet<string> = new Set(['constant', 'size', 'iota']);

export function classify(op: Op): NodeClass {
  if (FREE.has(op.kind)) return 'free';
  if (op.kind === 'reshape') return 'reshape';
  if (isReduction(op)) return 'reduction';
  if (CONTRACTIONS.has(op.kind)) return 'contraction';
  if (POINTWISE_FAMILIES.has(op.kind)) return 'pointwise';
  if (op.kind === 'max_pool2d_grad') return tilesInput(op) ? 'pointwise' : 'opaque';
  const { lower } = opDef(op.kind);
  return lower.kind === 'elementwise' || lower.kind === 'generator' || lower.kind === 'view' ? 'pointwise' : 'opaque';
}

export class FusionGraph {
  readonly nodes: readonly Node[];
  readonly producer = new Map<Value, Node>();
  readonly consumers = new Map<Value, Node[]>();
  /** Values that leave the region. */
  readonly results: ReadonlySet<Value>;
  private readonly clusterOf: Cluster[] = [];
  private count = 0;

  constructor(parts: readonly Part[], results: readonly Value[], formOf: (op: Op) => Form) {
    this.results = new Set(results);
    this.nodes = parts.map(({ op, source }, index) => ({
      ...{ index, op, source, cls: classify(op) },
      reads: [...new Set(readsOf(op))],
    }));
    for (const n of this.nodes) {
      for (const r of n.op.results) this.producer.set(r, n);
      for (const v of n.reads) {
        const list = this.consumers.get(v);
        if (list) list.push(n);
        else this.consumers.set(v, [n]);
      }
      this.clusterOf[n.index] = { id: this.count++, nodes: [n], form: formOf(n.op) };
    }
  }

  cluster(n: Node): Cluster {
    return this.clusterOf[n.index]!;
  }

  /** All clusters, in order of their first node. */
  clusters(): Cluster[] {
    return [...new Set(this.clusterOf)];
  }

  merge(a: Cluster, b: Cluster, form: Form): Cluster {
    const nodes = [...a.nodes, ...b.nodes].sort((x, y) => x.index - y.index);
    const made = { id: this.count++, nodes, form };
    for (const n of nodes) this.clusterOf[n.index] = made;
    return made;
  }

  /** Values of some clusters that are read outside of them. */
  exported(...parts: readonly Cluster[]): Value[] {
    const out: Value[] = [];
    for (const c of parts)
      for (const n of c.nodes)
        for (const v of n.op.results) {
          const outside = (this.consumers.get(v) ?? []).some(
            (x) => x.cls !== 'free' && !parts.includes(this.cluster(x)),
          );
          if (outside || this.results.has(v)) out.push(v);
        }
    return out;
  }

  /**
   * Would joining them close a cycle: does a path leave `a` or `b`, pass through another cluster, and come back? Nodes after
   * the last of both must still be alone, as they are while clusters grow in program order: no path comes back from there.
   */
  wouldCycle(a: Cluster, b: Cluster): boolean {
    const last = Math.max(a.nodes[a.nodes.length - 1]!.index, b.nodes[b.nodes.length - 1]!.index);
    const seen = new Set<Cluster>([a, b]);
    const stack = [a, b];
    while (stack.length > 0) {
      const from = stack.pop()!;
      const own = from === a || from === b;
      for (const n of from.nodes)
        for (const v of n.op.results)
          for (const x of this.consumers.get(v) ?? []) {
            if (x.index > last) continue;
            const next = this.cluster(x);
            if ((next === a || next === b) && !own) return true;
            if (seen.has(next)) continue;
            seen.add(next);
            stack.push(next);
          }
    }
    return false;
  }

  /** Clusters in an order in which each comes after what it reads. */
  ordered(): Cluster[] {
    const all = this.clusters();
    const waiting = new Map<Cluster, number>();
    const next = new Map<Cluster, Set<Cluster>>();
    for (const c of all) {
      const before = new Set<Cluster>();
      for (const n of c.nodes)
        for (const v of n.reads) {
          const p = this.producer.get(v);
          if (p && this.cluster(p) !== c) before.add(this.cluster(p));
        }
      waiting.set(c, before.size);
      for (const p of before) next.set(p, (next.get(p) ?? new Set()).add(c));
    }
    // The one with the smallest first node goes first, which keeps the order of the program where it is free.
    const rank = new Map(all.map((c, i) => [c, i]));
    const ready = all.filter((c) => waiting.get(c) === 0);
    const out: Cluster[] = [];
    while (ready.length > 0) {
      let best = 0;
      for (let i = 1; i < ready.length; i++) if (rank.get(ready[i]!)! < rank.get(ready[best]!)!) best = i;
      const [c] = ready.splice(best, 1);
      out.push(c!);
      for (const n of next.get(c!) ?? []) {
        const left = waiting.get(n)! - 1;
        waiting.set(n, left);
        if (left === 0) ready.push(n);
      }
    }
    if (out.length !== all.length) throw new Error('fusion made a cycle');
    return out;
  }
}
