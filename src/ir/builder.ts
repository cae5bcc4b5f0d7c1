/** Appends ops to a list and types their results through the op table. The one way by which passes make ops. */
import type { Dim, DimLike } from './dim.ts';
import { compare, dim } from './dim.ts';
import type { Attrs, ElemType, Op, Origin, Region, TensorType, Value } from './ir.ts';
import { NO_ORIGIN } from './ir.ts';
import type { ShapeContext } from './ops/def.ts';
import { withDefaults } from './ops/define.ts';
import { opDef } from './ops/table.ts';

export const tensor = (elem: ElemType, shape: readonly DimLike[]): TensorType => ({ elem, shape: shape.map(dim) });
export const value = (type: TensorType, hint: string | null = null): Value => ({ type, hint });

/** In passes everything has been checked: only a proven contradiction is a fault (of the compiler). */
const TRUSTING: ShapeContext = {
  equal: (a: Dim, b: Dim) => compare(a, b) !== 'different',
  atLeast: () => true,
};

export class IrBuilder {
  readonly ops: Op[] = [];
  /** Given to the ops that follow. */
  origin: Origin = NO_ORIGIN;
  private readonly ctx: ShapeContext;

  constructor(origin: Origin = NO_ORIGIN, ctx: ShapeContext = TRUSTING) {
    this.origin = origin;
    this.ctx = ctx;
  }

  /** Emits an op, its attributes completed by their defaults, and gives its results. Throws for ill-typed operands: user input is checked before it gets here. */
  emit(kind: string, operands: readonly Value[], attrs: Attrs = {}, hint: string | null = null): readonly Value[] {
    const row = opDef(kind);
    const full = withDefaults(row, attrs);
    const types = row.shape(
      operands.map((o) => o.type),
      full,
      this.ctx,
    );
    if ('fault' in types) {
      throw new Error(`${kind}: ${types.fault} (${operands.map((o) => typeText(o.type)).join(', ')})`);
    }
    return this.emitTyped(kind, operands, full, types, [], hint);
  }

  /** Emits an op with a single result. */
  one(kind: string, operands: readonly Value[], attrs: Attrs = {}, hint: string | null = null): Value {
    return this.emit(kind, operands, attrs, hint)[0]!;
  }

  /** For ops whose result types the table cannot derive (call, regions, fusion). */
  emitTyped(
    kind: string,
    operands: readonly Value[],
    attrs: Attrs,
    types: readonly TensorType[],
    regions: readonly Region[] = [],
    hint: string | null = null,
  ): readonly Value[] {
    const results = types.map((t) => value(t, hint));
    this.ops.push({ kind, operands, attrs, results, regions, origin: this.origin });
    return results;
  }

  /** A scalar of that element type: shape [], broadcast by the elementwise ops. */
  constant(x: number, elem: ElemType = 'f32'): Value {
    return this.one('constant', [], { value: x, elem, shape: [] });
  }
}

export const typeText = (t: TensorType): string => `${t.elem}[${t.shape.join(', ')}]`;
