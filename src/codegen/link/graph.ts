/**
 * A program while it is being linked: calls are gone, every value has a place (bytes from the start of a buffer), and
 * what runs is a tree of kernels, copies and control. Buffers may be merged into others until the program is emitted.
 */
import type { Dim } from '../../ir/dim.ts';
import { add, dim, same } from '../../ir/dim.ts';
import type { ElemType, Origin } from '../../ir/ir.ts';
import type { Kernel } from '../kernel.ts';

export interface Buf {
  readonly kind: 'input' | 'segment' | 'temp';
  readonly bytes: Dim;
  /** Of a segment: its name. */
  readonly segment: string | null;
  /** Set when the buffer has become a part of another. */
  merged: Place | null;
  /** Holds a result of the program. */
  output: boolean;
}

/** `offset` in bytes. */
export interface Place {
  readonly buf: Buf;
  readonly offset: Dim;
}

/** A place with its extent. */
export interface Range extends Place {
  readonly bytes: Dim;
}

export type KernelArg =
  | { readonly kind: 'memory'; readonly range: Range; readonly access: 'read' | 'write' | 'readwrite' }
  | { readonly kind: 'size'; readonly size: Dim };

export type Node =
  | {
      readonly kind: 'kernel';
      readonly kernel: Kernel;
      readonly args: readonly KernelArg[];
      /** The kernel may write argument `result` over `operand`, element by element. Indices of `args`. */
      readonly inPlace: readonly { readonly result: number; readonly operand: number }[];
      readonly origin: Origin;
    }
  | { readonly kind: 'copy'; readonly from: Range; readonly to: Place; removed: boolean }
  | { readonly kind: 'for'; readonly count: Dim; readonly counter: Place; readonly body: Block }
  | { readonly kind: 'while'; readonly cond: Block; readonly flag: Place; readonly body: Block }
  | { readonly kind: 'if'; readonly flag: Place; readonly then: Block; readonly else: Block };

export type CopyNode = Extract<Node, { kind: 'copy' }>;
export type KernelNode = Extract<Node, { kind: 'kernel' }>;
export type Block = Node[];

export const ELEM_BYTES: Readonly<Record<ElemType, number>> = { f32: 4, f16: 2, bf16: 2, i32: 4, u32: 4, bool: 4 };

export const newBuf = (kind: Buf['kind'], bytes: Dim, segment: string | null = null): Buf => ({
  kind,
  bytes,
  segment,
  merged: null,
  output: false,
});

export const placeOf = (buf: Buf): Place => ({ buf, offset: dim(0) });

/** Where a place lies now, after merges. */
export function resolve(p: Place): Place {
  let { buf, offset } = p;
  while (buf.merged) {
    offset = add(buf.merged.offset, offset);
    buf = buf.merged.buf;
  }
  return buf === p.buf ? p : { buf, offset };
}

export function samePlace(a: Place, b: Place): boolean {
  const [x, y] = [resolve(a), resolve(b)];
  return x.buf === y.buf && same(x.offset, y.offset);
}
