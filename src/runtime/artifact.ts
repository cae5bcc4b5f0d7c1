/**
 * What the compiler hands to the runtime: plain data and WebAssembly bytes. A generated module carries one artifact per
 * exported block. The runtime evaluates sizes, places buffers and calls; it compiles nothing.
 */

import type { NumberOp } from './numbers.ts';

export type Elem = 'f32' | 'f16' | 'bf16' | 'i32' | 'u32' | 'bool';

/** A size: a number, a symbol, or [operator, left, right]; `/` floors. */
export type SizeExpr = number | string | readonly ['+' | '*' | '/' | '%' | 'min' | 'max', SizeExpr, SizeExpr];

/** A number of double precision: a constant, a hyper-parameter (`lr`, `betas.1`), or an operation on such. */
export type NumberExpr = number | string | readonly [NumberOp, NumberExpr, NumberExpr?];

export interface TensorSpec {
  readonly elem: Elem;
  readonly shape: readonly SizeExpr[];
}

export interface Artifact {
  readonly format: 1;
  readonly name: string;
  readonly doc: string;
  /** Identifies the program: sha-like hash of the IR, in hex. */
  readonly hash: string;
  readonly hyper: Readonly<Record<string, unknown>>;
  /** Arenas that all programs share. Parameters of one optimizer group lie side by side. */
  readonly segments: readonly Segment[];
  readonly tensors: readonly TensorEntry[];
  readonly stateDict: readonly { readonly name: string; readonly tensor: number; readonly transposed: boolean }[];
  readonly tree: TreeNode;
  readonly methods: readonly MethodEntry[];
  readonly programs: readonly Program[];
  readonly train: TrainEntry | null;
  readonly kernels: readonly KernelEntry[];
  /**
   * One WebAssembly module: imports `env.memory`, `env.share` and `env.barrier` (see threads.ts), exports each program's driver
   * under its name: (frame: i32) -> i32.
   */
  readonly wasm: WasmCode;
  /** What its programs keep of what they make of parameters. */
  readonly prepared: readonly Prepared[];
  /** The programs that run on a GPU; null where the block was not compiled for it. */
  readonly webgpu: WebGpuCode | null;
  /** The programs in C, for a shared object made by the system's compiler; null where the block was not compiled for it. */
  readonly native: NativeCode | null;
}

/** A module that every engine with SIMD takes, and how to make its multiply-adds single instructions (runtime/fma.ts). */
export interface WasmCode {
  readonly plain: Uint8Array;
  /** Offsets of the multiplications and additions that belong together, each as its distance from the one before, in LEB128. */
  readonly fusible: Uint8Array;
}

/** What C was written for. It runs on any machine; on this kind it is fast. */
export interface Machine {
  /** Lanes of a vector of f32. */
  readonly lanes: number;
  /** Vector registers. */
  readonly registers: number;
  /** It has fused multiply-add. */
  readonly fma: boolean;
  /** It multiplies pairs of bf16 (AVX512_BF16). */
  readonly dot?: true;
}

/** As `WebGpuCode`: initial values are drawn on the cpu. */
export interface NativeCode {
  readonly machine: Machine;
  readonly programs: readonly Program[];
  readonly prepared: readonly Prepared[];
  /** `declaration`: the exported function, with `intptr_t` for what is an address. */
  readonly kernels: readonly (KernelEntry & { readonly declaration: string })[];
  /** Translation units in C; together they export a function for each program and each kernel. */
  readonly units: readonly string[];
  /** The names of those functions, in the order of the programs: `int (const double *frame, int threads)`, one number per slot. */
  readonly functions: readonly string[];
}

/** Initial values are drawn on the cpu, with the same bits for every device: `init` and `init_state` are not here. */
export interface WebGpuCode {
  /** Same names, inputs and outputs as those of the cpu; their own kernels, buffers and steps. */
  readonly programs: readonly Program[];
  readonly kernels: readonly WebGpuKernel[];
  /** Of workgroup memory, the most that a kernel takes. */
  readonly workgroupBytes: number;
}

export interface WebGpuKernel extends KernelEntry {
  /** WGSL. See codegen/wgsl/print.ts for how arguments and memory are bound. */
  readonly code: string;
  /** One per slot: how its value reaches the shader: a place counted in words or in 16-bit elements, or a number. */
  readonly args: readonly ('words' | 'halves' | 'value')[];
  readonly grid: {
    /** Workgroups along x, y and z; symbols are the places of arguments: "0", "1", ... */
    readonly extents: readonly [SizeExpr, SizeExpr, SizeExpr];
    /** Dispatch their product, laid out over x and y. */
    readonly folded: boolean;
  };
}

export interface Segment {
  /** `params.0`, `frozen`, `buffers`, `consts`, `state.0.exp_avg`, ... */
  readonly name: string;
  readonly role: 'params' | 'buffers' | 'consts' | 'state' | 'grads';
  readonly elem: Elem;
  /** Elements. */
  readonly length: number;
}

