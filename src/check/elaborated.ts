/**
 * What the checker makes of one exported block: its tree of instances, its tensors, and its methods as net IR functions.
 * Everything later (programs, code generation, the typed module, `summary`) reads this and never the AST.
 */
import type { NumberExpr, PlateauEntry, TrainNumber } from '../runtime/artifact.ts';
import type { Dim } from '../ir/dim.ts';
import type { Module, Origin, TensorType } from '../ir/ir.ts';

export type StaticValue = number | string | boolean | null | readonly StaticValue[];

export interface Elaborated {
  /** The exported block's name. */
  readonly name: string;
  readonly doc: string;
  readonly origin: Origin;
  /** The hyper-parameters it was compiled with, as printed in summaries. */
  readonly hyper: Readonly<Record<string, StaticValue>>;
  readonly tree: Instance;
  /** Each tensor once (ties merged), in PyTorch's state_dict order of the first name. */
  readonly tensors: readonly TensorInfo[];
  /** Every name in PyTorch's order: what `state_dict()` lists. */
  readonly stateDict: readonly StateDictEntry[];
  readonly methods: readonly MethodInfo[];
  readonly train: TrainPlan | null;
  /** Method functions, initialisers, optimizer steps, schedules. */
  readonly module: Module;
}

/** A tensor under its member's name; `tensor` is its place among all, `doc` what is written above the member. */
export interface OwnTensor {
  readonly name: string;
  readonly tensor: number;
  readonly transposed: boolean;
  readonly doc?: string;
}

/** A node of the tree of blocks. Elements of `seq` and of lists have their index as name. */
export interface Instance {
  readonly name: string;
  /** '' for the root; a shared block occurs under each of its names as the same `id`. */
  readonly path: string;
  /** Instances with equal ids are one object. */
  readonly id: number;
  /** `Linear`, `seq`, `list`, or the function's name for a function in a seq. */
  readonly type: string;
  readonly kind: 'block' | 'seq' | 'list' | 'fn';
  /** Of its type. */
  readonly doc: string;
  /** Of the member that places it, where that has one. */
  readonly memberDoc?: string;
  readonly hyper: Readonly<Record<string, StaticValue>>;
  readonly children: readonly Instance[];
  /** Own tensors by member name: index into `tensors`. */
  readonly own: readonly OwnTensor[];
  readonly origin: Origin;
}

export interface TensorInfo {
  readonly role: 'param' | 'buffer' | 'const';
  /** Static dims only. */
  readonly type: TensorType;
  /** Canonical name: the first seen (the owner's for a tie). Also keys its random draws, except under a `let`: see `drawPath`. */
  readonly name: string;
  readonly drawPath: string;
  /** Element type in files where it differs from memory. */
  readonly stored: 'i64' | null;
  readonly trainable: boolean;
  /** Function of the module: (key: u32[2]) -> tensor. The key is already folded with `drawPath`. */
  readonly init: string;
  /** `kaiming_uniform(a: 2.236)`, for summaries. */
  readonly initText: string;
  readonly doc: string;
  readonly origin: Origin;
}

export interface StateDictEntry {
  readonly name: string;
  readonly tensor: number;
  /** The name sees the transpose of the stored tensor. */
  readonly transposed: boolean;
}

/** What an argument or result is made of; leaves are tensors. */
export type ValueSpec =
  /** `size`: an argument `N: int`. The outside gives a number; programs get u32[N, 0], which holds nothing and binds N. */
  | { readonly kind: 'tensor'; readonly type: TensorType; readonly size?: true }
  | { readonly kind: 'tuple'; readonly items: readonly ValueSpec[] }
  | {
      readonly kind: 'record';
      readonly name: string | null;
      readonly fields: readonly { readonly name: string; readonly spec: ValueSpec }[];
    };

/** One form of a method: its arguments but for the optional ones that are not given. The first form of a name has none of those. */
export interface MethodInfo {
  readonly name: string;
  readonly doc: string;
  /** The optional arguments that are given. */
  readonly given: readonly string[];
  /** All arguments that the outside knows, in order of declaration. */
  readonly signature: readonly string[];
  readonly args: readonly { readonly name: string; readonly spec: ValueSpec }[];
  readonly result: ValueSpec;
  readonly eval: MethodFunc;
  readonly training: MethodFunc;
  readonly origin: Origin;
}

/**
 * The function's parameters are: the tensors listed, the leaves of the arguments in order, and (where `random`) a
 * u32[2] key. Its results are the leaves of the result, then the new value of each tensor in `updates`.
 */
export interface MethodFunc {
  readonly func: string;
  readonly tensors: readonly number[];
  readonly random: boolean;
  readonly updates: readonly number[];
  /** The same function with its calls of checkpointed blocks marked, where there are any: gradients are taken of this one. */
  readonly checkpointed?: string;
}

export interface TrainPlan {
  readonly loss: string;
  readonly metric: string | null;
  readonly optimizer: OptimizerPlan;
  /** Trained tensors by equal hyper-parameters. Frozen ones are in none. */
  readonly groups: readonly { readonly tensors: readonly number[]; readonly hyper: Readonly<Record<string, number>> }[];
  /** Paths of blocks whose calls keep only what they are given: their inside is computed again in the backward. */
  readonly checkpoint: readonly string[];
  /** (step: i32[]) -> f32[]: the factor of lr, or null. Steps count from 0. */
  readonly schedule: string | null;
  readonly plateau: PlateauEntry | null;
  /** Of products while training; parameters, their gradients and the optimizer are f32 always. */
  readonly precision: 'f32' | 'f16' | 'bf16';
  readonly scaler: ScalerPlan | null;
  /** `clip_norm`, `clip_value` and `ema`, where they are given: numbers of the running program. */
  readonly limits: Readonly<Partial<Record<TrainNumber, number>>>;
  /** Calls of `train_step` per update; 1 where each one updates. */
  readonly accumulate: number;
  readonly epochs: number | null;
  readonly batchSize: number | null;
  /** The data set that `netwright train` takes when no --data is given. */
  readonly data: string | null;
  readonly seed: number | null;
  readonly origin: Origin;
}

/** Dynamic loss scaling, as torch.amp.GradScaler. */
export interface ScalerPlan {
  readonly init_scale: number;
  readonly growth_factor: number;
  readonly backoff_factor: number;
  readonly growth_interval: number;
}

export interface OptimizerPlan {
  readonly name: string;
  /** Hyper-parameters that are floats, and items of those that are tuples of floats (`betas.0`): numbers of the run. */
  readonly floats: readonly { readonly name: string; readonly default: number }[];
  /** State: like the parameter, or one scalar for the group. `init` is a function () -> f32[N] or f32[]. */
  readonly state: readonly {
    readonly name: string;
    readonly like: 'param' | 'scalar';
    readonly elem: 'f32' | 'i32';
    readonly init: string;
  }[];
  /**
   * `flat` works on f32[N] with symbolic N, where every op of the step is elementwise; else `byShape` has a function for each
   * shape (key: dims joined by "x").
   */
  readonly flat: StepFunc | null;
  readonly byShape: Readonly<Record<string, StepFunc>>;
}

/** (p, g, state..., numbers...) -> (p', state'...). */
export interface StepFunc {
  readonly func: string;
  /** Made of `floats`. */
  readonly numbers: readonly NumberExpr[];
}

/** Symbols that a method's arguments bind, in order of first occurrence. */
export type SymbolList = readonly Dim[];
