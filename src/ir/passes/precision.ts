/**
 * Mixed precision: products are computed on 16-bit storage, everything else as it was. The types of the program do not change:
 * casts are inserted before gradients are made, so that those follow. Functions and regions begin and end in the types they
 * had. The policy is that of torch.autocast (https://pytorch.org/docs/stable/amp.html#autocast-op-reference).
 */
import { IrBuilder, value } from '../builder.ts';
import type { ElemType, Func, Module, Op, Region, TensorType, Value } from '../ir.ts';

type Half = 'f16' | 'bf16';

/** Sums of products: they gain most from narrow storage, and accumulate in f32 whatever it is. */
const NARROW: ReadonlySet<string> = new Set([
  'matmul',
  'attention',
  'attention_dropout',
  'conv2d',
  'conv2d_input_grad',
  'conv2d_weight_grad',
]);

/** What gives values that it was given, or rounds once: narrow where all that it reads is. */
const FOLLOWS: ReadonlySet<string> = new Set([
  ...['reshape', 'broadcast_to', 'transpose', 'slice', 'pad', 'flip', 'concat', 'take'],
  ...['relu', 'neg', 'abs', 'add', 'sub', 'mul', 'maximum', 'minimum', 'select', 'max_pool2d', 'stop_gradient'],
]);

/** The module with a function beside `func` that computes its products in `half`, and its name. */
export function withPrecision(
  module: Module,
  func: string,
  half: Half,
): { readonly module: Module; readonly func: string } {
  const narrowing = new Narrowing(module, half);
  return { func: narrowing.func(func), module: { funcs: narrowing.funcs } };
}

class Narrowing {
  readonly funcs: Map<string, Func>;
  private readonly half: Half;
  /** Values of the program as they are now: the same ones or narrow ones. */
  private readonly now = new Map<Value, Value>();
  /** Casts that the region in work may use, its own and those of the regions around it. */
  private casts = new Map<Value, Value>();

  constructor(module: Module, half: Half) {
    this.funcs = new Map(module.funcs);
    this.half = half;
  }

  func(name: string): string {
    const made = `${name}.${this.half}`;
    if (!this.funcs.has(made)) {
      const f = this.funcs.get(name)!;
      const outer = this.casts;
      this.casts = new Map();
      this.funcs.set(made, { ...f, name: made, body: this.region(f.body) });
      this.casts = outer;
    }
    return made;
  }

  private region(r: Region): Region {
    const b = new IrBuilder();
    const outer = this.casts;
    this.casts = new Map(outer);
    const params = r.params.map((p) => {
      const own = value(p.type, p.hint);
      this.now.set(p, own);
      return own;
    });
    for (const op of r.ops) {
      b.origin = op.origin;
      const results = this.op(b, op);
      op.results.forEach((v, i) => this.now.set(v, results[i]!));
    }
    const results = r.results.map((v) => this.as(b, v, v.type.elem));
    this.casts = outer;
    return { params, ops: b.ops, results };
  }

  private op(b: IrBuilder, op: Op): readonly Value[] {
    const types = op.results.map((r) => r.type);
    const [hint = null] = op.results.map((r) => r.hint);
    if (NARROW.has(op.kind) || (FOLLOWS.has(op.kind) && this.stays(op))) {
      const operands = op.operands.map((v) => this.as(b, v, v.type.elem === 'f32' ? this.half : v.type.elem));
      return b.emitTyped(
        op.kind,
        operands,
        op.attrs,
        types.map((t) => this.narrow(t)),
        [],
        hint,
      );
    }
    const operands = op.operands.map((v) => this.as(b, v, v.type.elem));
    const attrs = op.kind === 'call' ? { ...op.attrs, callee: this.func(String(op.attrs['callee'])) } : op.attrs;
    const regions = op.regions.map((r) => this.region(r));
    return b.emitTyped(op.kind, operands, attrs, types, regions, hint);
  }

  /** Something it reads is narrow, and the rest adopts that: scalars everywhere, and the bias that is added to a product. */
  private stays(op: Op): boolean {
    const isNarrow = (v: Value): boolean => this.current(v).type.elem === this.half;
    const floats = op.operands.filter((v) => v.type.elem === 'f32' || isNarrow(v));
    const adopts = (v: Value): boolean => v.type.shape.length === 0 || isBias(op, v);
    return floats.some(isNarrow) && floats.every((v) => isNarrow(v) || adopts(v));
  }

  private as(b: IrBuilder, v: Value, elem: ElemType): Value {
    const x = this.current(v);
    if (x.type.elem === elem) return x;
    // Of one value there is only one cast: all are to the one narrow type, or back.
    const made = this.casts.get(x) ?? b.one('cast', [x], { elem }, x.hint);
    this.casts.set(x, made);
    return made;
  }

  /** What a region does not define is of a scope around it. */
  private current(v: Value): Value {
    return this.now.get(v) ?? v;
  }

  private narrow(t: TensorType): TensorType {
    return t.elem === 'f32' ? { elem: this.half, shape: t.shape } : t;
  }
}

/** Smaller than the sum that it is added to: spread over rows, or [C, 1, 1] over images. */
function isBias(op: Op, v: Value): boolean {
  const { shape } = op.results[0]!.type;
  const lead = shape.length - v.type.shape.length;
  return op.kind === 'add' && (lead > 0 || v.type.shape.some((d, i) => d.value === 1 && shape[i]!.value !== 1));
}
