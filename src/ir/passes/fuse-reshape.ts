/**
 * Moves reshapes of contractions behind the elementwise work that follows: `add(reshape(matmul), bias)` becomes
 * `reshape(add(matmul, bias))`, so that the work can be done at the store of the product. What else the work reads is
 * brought to the product's shape, through the elementwise ops that make it. A reshape is an alias and costs nothing where
 * it lands.
 */
import { COSTLY } from './op-cost.ts';
import type { Dim } from '../dim.ts';
import { sameShape } from '../dim.ts';
import type { Op, Value } from '../ir.ts';
import { opDef } from '../ops/table.ts';
import type { Part } from './fuse-expand.ts';
import { CONTRACTIONS } from './fuse-graph.ts';

export function sinkReshapes(parts: readonly Part[]): readonly Part[] {
  return new Sinker(parts).run();
}

class Sinker {
  private readonly parts: readonly Part[];
  private readonly producers = new Map<Value, Op>();
  private readonly uses = new Map<Value, number>();
  /** A value of a contraction's lineage and the same elements in the contraction's shape. */
  private readonly under = new Map<Value, Value>();
  /** Other operands that have been brought to a contraction's shape. */
  private readonly brought = new Map<Value, Value>();
  private readonly products = new Set<Value>();
  private readonly out: Part[] = [];

  constructor(parts: readonly Part[]) {
    this.parts = parts;
    for (const { op } of parts) {
      for (const r of op.results) this.producers.set(r, op);
      for (const v of op.operands) this.uses.set(v, (this.uses.get(v) ?? 0) + 1);
    }
  }

  run(): readonly Part[] {
    for (const part of this.parts) if (!this.move(part)) this.keep(part);
    return this.out;
  }

  private keep(part: Part): void {
    const { op } = part;
    this.out.push(part);
    const [x] = op.operands;
    const [y] = op.results;
    if (CONTRACTIONS.has(op.kind)) this.products.add(y!);
    const source = x && (this.under.get(x) ?? (this.products.has(x) ? x : null));
    if (op.kind === 'reshape' && source) this.under.set(y!, source);
  }

  /** Does the op below the reshape of an operand, where there is one, and reshapes its result. */
  private move({ op, source }: Part): boolean {
    if (opDef(op.kind).lower.kind !== 'elementwise') return false;
    const y = op.results[0]!;
    const own = op.operands.find((v) => this.under.has(v) && sameShape(v.type.shape, y.type.shape));
    const product = own && this.under.get(own)!;
    if (!product || sameShape(product.type.shape, y.type.shape)) return false;
    const to = product.type.shape;
    const fits = (v: Value): boolean => sameShape(v.type.shape, y.type.shape) || trails(v.type.shape, to, y.type.shape);
    if (!op.operands.every(fits)) return false;
    const value = this.emit(
      op,
      source,
      op.operands.map((v) => this.bring(v, y.type.shape, to, source)),
      to,
    );
    this.out.push({
      op: { ...op, kind: 'reshape', operands: [value], attrs: { shape: y.type.shape }, results: [y] },
      source,
    });
    this.under.set(y, value);
    this.products.add(value);
    return true;
  }

  private emit(op: Op, source: Op, operands: readonly Value[], shape: readonly Dim[]): Value {
    const y = op.results[0]!;
    const value: Value = { type: { elem: y.type.elem, shape }, hint: y.hint };
    this.out.push({ op: { ...op, operands, results: [value] }, source });
    return value;
  }

  /** An operand of work that moves from shape `from` to shape `to`. */
  private bring(v: Value, from: readonly Dim[], to: readonly Dim[], source: Op): Value {
    const known = this.under.get(v) ?? this.brought.get(v);
    if (known && sameShape(known.type.shape, to)) return known;
    if (trails(v.type.shape, to, from)) return v;
    const op = this.done(v, from, to);
    if (op && this.fewer(v, from, to)) {
      const made = this.emit(
        op,
        source,
        op.operands.map((o) => this.bring(o, from, to, source)),
        to,
      );
      this.brought.set(v, made);
      return made;
    }
    return this.reshaped(v, to, source);
  }

  /** The op that makes `v`, where it may as well be done in the other shape. */
  private done(v: Value, from: readonly Dim[], to: readonly Dim[]): Op | null {
    const op = this.producers.get(v);
    const cheap = op && opDef(op.kind).lower.kind === 'elementwise' && (this.uses.get(v) === 1 || !COSTLY.has(op.kind));
    return cheap && op.operands.every((o) => sameShape(o.type.shape, from) || trails(o.type.shape, to, from))
      ? op
      : null;
  }

  /** Does the work that makes `v` read no more in the other shape, what would have to be stored for it included, than `v` itself? */
  private fewer(v: Value, from: readonly Dim[], to: readonly Dim[]): boolean {
    const leaves = this.leaves(v, from, to);
    return leaves.size <= 1 || ![...leaves].some((l) => this.computed(l));
  }

  private leaves(v: Value, from: readonly Dim[], to: readonly Dim[], found: Set<Value> = new Set()): Set<Value> {
    if (this.under.has(v) || this.brought.has(v) || trails(v.type.shape, to, from)) return found;
    const op = this.done(v, from, to);
    if (op) for (const o of op.operands) this.leaves(o, from, to, found);
    else found.add(v);
    return found;
  }

  /** Elementwise work makes it, so that it has no memory unless somebody asks for it. */
  private computed(v: Value): boolean {
    const op = this.producers.get(v);
    if (op?.kind === 'reshape') return this.computed(op.operands[0]!);
    return op !== undefined && opDef(op.kind).lower.kind === 'elementwise';
  }

  private reshaped(v: Value, to: readonly Dim[], source: Op): Value {
    const made: Value = { type: { elem: v.type.elem, shape: to }, hint: v.hint };
    this.out.push({
      op: { ...source, kind: 'reshape', operands: [v], attrs: { shape: to }, results: [made], regions: [] },
      source,
    });
    this.brought.set(v, made);
    return made;
  }
}

/** Does `shape` broadcast to both along last axes that they share, and along nothing else? */
function trails(shape: readonly Dim[], to: readonly Dim[], from: readonly Dim[]): boolean {
  if (shape.length > to.length) return false;
  let common = 0;
  while (common < Math.min(to.length, from.length) && to.at(-1 - common)!.key === from.at(-1 - common)!.key) common++;
  return shape.slice(0, Math.max(0, shape.length - common)).every((d) => d.value === 1);
}
