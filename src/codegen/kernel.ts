/**
 * Kernel IR: loop nests over index expressions with explicit memory spaces, tiles and vectors.
 * What a schedule produces and a printer (WebAssembly, C, WGSL) turns into text or bytes. It knows nothing of networks.
 *
 * Memory: a buffer is addressed in elements. A vector load or store touches `lanes` consecutive elements and needs no
 * alignment. i32 arithmetic wraps; shifts take the count modulo 32; integer division by zero is never executed
 * (families guard it). f32 arithmetic is strict IEEE single in the order written; `fma` is the only fused form (one
 * rounding where the target has it, two on plain SIMD WebAssembly: the backend identity differs).
 */
import type { Origin } from '../ir/ir.ts';

export type KElem = 'f32' | 'i32' | 'u32' | 'bool';
/** Element type of a buffer in memory. f16/bf16 are loaded as f32 and rounded (ties to even) at the store. bool is u32 0/1. */
export type StorageElem = KElem | 'f16' | 'bf16';

/** lanes 1 is a scalar. Vectors have 4 lanes on WebAssembly and WGSL; the C printer takes 4, 8 and 16. */
export interface KType {
  readonly elem: KElem;
  readonly lanes: number;
}

export interface KBuffer {
  readonly kind: 'buffer';
  readonly name: string;
  readonly elem: StorageElem;
  /** global: a parameter. shared: one per workgroup (a plain array on the CPU). private: registers or stack of one invocation. */
  readonly space: 'global' | 'shared' | 'private';
  readonly access: 'read' | 'write' | 'readwrite';
  /** Elements; only for shared and private. */
  readonly length: number | null;
  /** A shared f32 array that is only ever touched by vectors of 4, at multiples of 4: WGSL keeps it in vectors. */
  readonly vectors?: true;
}

export interface KVar {
  readonly kind: 'var';
  readonly name: string;
  readonly type: KType;
  readonly mutable: boolean;
}

export type UnOp =
  | 'neg'
  | 'abs'
  | 'sqrt'
  | 'floor'
  | 'ceil'
  | 'trunc'
  | 'round' // round: to nearest, ties to even
  | 'not' // bool: logical; integers: bitwise
  | 'clz'
  | 'popcnt';
export type BinOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div' // integers: truncates, and -2^31 / -1 wraps (rows of the op table build flooring from it)
  | 'rem' // rem: integers, sign of the dividend
  | 'min'
  | 'max' // floats: NaN if either is NaN (IEEE 754-2019 minimum/maximum), -0 < +0
  | 'pmin'
  | 'pmax' // b < a ? b : a and a < b ? b : a: the fast forms where NaN cannot matter
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr' // shr: arithmetic for i32, logical for u32
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'; // give bool (of as many lanes)

export type KExpr =
  | { readonly k: 'const'; readonly value: number; readonly type: KType } // splatted over the lanes
  | { readonly k: 'var'; readonly var: KVar; readonly type: KType }
  | { readonly k: 'un'; readonly op: UnOp; readonly a: KExpr; readonly type: KType }
  | { readonly k: 'bin'; readonly op: BinOp; readonly a: KExpr; readonly b: KExpr; readonly type: KType }
  | { readonly k: 'fma'; readonly a: KExpr; readonly b: KExpr; readonly c: KExpr; readonly type: KType } // a*b + c
  // c + hi(a)*hi(b) + lo(a)*lo(b), where a word of u32 holds two bf16: as x86's vdpbf16ps, the higher half first, each sum rounded
  // to nearest even, and denormals 0 wherever they occur. Of 16 lanes, on targets that have it (`Target.dot`).
  | { readonly k: 'dot'; readonly a: KExpr; readonly b: KExpr; readonly c: KExpr; readonly type: KType }
  | { readonly k: 'select'; readonly cond: KExpr; readonly a: KExpr; readonly b: KExpr; readonly type: KType }
  | { readonly k: 'load'; readonly buf: KBuffer; readonly index: KExpr; readonly type: KType }
  | { readonly k: 'cast'; readonly a: KExpr; readonly type: KType } // by value; float to int truncates and saturates, NaN is 0
  | { readonly k: 'bitcast'; readonly a: KExpr; readonly type: KType } // f32 <-> i32 <-> u32
  | { readonly k: 'splat'; readonly a: KExpr; readonly type: KType }
  | { readonly k: 'lane'; readonly a: KExpr; readonly lane: number; readonly type: KType }
  | { readonly k: 'vec'; readonly items: readonly KExpr[]; readonly type: KType } // from scalars
  | {
      readonly k: 'shuffle';
      readonly a: KExpr;
      readonly b: KExpr;
      readonly lanes: readonly number[];
      readonly type: KType;
    }
  // How many invocations, from the workgroup's first on, can surely see each other's registers; a power of two, 1 where none can.
  | { readonly k: 'subgroup'; readonly type: KType }
  // `a` of the invocation `by` further on, where both are among them; all of the workgroup take part.
  | { readonly k: 'passed'; readonly a: KExpr; readonly by: KExpr; readonly type: KType };

