/**
 * The expression emitter: computes values of a fused region at given positions, on any number of lanes. It works
 * backwards from what is asked for, so views cost only a change of position, and what a loop does not change is computed
 * outside it (see `Scope`).
 */
import { product, type Dim } from '../ir/dim.ts';
import type { ElemType, Op, Region, Value } from '../ir/ir.ts';
import type { GeneratorContext } from '../ir/ops/def.ts';
import { opDef } from '../ir/ops/table.ts';
import * as K from './builder.ts';
import type { Coord } from './coord.ts';
import { coordDepth, coordKey, divide, ORIGIN, remainder, scale, sum, toValue } from './coord.ts';
import { isHalf, narrow, widen } from './half.ts';
import type { KExpr } from './kernel.ts';
import type { Scope } from './scope.ts';
import type { Facts } from './segments.ts';
import { NO_FACTS } from './segments.ts';
import { viewOf } from './views.ts';

export interface RegionIO {
  /** The element of a param of the region at a flat position: one scalar, or one per lane. */
  readonly load: (param: Value, at: Coord) => KExpr;
  /** A size as i32. */
  readonly size: (d: Dim) => KExpr;
}

/** What an emitter knows of a region wherever it emits. */
interface Shared {
  readonly producers: ReadonlyMap<Value, Op>;
  readonly params: ReadonlySet<Value>;
  readonly strides: Map<readonly Dim[], readonly KExpr[]>;
}

export class RegionEmitter {
  readonly scope: Scope;
  private readonly io: RegionIO;
  private readonly shared: Shared;
  /** What holds where code is being emitted: see segments.ts. */
  facts: Facts = NO_FACTS;
  /** Values that come from elsewhere, wherever they are asked for: what an earlier pass has stored. */
  private readonly substitutes = new Map<Value, (at: readonly Coord[]) => KExpr>();

  constructor(scope: Scope, region: Region | RegionEmitter, io: RegionIO) {
    this.scope = scope;
    this.io = io;
    this.shared = region instanceof RegionEmitter ? region.shared : share(region);
  }

  /** The same region in another scope. */
  within(scope: Scope, io: RegionIO): RegionEmitter {
    return new RegionEmitter(scope, this, io);
  }

  size(d: Dim): KExpr {
    return d.value !== null ? K.i32(d.value) : this.io.size(d);
  }

  /** Says what `v` is at a position: the accumulator of a contraction or of a reduction. */
  bind(v: Value, at: readonly Coord[], e: KExpr): void {
    this.scope.remember(this.key(v, at), e);
  }

  /** From now on `v` is read from where it has been stored; null: it is computed again. */
  substitute(v: Value, read: ((at: readonly Coord[]) => KExpr) | null): void {
    if (read) this.substitutes.set(v, read);
    else this.substitutes.delete(v);
  }

  /** `v` at a position per axis: scalar where it is the same in all lanes. */
  value(v: Value, at: readonly Coord[]): KExpr {
    const position = at.map((c, i) => (v.type.shape[i]!.value === 1 ? ORIGIN : c));
    const key = this.key(v, position);
    const known = this.scope.recall(key);
    if (known) return known;
    const made = this.make(v, position);
    if (made.k !== 'const') this.scope.remember(key, made);
    return made;
  }

  private key(v: Value, at: readonly Coord[]): string {
    const position = at.map((c, i) => coordKey(this.scope, v.type.shape[i]!.value === 1 ? ORIGIN : c));
    return `${this.scope.id(v)}@${position.join(',')}`;
  }

  private make(v: Value, at: readonly Coord[]): KExpr {
    const stored = this.substitutes.get(v);
    if (stored) return stored(at);
    if (this.shared.params.has(v)) return this.io.load(v, this.flat(at, v.type.shape));
    const op = this.shared.producers.get(v)!;
    return this.scope.k.from(op.origin, () => this.computed(v, op, at));
  }

