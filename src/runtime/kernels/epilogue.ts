/**
 * How contractions (matmul, conv2d and its gradients) meet the elementwise work around them: a `Source` reads an operand
 * and an `Epilogue` consumes finished results while they are still in registers or in the first-level cache. Both may
 * hold fused expressions; the families know neither what is read nor what is stored.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { load } from '../../codegen/builder.ts';
import type { CallArg, Lasting } from '../../codegen/call.ts';
import type { KExpr, StorageElem } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';

/**
 * The result of a contraction as a row-major [batch, rows, cols]: matmul [product of batch dims, M, N] (where the second
 * operand has no batch, the batch is folded into rows: [1, B*M, N]), conv2d [N, C_out, H_out*W_out], its input gradient
 * [N, C_in, H*W], its weight gradient [1, C_out, C_in/groups*KH*KW].
 */
export interface ResultView {
  readonly batch: Dim;
  readonly rows: Dim;
  readonly cols: Dim;
}

/** `acc.type.lanes` (1 or the target's) consecutive f32 results along `cols`; coordinates are those of the first. */
export interface Tile {
  readonly acc: KExpr;
  readonly batch: KExpr;
  readonly row: KExpr;
  readonly col: KExpr;
  /** (batch * rows + row) * cols + col: the element's index in any tensor of the result's shape. */
  readonly flat: KExpr;
}

/** Called for every result exactly once, after its whole sum; performs the stores. */
export type EmitTile = (k: KernelBuilder, tile: Tile) => void;

export interface Epilogue {
  /** Arguments of the parameters that `bind` declares, in that order. */
  readonly args: readonly CallArg[];
  /**
   * Declares the epilogue's parameters on the kernel (the family's own come before). The emitter is called several times
   * per kernel: at least once for vectors and once for the scalar tail. It must only touch the elements it is given:
   * families visit tiles in any order.
   */
  readonly bind: (k: KernelBuilder, view: ResultView) => EmitTile;
}

/** Reads `lanes` consecutive elements of an operand as f32 (words as u32), from flat row-major index `index`. Never past the end. */
export type ReadSource = (k: KernelBuilder, index: KExpr, lanes: number) => KExpr;

export interface Source {
  readonly args: readonly CallArg[];
  /** Reading costs one load, so that reading an element again is cheaper than keeping a copy. */
  readonly plain: boolean;
  /** Of a tensor of bf16: its memory as words of two that lie side by side, u32. An odd one at the end is not to be read so. */
  readonly words?: Source;
  /** How long what it reads stays as it is: laying it out is then a call of its own, which is made less often. */
  readonly lasts?: Lasting;
  /** As in `Epilogue`: declares parameters, in the order of `args`. */
  readonly bind: (k: KernelBuilder) => ReadSource;
}

/** A plain tensor as operand. */
export function sourceOf(arg: CallArg, elem: StorageElem = 'f32', name = 'x'): Source {
  return {
    args: [arg],
    plain: elem === 'f32',
    ...(elem === 'bf16' && { words: sourceOf(arg, 'u32', name) }),
    bind: (k) => {
      const buf = k.buffer(name, elem);
      return (_k, index, lanes) => load(buf, index, lanes);
    },
  };
}

/** Stores the results as they are. */
export function storeTo(arg: CallArg, elem: StorageElem = 'f32', name = 'out'): Epilogue {
  return {
    args: [arg],
    bind: (k) => {
      const buf = k.buffer(name, elem, 'write');
      return (b, tile) => b.store(buf, tile.flat, tile.acc);
    },
  };
}