export type KStmt = {
  /** The line of the network that it computes, where that is not the kernel's own. */
  readonly origin?: Origin;
} & (
  | { readonly s: 'let'; readonly var: KVar; readonly value: KExpr } // declares; immutable or with a first value
  | { readonly s: 'set'; readonly var: KVar; readonly value: KExpr }
  | { readonly s: 'store'; readonly buf: KBuffer; readonly index: KExpr; readonly value: KExpr }
  | {
      readonly s: 'for'; // for (var = from; var < to; var += step); from, to, step are evaluated once
      readonly var: KVar; // i32
      readonly from: KExpr;
      readonly to: KExpr;
      readonly step: number; // > 0
      readonly body: readonly KStmt[];
      readonly axis: Axis;
    }
  | { readonly s: 'while'; readonly cond: KExpr; readonly body: readonly KStmt[] }
  | { readonly s: 'if'; readonly cond: KExpr; readonly then: readonly KStmt[]; readonly else: readonly KStmt[] }
  // All of the workgroup have arrived, and see what was written there; `threads`: all that run the kernel (see PART).
  | { readonly s: 'barrier'; readonly space: 'shared' | 'global' | 'threads' }
  | { readonly s: 'note'; readonly text: string }
); // note: becomes a comment where the target has comments

/**
 * How a loop is executed. `unrolled` is serial, and worth a copy of its body for each of a constant number of iterations:
 * where a target's compiler would do so by itself, it does so only for these. Iterations of 'parallel' write
 * different elements, read nothing that others write, and hand nothing on in variables or arrays of the kernel: threads
 * take ranges of them and meet at the end (`threads.ts`). On WGSL
 * 'workgroup.x/y/z' and 'invocation.x/y/z' become builtin ids (their extents go to the dispatch), 'parallel' is an
 * error there: the WGSL schedule has bound it.
 */
export type Axis =
  | 'serial'
  | 'unrolled'
  | 'parallel'
  | 'workgroup.x'
  | 'workgroup.y'
  | 'workgroup.z'
  | 'invocation.x'
  | 'invocation.y'
  | 'invocation.z';

export interface Kernel {
  /** Readable, unique after deduplication: `conv2d_relu`, `matmul_2`. Letters, digits, underscores only. */
  readonly name: string;
  /** In the order of the call's arguments: global buffers, and scalar i32/f32 values (sizes). */
  readonly params: readonly (KBuffer | KVar)[];
  readonly body: readonly KStmt[];
  /** The lines of the network it computes, first the main one. */
  readonly origins: readonly Origin[];
}

/**
 * The number of the thread that runs a kernel, from 0, and of all that run it: 0 and 1 where nothing else is said. A kernel that
 * reads them divides its work itself: all its statements are every thread's, and no result depends on how many there are.
 */
export const PART: KVar = { kind: 'var', name: 'part', type: { elem: 'i32', lanes: 1 }, mutable: false };
export const PARTS: KVar = { kind: 'var', name: 'parts', type: { elem: 'i32', lanes: 1 }, mutable: false };

export const F32: KType = { elem: 'f32', lanes: 1 };
export const I32: KType = { elem: 'i32', lanes: 1 };
export const U32: KType = { elem: 'u32', lanes: 1 };
export const BOOL: KType = { elem: 'bool', lanes: 1 };
export const vec = (elem: KElem, lanes: number): KType => ({ elem, lanes });
