/** What lowering makes of a function: kernel calls, aliases and control in execution order. The linker flattens it into a program. */
import type { Dim } from '../ir/dim.ts';
import type { DimCheck, Origin, Value } from '../ir/ir.ts';
import type { KernelCall } from './call.ts';

export type LoweredItem =
  | { readonly kind: 'kernel'; readonly call: KernelCall }
  /** `result` is the memory of `source`, from `offset` elements on (reshape: 0; view: its offset). */
  | { readonly kind: 'alias'; readonly result: Value; readonly source: Value; readonly offset: Dim }
  /** Nothing has to be in the memory of `result`. */
  | { readonly kind: 'unwritten'; readonly result: Value }
  /** `result` starts as what `source` holds, in its memory where nothing needs that again; a kernel then changes parts of it. */
  | { readonly kind: 'copy'; readonly result: Value; readonly source: Value }
  /** `result` is flat; each part lies at its offset (in elements), in the order given and without gaps. */
  | {
      readonly kind: 'pack';
      readonly result: Value;
      readonly parts: readonly { readonly value: Value; readonly offset: Dim }[];
      readonly origin: Origin;
    }
  | {
      readonly kind: 'call';
      readonly callee: string;
      readonly operands: readonly Value[];
      readonly results: readonly Value[];
      readonly origin: Origin;
    }
  | {
      readonly kind: 'if';
      readonly cond: Value;
      readonly then: LoweredBlock;
      readonly else: LoweredBlock;
      readonly results: readonly Value[];
      readonly origin: Origin;
    }
  /** Both blocks take the carries as params; `cond` has one result, bool[]. */
  | {
      readonly kind: 'while';
      readonly init: readonly Value[];
      readonly cond: LoweredBlock;
      readonly body: LoweredBlock;
      readonly results: readonly Value[];
      readonly origin: Origin;
    }
  /** The body's first param is the counter i32[], then the carries. */
  | {
      readonly kind: 'for';
      readonly count: Dim;
      readonly init: readonly Value[];
      readonly body: LoweredBlock;
      readonly results: readonly Value[];
      readonly origin: Origin;
    };

/** As a region: sees the values of the blocks around it. A result may be a param, or a value of an outer block. */
export interface LoweredBlock {
  readonly params: readonly Value[];
  readonly items: readonly LoweredItem[];
  readonly results: readonly Value[];
}

export interface Lowered {
  readonly name: string;
  readonly body: LoweredBlock;
  readonly checks: readonly DimCheck[];
  readonly notes: readonly PlanNote[];
  readonly origin: Origin;
}

/** A kernel that is planned otherwise than on a device with more. */
export interface PlanNote {
  readonly kernel: string;
  readonly origin: Origin;
  readonly plan: string;
}
