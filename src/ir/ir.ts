/**
 * Net IR: typed SSA over tensors with symbolic dims and structured control flow.
 * Plain immutable data. The identity of a value is the identity of its object; a pass builds new ops and values and
 * never edits old ones. Every op names one row of the op table (`ops/table.ts`), which says what it means.
 */
import type { Span } from '../diagnostics/span.ts';
import type { Dim } from './dim.ts';

/** bf16 is storage only. `bool` is 0 or 1. */
export type ElemType = 'f32' | 'f16' | 'bf16' | 'i32' | 'u32' | 'bool';

export interface TensorType {
  readonly elem: ElemType;
  readonly shape: readonly Dim[];
}

/** Where an op comes from: the place in the source and the layer's path (`net.0`, `h.3.attn`), '' at the top. */
export interface Origin {
  readonly span: Span;
  readonly path: string;
}

export interface Value {
  readonly type: TensorType;
  /** A name for printing, from the source where there was one. */
  readonly hint: string | null;
}

/** An attribute. Sizes are always Dim, never number, so that symbolic and static ones take one road. */
export type Attr = number | string | boolean | null | Dim | readonly number[] | readonly Dim[] | readonly string[];
export type Attrs = Readonly<Record<string, Attr>>;

export interface Op {
  /** A key of the op table. */
  readonly kind: string;
  readonly operands: readonly Value[];
  readonly attrs: Attrs;
  readonly results: readonly Value[];
  readonly regions: readonly Region[];
  readonly origin: Origin;
}

/** A list of ops with its own arguments. A region sees the values of the regions around it (not those of `fusion`, which is closed). */
export interface Region {
  readonly params: readonly Value[];
  readonly ops: readonly Op[];
  readonly results: readonly Value[];
}

/**
 * A dim equality (or `a >= b`) that the checker could not prove: tested by the runtime when dims are bound, before
 * anything runs, failing with `message` (a rendered diagnostic without place).
 */
export interface DimCheck {
  readonly kind: 'equal' | 'atLeast';
  readonly left: Dim;
  readonly right: Dim;
  readonly message: string;
  readonly origin: Origin;
}

/** Symbols in the types of `body.params` are bound by them; every other symbol must be built from those. */
export interface Func {
  readonly name: string;
  readonly body: Region;
  readonly checks: readonly DimCheck[];
  readonly origin: Origin;
}

/** Functions by name. Calls (`call` ops with attr `callee`) form no cycle. */
export interface Module {
  readonly funcs: ReadonlyMap<string, Func>;
}

// Control flow, as rows of the op table:
//   call   {callee}        operands -> results of the callee, its symbols substituted
//   if     (cond: bool[], captures by scope)        regions [then, else], no params, same result types
//   while  (init...)       regions [cond: (carry...) -> bool[], body: (carry...) -> carry...]
//   for    (init...) {count: Dim}  region [body: (i: i32[], carry...) -> carry...]
// Made by the fusion pass, read by code generation:
//   fusion (inputs...) {family}    region [closed: params one per input; ops; results]

/** The order in which a builder receives ops; `emit` types the results through the op table. */
export const NO_ORIGIN: Origin = { span: { file: '', start: 0, end: 0 }, path: '' };
