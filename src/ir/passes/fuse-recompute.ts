/**
 * Which values a kernel computes again instead of reading them from memory: recompute weighed against store, in bytes moved.
 * A value that other clusters read costs one write and a read for each of them; computing it again costs arithmetic (in
 * bytes that memory moves in the same time) and the reads of what it is made of.
 */
import { sameShape } from '../dim.ts';
import type { Value } from '../ir.ts';
import { opDef } from '../ops/table.ts';
import type { Cluster, FusionGraph, Node } from './fuse-graph.ts';
import { rowShapes, shapeKey } from './fuse-rows.ts';
import { costOf, elementsOf, FREE } from './op-cost.ts';

/** A value less to store is also one buffer less, and often a kernel less. */
const BUFFER_BYTES = 512;
/** More large operands than this make a kernel unwieldy. */
const MAX_LEAVES = 3;
const MAX_NODES = 24;

export function planStores(g: FusionGraph): ReadonlyMap<Cluster, ReadonlySet<Node>> {
  return new Planner(g).plan();
}

class Planner {
  private readonly g: FusionGraph;
  private readonly sizes = new Map<Value, number>();
  /** Values in memory: from outside the region, or decided to be stored. */
  private readonly stored = new Set<Value>();
  private readonly again = new Map<Cluster, Set<Node>>();
  private readonly reads = new Map<Cluster, Set<Value>>();

  constructor(g: FusionGraph) {
    this.g = g;
  }

  plan(): ReadonlyMap<Cluster, ReadonlySet<Node>> {
    for (const n of this.g.nodes) for (const v of n.op.results) if (this.mustStore(n, v)) this.stored.add(v);
    for (const c of this.g.ordered()) {
      const open = c.nodes.flatMap((n) =>
        n.cls === 'free' ? [] : n.op.results.filter((v) => !this.stored.has(v) && this.readers(n, v).length > 0),
      );
      if (open.length > 1) this.storeRoots(open);
      for (const v of open) if (!this.stored.has(v)) this.decide(this.g.producer.get(v)!, v);
    }
    return this.again;
  }

  /** Several values may be cheaper to make again from something they have in common, which then is stored in their place. */
  private storeRoots(values: readonly Value[]): void {
    const nodes = new Set<Node>();
    const leaves = new Set<Value>();
    const readers = new Set<Cluster>();
    let store = 0;
    for (const v of values) {
      const chain = this.chain(v);
      if (!chain) return;
      chain.nodes.forEach((n) => nodes.add(n));
      chain.leaves.forEach((l) => leaves.add(l));
      const own = this.readers(this.g.producer.get(v)!, v);
      own.forEach((c) => readers.add(c));
      store += 4 * this.size(v) * (1 + own.length) + BUFFER_BYTES;
    }
    let again = this.storing(leaves);
    for (const c of readers) again += this.costIn(c, { nodes: [...nodes], leaves: [...leaves] });
    if (again < store) leaves.forEach((l) => this.stored.add(l));
  }

  /** Bytes written for those of the values that would not be in memory otherwise. */
  private storing(values: Iterable<Value>): number {
    let bytes = 0;
    for (const v of values) if (!this.inMemory(v)) bytes += 4 * this.size(v);
    return bytes;
  }

  /** Clusters other than its own that read it. */
  private readers(n: Node, v: Value): Cluster[] {
    const own = this.g.cluster(n);
    const found = new Set<Cluster>();
    for (const x of this.g.consumers.get(v) ?? [])
      if (x.cls !== 'free' && this.g.cluster(x) !== own) found.add(this.g.cluster(x));
    return [...found];
  }

  private mustStore(n: Node, v: Value): boolean {
    const own = this.g.cluster(n);
    if (own.form.kind === 'alone' || this.g.results.has(v)) return true;
    return (this.g.consumers.get(v) ?? []).some((x) => {
      const c = this.g.cluster(x);
      if (c === own || x.cls === 'free') return false;
      // A contraction reads its operands from memory; what is left alone reads everything from there.
      return c.form.kind === 'alone' || x.cls === 'contraction' || (x.cls === 'reshape' && c.nodes.length === 1);
    });
  }

  private decide(n: Node, v: Value): void {
    const readers = this.readers(n, v);
    if (readers.length === 0) return;
    const chain = this.chain(v);
    if (!chain) {
      this.stored.add(v);
      return;
    }
    const bytes = 4 * this.size(v);
    const store = bytes * (1 + readers.length) + BUFFER_BYTES;
    let recompute = this.storing(chain.leaves);
    for (const c of readers) recompute += this.costIn(c, chain);
    if (recompute >= store) {
      this.stored.add(v);
      return;
    }
    for (const leaf of chain.leaves) this.stored.add(leaf);
    for (const c of readers) {
      const set = this.again.get(c) ?? new Set();
      chain.nodes.forEach((x) => set.add(x));
      this.again.set(c, set);
      chain.leaves.forEach((leaf) => this.readsOf(c).add(leaf));
    }
  }

