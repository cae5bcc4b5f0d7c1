/** What lowering makes of one op: kernels with their arguments, before buffers are placed. */
import type { Dim } from '../ir/dim.ts';
import type { Origin, Value } from '../ir/ir.ts';
import type { Choices } from './choose.ts';
import type { Kernel } from './kernel.ts';
import { type KernelLimits, WEBGPU_MINIMUM } from './limits.ts';

/** Memory that lives for one op's kernels only. */
export interface Scratch {
  readonly kind: 'scratch';
  readonly bytes: Dim;
}

/** One per parameter of the kernel, in order. `value` names an operand or result of the op being lowered. */
export type CallArg =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'scratch'; readonly scratch: Scratch }
  | { readonly kind: 'size'; readonly size: Dim };

/** How long an operand stays as it is: while the loop around runs, or from one run of the program to the next. */
export type Lasting = 'loop' | 'always' | null;

export interface KernelCall {
  readonly kernel: Kernel;
  readonly args: readonly CallArg[];
  /** Operands whose memory the kernel may reuse for a result of equal size: it reads each element before writing it. */
  readonly inPlace: readonly { readonly result: Value; readonly operand: Value }[];
  readonly origin: Origin;
  /**
   * It fills scratch from its operands, for the kernels after it: in a loop that does not change those it runs once, before. Where
   * `rows`, those of a product, are one, nobody reads what it makes.
   */
  readonly prepares?: { readonly rows: Dim | null };
  /** Of the contraction that it computes, 2 per multiply-add. */
  readonly flops?: Dim;
  /** How it is planned, where a larger device would have it planned otherwise. */
  readonly replanned?: string;
}

/** Which code is being generated. Families choose their schedule by it. */
export interface Target {
  readonly kind: 'wasm' | 'c' | 'wgsl';
  /** Lanes of a vector. */
  readonly lanes: number;
  /** Vector registers that an inner loop can count on. */
  readonly registers: number;
  /** The engine makes one vector of two that lie side by side: register tiles are twice as wide, and sums are the same. */
  readonly paired?: true;
  /** It has products of pairs of bf16. */
  readonly dot?: true;
  /** `fma` is one rounding and as fast as a multiplication. */
  readonly fma: boolean;
  /** Of a GPU: what one kernel may ask for. */
  readonly limits?: KernelLimits;
  /** What measurements chose; without them families go by their rules. */
  readonly choices?: Choices;
}

export const limitsOf = (target: Target): KernelLimits => target.limits ?? WEBGPU_MINIMUM;