/** An arena of a target's own that a program of the same name fills from others: packed weights and the like. */
export interface Prepared {
  readonly name: string;
  readonly bytes: number;
  /** The segments that it is made of: when one of them has changed it must be made again. */
  readonly from: readonly string[];
}

export interface TensorEntry {
  readonly name: string;
  readonly role: 'param' | 'buffer' | 'const';
  readonly elem: Elem;
  readonly shape: readonly number[];
  readonly stored: 'i64' | null;
  readonly trainable: boolean;
  readonly segment: string;
  /** Elements from the start of the segment. */
  readonly offset: number;
  /** Where its gradient lies after `backward`: a segment of the same layout, or null. */
  readonly grad: string | null;
}

export interface TreeNode {
  readonly name: string;
  readonly path: string;
  readonly id: number;
  readonly type: string;
  readonly kind: 'block' | 'seq' | 'list' | 'fn';
  /** Of its type, and of the member that places it. */
  readonly doc: string;
  readonly memberDoc?: string;
  readonly hyper: Readonly<Record<string, unknown>>;
  readonly children: readonly TreeNode[];
  readonly own: readonly {
    readonly name: string;
    readonly tensor: number;
    readonly transposed: boolean;
    readonly doc?: string;
  }[];
}

/** What an argument's values must be, as indices: from 0, below a size, or the one value that means none. */
export interface IndexRange {
  readonly of: 'class' | 'row';
  readonly below: SizeExpr;
  readonly except: number | null;
}

export type Spec =
  /** `size`: a number, which the program gets as the first dim of an empty tensor. */
  | ({ readonly kind: 'tensor'; readonly indices?: readonly IndexRange[]; readonly size?: true } & TensorSpec)
  | { readonly kind: 'tuple'; readonly items: readonly Spec[] }
  | { readonly kind: 'record'; readonly fields: readonly { readonly name: string; readonly spec: Spec }[] };

export interface MethodEntry extends MethodForm {
  readonly name: string;
  readonly doc: string;
  /** All arguments in order. Those that are in `args` of no more than some forms are optional. */
  readonly signature: readonly string[];
  /** How it runs with optional arguments; the entry itself says how without. */
  readonly forms: readonly MethodForm[];
}

/** A method with some of its optional arguments. */
export interface MethodForm {
  /** The optional arguments that are given. */
  readonly given: readonly string[];
  readonly args: readonly { readonly name: string; readonly spec: Spec }[];
  readonly result: Spec;
  /** Names of programs. */
  readonly eval: string;
  readonly training: string;
}

/** What the names of programs end in that are called with optional arguments. */
export const formSuffix = (given: readonly string[]): string => given.map((name) => `+${name}`).join('');

/** Programs by name: `init`, `forward`, `forward.training`, `train_step`, `backward`, ... */
export interface Program {
  readonly name: string;
  /** Sizes bound at run time by the inputs' shapes. */
  readonly symbols: readonly string[];
  readonly inputs: readonly ProgramInput[];
  readonly outputs: readonly ProgramOutput[];
  /** What has to be prepared before it runs; where `rows` is given, only if that is more than 1. */
  readonly prepared?: readonly { readonly name: string; readonly rows?: SizeExpr }[];
  readonly buffers: readonly BufferEntry[];
  /** The frame that the driver reads: one i32 each. */
  readonly slots: readonly Slot[];
  readonly steps: readonly Step[];
  /** Where each loop and branch stands: `file:line` of the network, with the layer's path. */
  readonly regions: readonly string[];
  readonly checks: readonly {
    readonly kind: 'equal' | 'atLeast';
    readonly left: SizeExpr;
    readonly right: SizeExpr;
    /** `file:line` of the network, with the layer's path. */
    readonly origin: string;
    readonly message: string;
  }[];
}

export type ProgramInput =
  | { readonly role: 'arg'; readonly name: string; readonly spec: TensorSpec; readonly buffer: number }
  | { readonly role: 'segment'; readonly segment: string; readonly buffer: number }
  /** u32[2]: the seed folded with the step. */
  | { readonly role: 'key'; readonly buffer: number }
  /** i32[]: steps taken so far. */
  | { readonly role: 'step'; readonly buffer: number }
  /** f32[]: a number made of the optimizer's hyper-parameters as they are for a group. */
  | { readonly role: 'hyper'; readonly group: number; readonly number: NumberExpr; readonly buffer: number }
  /** i32[]: calls of `train_step` since the last update. */
  | { readonly role: 'microbatch'; readonly buffer: number }
  /** f32[]: a number of the `train` block; for `ema` it is 1 - decay, rounded once. */
  | { readonly role: 'setting'; readonly name: TrainNumber; readonly buffer: number };

