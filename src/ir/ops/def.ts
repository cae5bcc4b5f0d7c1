/** The shape of one row of the op table. Every column is mandatory: a missing rule is a type error in the table. */
import type { KernelBuilder } from '../../codegen/builder.ts';
import type { KExpr } from '../../codegen/kernel.ts';
import type { IrBuilder } from '../builder.ts';
import type { Dim } from '../dim.ts';
import type { Attrs, ElemType, Op, TensorType, Value } from '../ir.ts';
import type { NdArray } from '../ndarray.ts';

export interface OpDef {
  /** One sentence with the formula; PyTorch's name where it has one. Becomes the op's documentation. */
  readonly doc: string;
  readonly operands: readonly OperandSpec[];
  readonly attrs: Readonly<Record<string, AttrSpec>>;
  /** Types of the results from those of the operands, or what is wrong. */
  readonly shape: (
    operands: readonly TensorType[],
    attrs: Attrs,
    ctx: ShapeContext,
  ) => readonly TensorType[] | ShapeFault;
  readonly grad: GradRule | NotDifferentiable | Decompose | Structural;
  readonly lower: Lowering;
  /** Float64 reference: what the op means. `types` are the concrete result types. */
  readonly reference: Reference | Decompose | Structural;
}

export interface OperandSpec {
  readonly name: string;
  /** What elements it takes: classes or a list. 'same' means the element type of the first operand. */
  readonly elem: 'float' | 'int' | 'number' | 'any' | 'same' | readonly ElemType[];
  readonly optional?: true;
  /** Takes the rest of the operands. */
  readonly variadic?: true;
}

/** How an attribute is written in source and stored in IR. 'dims' take symbolic sizes, 'ints' compile-time integers. */
export interface AttrSpec {
  readonly type: 'int' | 'float' | 'bool' | 'string' | 'ints' | 'dim' | 'dims' | 'elem' | 'strings';
  /** Mandatory where undefined. Where it is null, null is a legal value. */
  readonly default?: number | string | boolean | null | readonly number[];
  /** Of lists that have a fixed length: 2 for (height, width), 4 for (top, bottom, left, right). */
  readonly length?: number;
}

/** A shape rule asks for equalities it needs; the checker proves them or turns them into run-time checks. */
export interface ShapeContext {
  /** States that two sizes must be equal. Reports a contradiction where they cannot be; gives false then. */
  readonly equal: (a: Dim, b: Dim, what: string) => boolean;
  /** States that `a >= b`. */
  readonly atLeast: (a: Dim, b: Dim, what: string) => boolean;
}

/** `message` continues "op: ", for a person; `operand` is the index that is to blame, where one is. */
export interface ShapeFault {
  readonly fault: string;
  readonly operand: number | null;
}

/** The gradient of each operand (null: none flows) in terms of other ops. `dys` are null where no gradient arrives. */
export type GradRule = (b: IrBuilder, op: Op, dys: readonly (Value | null)[]) => readonly (Value | null)[];

export interface NotDifferentiable {
  readonly notDifferentiable: string; // the reason
}

/** Follows from the op's regions or callee: autodiff and the interpreter know control flow themselves. */
export interface Structural {
  readonly structural: string; // who does it
}

/** Derived from the op's expansion into others. */
export interface Decompose {
  readonly decompose: (b: IrBuilder, op: Op) => readonly Value[];
}

/** What the code generator makes of it. */
export type Lowering =
  /** One scalar in, one scalar out, per element; operands broadcast by rule. Works on any number of lanes. */
  | { readonly kind: 'elementwise'; readonly scalar: (k: KernelBuilder, args: readonly KExpr[], op: Op) => KExpr }
  /** No elementwise operands: each element is computed from its own position. */
  | {
      readonly kind: 'generator';
      readonly scalar: (k: KernelBuilder, at: GeneratorContext, op: Op) => KExpr;
    }
  /**
   * A computation on each row along `axes` (the other axes only index the rows). `decompose` writes it with numerically
   * stable primitives (max, sub, exp, sum, ...), all of which stay inside one row-wise kernel.
   */
  | {
      readonly kind: 'rowwise';
      readonly axes: (op: Op) => readonly number[];
      readonly decompose: Decompose['decompose'];
    }
  /** Moves elements without arithmetic; an index transform when fused. */
  | { readonly kind: 'view' }
  /** Expanded by the `decompose` pass before fusion. */
  | { readonly kind: 'decompose'; readonly decompose: Decompose['decompose'] }
  /** A loop-nest family of `runtime/kernels/`. */
  | { readonly kind: 'family'; readonly family: string }
  /** Structure: calls, regions, aliases. Handled by the linker. */
  | { readonly kind: 'control' };

/** Where a generator stands, at any number of lanes. */
export interface GeneratorContext {
  /** Row-major position of the element (i32). */
  readonly linear: KExpr;
  /** Position along each axis (i32), one per dim of the result. */
  readonly index: readonly KExpr[];
  /** The value of a size (i32, scalar). */
  readonly size: (d: Dim) => KExpr;
}

export type Reference = (inputs: readonly NdArray[], op: Op, types: readonly ConcreteType[]) => readonly NdArray[];

export interface ConcreteType {
  readonly elem: ElemType;
  readonly shape: readonly number[];
}
