/** What an expression of the language can mean while the checker walks it: compile-time values, instances, tensors. */
import type { BlockDecl, ConstDecl, Expr, FnDecl, Lambda, OptimizerDecl, Span } from '../parser/ast.ts';
import type { Dim } from '../ir/dim.ts';
import type { DimLike } from '../ir/dim.ts';
import { dim } from '../ir/dim.ts';
import type { ElemType, Value } from '../ir/ir.ts';
import type { NumberExpr } from '../runtime/artifact.ts';
import type { InstanceNode, Slot } from './instance.ts';
import type { Scope } from './scope.ts';

export type Val =
  | IntVal
  | { readonly kind: 'float'; readonly value: number }
  /** A number that a run may change: see `uniform.ts`. */
  | { readonly kind: 'uniform'; readonly expr: NumberExpr }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'elem'; readonly elem: ElemType }
  | TupleVal
  | ListVal
  | RecordVal
  | RangeVal
  | TensorVal
  | FnVal
  | { readonly kind: 'op'; readonly op: string }
  | { readonly kind: 'builtin'; readonly name: string }
  | { readonly kind: 'block'; readonly decl: BlockDecl; readonly scope: Scope }
  | BlockExprVal
  | SeqVal
  | { readonly kind: 'instance'; readonly inst: InstanceNode }
  | { readonly kind: 'method'; readonly inst: InstanceNode; readonly decl: FnDecl }
  | { readonly kind: 'slot'; readonly slot: Slot }
  | OptimizerVal
  | { readonly kind: 'optimizerDecl'; readonly decl: OptimizerDecl; readonly scope: Scope }
  /** `const n = 3` of a file, evaluated when it is first named. */
  | {
      readonly kind: 'constant';
      readonly decl: ConstDecl;
      readonly scope: Scope;
      readonly cell: { value: Val | null; busy: boolean };
    }
  /** A hyper-parameter written `_`; `cell` is shared by every mention of it. */
  | { readonly kind: 'infer'; readonly cell: InferCell }
  /** A conditional member whose condition was false. */
  | { readonly kind: 'absent'; readonly name: string }
  /** Stands for what could not be computed; the reason has been reported and nothing more is said about it. */
  | { readonly kind: 'poison' };

/** An integer or a size: symbolic where `dim.value` is null. `from` is where it got its value. */
export interface IntVal {
  readonly kind: 'int';
  readonly dim: Dim;
  readonly from: Span | null;
}
export interface TupleVal {
  readonly kind: 'tuple';
  readonly items: readonly Val[];
}
export interface ListVal {
  readonly kind: 'list';
  readonly items: readonly Val[];
}
export interface RecordVal {
  readonly kind: 'record';
  readonly name: string | null;
  readonly fields: ReadonlyMap<string, Val>;
}
export interface RangeVal {
  readonly kind: 'range';
  readonly start: Dim;
  readonly stop: Dim;
}
/** `from[i]` is where dim i got its size. */
export interface TensorVal {
  readonly kind: 'tensor';
  readonly value: Value;
  readonly from: readonly (Span | null)[];
}
/** A function or lambda with the scope it was written in. `bound` are arguments given by a call that left others open. */
export interface FnVal {
  readonly kind: 'fn';
  readonly name: string;
  readonly decl: FnDecl | Lambda;
  readonly scope: Scope;
}
/** `Linear(4, 8)` before it is placed: every place makes a fresh instance of it. */
export interface BlockExprVal {
  readonly kind: 'blockExpr';
  readonly decl: BlockDecl;
  /** The constructor that made it, if it is named as blocks are: `LSTM`. Instances have its name as their type. */
  readonly madeBy?: string;
  readonly scope: Scope;
  readonly hyper: ReadonlyMap<string, HyperArg>;
  readonly span: Span;
}
export interface HyperArg {
  readonly val: Val;
  readonly span: Span;
}
export interface SeqVal {
  readonly kind: 'seq';
  readonly items: readonly {
    readonly name: string | null;
    readonly val: Val;
    readonly expr: Expr;
    readonly span: Span;
  }[];
  readonly span: Span;
}
export interface OptimizerVal {
  readonly kind: 'optimizer';
  readonly decl: OptimizerDecl;
  readonly scope: Scope;
  readonly hyper: ReadonlyMap<string, HyperArg>;
  readonly span: Span;
}
export interface InferCell {
  readonly name: string;
  readonly span: Span;
  solved: IntVal | null;
}

export const POISON: Val = { kind: 'poison' };
export const NONE: Val = { kind: 'none' };
export const intVal = (d: DimLike, from: Span | null = null): IntVal => ({ kind: 'int', dim: dim(d), from });
export const floatVal = (value: number): Val => ({ kind: 'float', value });
export const boolVal = (value: boolean): Val => ({ kind: 'bool', value });
export const stringVal = (value: string): Val => ({ kind: 'string', value });
export const tupleVal = (items: readonly Val[]): TupleVal => ({ kind: 'tuple', items });
export const listVal = (items: readonly Val[]): ListVal => ({ kind: 'list', items });

/** A tensor whose dims all came from the same place. */
export const tensorVal = (value: Value, from: Span | null): TensorVal => ({
  kind: 'tensor',
  value,
  from: value.type.shape.map(() => from),
});

/** Looks through a solved `_` and an evaluated constant. */
export function settle(v: Val): Val {
  if (v.kind === 'constant') return v.cell.value ?? v;
  return v.kind === 'infer' && v.cell.solved ? v.cell.solved : v;
}

export const isPoison = (v: Val): boolean => v.kind === 'poison';

/** Poison, or a list or tuple with some in it. */
export function hasPoison(v: Val): boolean {
  return v.kind === 'poison' || ((v.kind === 'list' || v.kind === 'tuple') && v.items.some(hasPoison));
}

/** A number of the compiler or of a run, but no tensor. */
export const isNumber = (v: Val): boolean => v.kind === 'int' || v.kind === 'float' || v.kind === 'uniform';

/** A number known now, or null. */
export function numberOf(v: Val): number | null {
  if (v.kind === 'int') return v.dim.value;
  return v.kind === 'float' ? v.value : null;
}

/** The tensors inside a value, in order. */
export function tensorsIn(v: Val): TensorVal[] {
  switch (v.kind) {
    case 'tensor':
      return [v];
    case 'tuple':
    case 'list':
      return v.items.flatMap(tensorsIn);
    case 'record':
      return [...v.fields.values()].flatMap(tensorsIn);
    default:
      return [];
  }
}

/** The same value with its tensors replaced. */
export function mapTensors(v: Val, f: (t: TensorVal) => Val): Val {
  switch (v.kind) {
    case 'tensor':
      return f(v);
    case 'tuple':
      return { kind: 'tuple', items: v.items.map((x) => mapTensors(x, f)) };
    case 'list':
      return { kind: 'list', items: v.items.map((x) => mapTensors(x, f)) };
    case 'record':
      return { ...v, fields: new Map([...v.fields].map(([k, x]) => [k, mapTensors(x, f)])) };
    default:
      return v;
  }
}