/** Settings of a `train` block that may change while it runs. */
export type TrainNumber = 'clip_norm' | 'clip_value' | 'ema';

/** A segment's output may share its input's buffer (updated in place); otherwise the runtime copies it back. */
export type ProgramOutput =
  | {
      readonly role: 'result';
      readonly name: string;
      readonly spec: TensorSpec;
      readonly buffer: number;
      readonly offset: SizeExpr;
    }
  | { readonly role: 'segment'; readonly segment: string; readonly buffer: number; readonly offset: SizeExpr };

export interface BufferEntry {
  readonly kind: 'input' | 'output' | 'temp' | 'segment';
  readonly bytes: SizeExpr;
  /** First and last step (position in a flat count of `steps`) that uses it. */
  readonly live: readonly [number, number];
  /** Ranges of a `temp` in order, where they hold something at different times; nothing is in the rest of it. */
  readonly parts?: readonly BufferPart[];
  readonly segment: string | null;
}

/** In bytes from the start of the buffer; `live` is as for the whole. */
export interface BufferPart {
  readonly offset: number;
  readonly bytes: number;
  readonly live: readonly [number, number];
}

export type Slot =
  | { readonly kind: 'address'; readonly buffer: number; /** bytes */ readonly offset: SizeExpr }
  | { readonly kind: 'size'; readonly value: SizeExpr }
  /** How often a `while` may repeat: the model's, not the program's. */
  | { readonly kind: 'limit' };

/** `region` of a loop or branch is its place in the program's `regions`. */
export type Step =
  | { readonly kind: 'kernel'; readonly kernel: number; readonly slots: readonly number[]; readonly info?: StepInfo }
  /** Copies bytes between two addresses. */
  | { readonly kind: 'copy'; readonly from: number; readonly to: number; /** slot */ readonly bytes: number }
  /** `counter`: slot of an i32[] buffer's address that receives 0, 1, ...; null when unused. */
  | {
      readonly kind: 'for';
      readonly count: number;
      readonly counter: number | null;
      readonly body: readonly Step[];
      readonly region: number;
    }
  /** `flag`: slot of a bool[] buffer's address, computed by `cond`. Where it still holds after as many rounds as slot `limit` says, the program ends. */
  | {
      readonly kind: 'while';
      readonly cond: readonly Step[];
      readonly flag: number;
      readonly body: readonly Step[];
      readonly limit: number;
      readonly region: number;
    }
  | {
      readonly kind: 'if';
      readonly flag: number;
      readonly then: readonly Step[];
      readonly else: readonly Step[];
      readonly region: number;
    };

/** What a profile says of one call of a kernel. Equal kernels are one, so the line is the call's. */
export interface StepInfo {
  /** `file:line` of the network, with the layer's path. */
  readonly origin: string;
  /** Of a contraction, 2 per multiply-add; 0 for everything else. */
  readonly flops: SizeExpr;
  /** Of its operands and results, each once. */
  readonly bytes: SizeExpr;
}

/** The name under which the WebAssembly module exports a kernel: programs have names of the language. */
export const kernelExport = (index: number): string => `#${index}`;

/** And what each thread runs of a kernel that threads share: (part, parts) -> (). */
export const taskExport = (index: number): string => `@${index}`;

/** The size that is how many threads there are: working memory may depend on it, results do not. No symbol of a program has this name. */
export const THREADS = '#threads';

/** Where the arguments of a shared kernel lie in WebAssembly's memory, four bytes each, and the most that there can be. */
export const TASK_ARGS = { at: 65536, most: 256 } as const;

export interface KernelEntry {
  readonly name: string;
  /** `file:line` of the network, main one first, with the layer's path. */
  readonly origins: readonly string[];
}

export interface TrainEntry {
  readonly loss: string;
  readonly metric: string | null;
  readonly optimizer: string;
  readonly groups: readonly {
    readonly segment: string;
    /** Items of tuples have names of their own: `betas.0`. */
    readonly hyper: Readonly<Record<string, number>>;
    readonly state: readonly string[];
    /** Segments laid out as the parameters: the sum of gradients since the last update, the averaged weights. */
    readonly accumulated: string | null;
    readonly ema: string | null;
  }[];
  /** Calls of `train_step` per update. */
  readonly accumulate: number;
  readonly settings: Readonly<Partial<Record<TrainNumber, number>>>;
  readonly plateau: PlateauEntry | null;
  readonly epochs: number | null;
  readonly batchSize: number | null;
  readonly data: string | null;
  readonly seed: number | null;
}

/** torch.optim.lr_scheduler.ReduceLROnPlateau's arguments. */
export interface PlateauEntry {
  readonly mode: 'min' | 'max';
  readonly factor: number;
  readonly patience: number;
  readonly threshold: number;
  readonly threshold_mode: 'rel' | 'abs';
  readonly cooldown: number;
  readonly min_lr: number;
  readonly eps: number;
}