  private inMemory(v: Value): boolean {
    return this.stored.has(v) || !this.g.producer.has(v);
  }

  /** The elementwise ops that make `v` from values in memory (or to be put there), or null if that is not worth a thought. */
  private chain(v: Value): { nodes: readonly Node[]; leaves: readonly Value[] } | null {
    const nodes = new Set<Node>();
    const leaves = new Set<Value>();
    const visit = (u: Value, top: boolean): void => {
      const n = this.g.producer.get(u);
      if (n?.cls === 'free') return;
      if (!n || (!top && this.inMemory(u)) || !this.isPlain(n)) {
        leaves.add(u);
        return;
      }
      if (nodes.has(n)) return;
      nodes.add(n);
      n.op.operands.forEach((o) => visit(o, false));
    };
    visit(v, true);
    if ([...leaves].some((l) => !this.inMemory(l) && !this.canStore(l))) return null;
    const large = [...leaves].filter((l) => 4 * this.size(l) > this.size(v));
    const fits = nodes.size > 0 && nodes.size <= MAX_NODES && large.length <= MAX_LEAVES;
    return fits ? { nodes: [...nodes], leaves: [...leaves] } : null;
  }

  /** Kernels store values of their own index space only. */
  private canStore(v: Value): boolean {
    const { form } = this.g.cluster(this.g.producer.get(v)!);
    switch (form.kind) {
      case 'alone':
        return true;
      case 'elementwise':
        return sameShape(v.type.shape, form.shape);
      case 'contraction':
        return sameShape(v.type.shape, form.core.results[0]!.type.shape);
      case 'rowwise':
        return rowShapes(form.shape, form.axes).some((s) => s === shapeKey(v.type.shape));
    }
  }

  private isPlain(n: Node): boolean {
    if (this.g.cluster(n).form.kind === 'alone') return false;
    return opDef(n.op.kind).lower.kind === 'elementwise' || FREE.has(n.op.kind);
  }

  /** Arithmetic and new reads; infinite where it is not legal. */
  private costIn(c: Cluster, chain: { nodes: readonly Node[]; leaves: readonly Value[] }): number {
    const { form } = c;
    if (form.kind === 'alone') return Infinity;
    const shape = form.kind === 'contraction' ? form.core.results[0]!.type.shape : form.shape;
    if (form.kind === 'contraction') {
      // Whatever an epilogue reads must line up with its tiles: see fuse-epilogue.
      const values = [...chain.leaves, ...chain.nodes.flatMap((n) => n.op.results)];
      const aligned = values.every((v) => sameShape(v.type.shape, shape) || v.type.shape.every((d) => d.value === 1));
      if (!aligned || chain.nodes.some((n) => n.op.kind === 'transpose')) return Infinity;
    }
    const passes = this.passes(c);
    const whole = elementsOf(shape);
    let cost = 0;
    for (const n of chain.nodes) {
      if (this.again.get(c)?.has(n)) continue;
      const y = n.op.results[0]!;
      // Constant along the innermost axis: computed once per row. Anything else is computed where it is used.
      const hoisted = y.type.shape.length === 0 || y.type.shape.at(-1)!.value === 1;
      cost += costOf(n.op) * (hoisted ? this.size(y) : whole * passes);
    }
    for (const leaf of chain.leaves) if (!this.readsOf(c).has(leaf)) cost += 4 * this.size(leaf);
    return cost;
  }

  /** How often a row-wise kernel goes over its rows: more than once where a reduction depends on another. */
  private passes(c: Cluster): number {
    if (c.form.kind !== 'rowwise') return 1;
    const dependent = new Set<Value>();
    for (const n of c.nodes) {
      const below = n.op.operands.some((v) => dependent.has(v));
      if (n.cls === 'reduction' && below) return 2;
      if (n.cls === 'reduction' || below) n.op.results.forEach((v) => dependent.add(v));
    }
    return 1;
  }

  private readsOf(c: Cluster): Set<Value> {
    let set = this.reads.get(c);
    if (!set) this.reads.set(c, (set = new Set(c.nodes.flatMap((n) => n.op.operands))));
    return set;
  }

  private size(v: Value): number {
    let n = this.sizes.get(v);
    if (n === undefined) this.sizes.set(v, (n = elementsOf(v.type.shape)));
    return n;
  }
}