  private computed(v: Value, op: Op, at: readonly Coord[]): KExpr {
    const { lower } = opDef(op.kind);
    switch (lower.kind) {
      case 'elementwise': {
        const args = op.operands.map((o) => this.value(o, broadcastAt(o, at)));
        const lanes = Math.max(...args.map((a) => a.type.lanes));
        const wide = args.map((a) => this.scope.share(K.splat(a, lanes)));
        return this.compute(v.type.elem, wide, op, () => lower.scalar(this.scope.k, wide, op));
      }
      case 'generator':
        return this.generate(v, at, op, lower.scalar);
      default: {
        const e = viewOf(this, op, at);
        if (e) return e;
        throw new Error(`${op.kind} is not available at this place of a fused region`);
      }
    }
  }

  private compute(elem: ElemType, args: readonly KExpr[], op: Op, make: () => KExpr): KExpr {
    const depth = args.reduce((d, a) => Math.max(d, this.scope.depthOf(a)), 0);
    const e = this.scope.compute(depth, make, op.kind);
    return this.rounded(elem, e);
  }

  /** A value of a 16-bit type is rounded as if it had been stored, so that fusing changes no bit. */
  rounded(elem: ElemType, e: KExpr): KExpr {
    if (!isHalf(elem)) return e;
    return this.scope.compute(this.scope.depthOf(e), () => {
      const raw = this.scope.k.let(narrow(elem, e));
      return widen(elem, raw);
    });
  }

  private generate(
    v: Value,
    at: readonly Coord[],
    op: Op,
    scalar: (k: K.KernelBuilder, at: GeneratorContext, op: Op) => KExpr,
  ): KExpr {
    const linear = toValue(this.scope, this.flat(at, v.type.shape));
    const index = at.map((c) => toValue(this.scope, c));
    const context: GeneratorContext = { linear, index, size: (d) => this.size(d) };
    const positions = op.kind === 'constant' || op.kind === 'size' ? [] : op.kind === 'iota' ? axisOf(at, op) : at;
    const depth = Math.max(0, ...positions.map((c) => coordDepth(this.scope, c)));
    return this.rounded(
      v.type.elem,
      this.scope.compute(depth, () => scalar(this.scope.k, context, op), op.kind),
    );
  }

  /** A position as a value (i32). */
  index(c: Coord): KExpr {
    return toValue(this.scope, c);
  }

  /** Row-major position. */
  flat(at: readonly Coord[], shape: readonly Dim[]): Coord {
    const strides = this.stridesOf(shape);
    const parts = at.flatMap((c, i) => (shape[i]!.value === 1 ? [] : [scale(this.scope, c, strides[i]!)]));
    return sum(this.scope, parts);
  }

  private stridesOf(shape: readonly Dim[]): readonly KExpr[] {
    let strides = this.shared.strides.get(shape);
    if (!strides) {
      strides = shape.map((_, i) => this.size(product(shape.slice(i + 1))));
      this.shared.strides.set(shape, strides);
    }
    return strides;
  }

  /** Position per axis of a row-major position. */
  unflatten(flat: Coord, shape: readonly Dim[]): Coord[] {
    const out: Coord[] = [];
    let rest = flat;
    let outer = true;
    for (let i = shape.length - 1; i >= 0; i--) {
      const d = shape[i]!;
      outer = shape.slice(0, i).every((x) => x.value === 1);
      if (d.value === 1) out[i] = ORIGIN;
      else if (outer) {
        out[i] = rest;
        rest = ORIGIN;
      } else {
        const n = this.size(d);
        out[i] = remainder(this.scope, rest, n);
        rest = divide(this.scope, rest, n);
      }
    }
    return out;
  }
}

function share(region: Region): Shared {
  const producers = new Map<Value, Op>();
  for (const op of region.ops) for (const r of op.results) producers.set(r, op);
  return { producers, params: new Set(region.params), strides: new Map() };
}

const axisOf = (at: readonly Coord[], op: Op): readonly Coord[] => [at[Number(op.attrs['axis'])]!];

/** Positions of an operand of an elementwise op: missing leading axes fall away, axes of size 1 stay at 0. */
export const broadcastAt = (operand: Value, at: readonly Coord[]): readonly Coord[] => {
  const shape = operand.type.shape;
  const lead = at.length - shape.length;
  return shape.map((d, i) => (d.value === 1 ? ORIGIN : at[lead + i]!));
};
