/** Types as they are written in a `.net` file: the part of the syntax tree that stands behind `:` and `->`. */
import type { Node, Ident, Expr, StringLit, Span } from './ast.ts';

export type TypeExpr =
  TensorTypeExpr | NamedType | TupleType | ListType | RecordType | OptionalType | FnType | UnionType | ErrorType;

/** `f32[B, 3, H, W]`, `E[...S]`, `f32[]`. `elem` may be an element-type variable (upper case). */
export interface TensorTypeExpr extends Node {
  readonly kind: 'tensorType';
  readonly elem: Ident;
  readonly dims: readonly DimExpr[];
}
export type DimExpr =
  | { readonly kind: 'dim'; readonly value: Expr; readonly span: Span }
  | { readonly kind: 'spread'; readonly name: Ident; readonly span: Span }; // ...S
/** `int float bool string block`, or a declared `type`; also an optimizer or block name used as a type. */
export interface NamedType extends Node {
  readonly kind: 'namedType';
  readonly name: Ident;
}
export interface TupleType extends Node {
  readonly kind: 'tupleType';
  readonly items: readonly TypeExpr[];
}
/** `[T; n]` fixed-length list, `[T]` list of compile-time length. */
export interface ListType extends Node {
  readonly kind: 'listType';
  readonly item: TypeExpr;
  readonly length: Expr | null;
}
export interface RecordType extends Node {
  readonly kind: 'recordType';
  readonly fields: readonly { readonly name: Ident; readonly type: TypeExpr }[];
}
/** `T?` */
export interface OptionalType extends Node {
  readonly kind: 'optionalType';
  readonly item: TypeExpr;
}
/** `(int) -> block`, `(f32[...S]) -> f32[...S]` */
export interface FnType extends Node {
  readonly kind: 'fnType';
  readonly params: readonly TypeExpr[];
  readonly result: TypeExpr;
}
/** `"none" | "tanh"`, `(int, int) | "same"`: one of the texts, or `item` where there is one. */
export interface UnionType extends Node {
  readonly kind: 'unionType';
  readonly item: TypeExpr | null;
  readonly options: readonly StringLit[];
}
export interface ErrorType extends Node {
  readonly kind: 'errorType';
}
