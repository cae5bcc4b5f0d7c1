/** A program before code generation: a function of the module and what each of its parameters and results is. */
import type { Elaborated, ValueSpec } from '../check/elaborated.ts';
import type { Elem, NumberExpr, Segment, TensorEntry, TrainNumber } from '../runtime/artifact.ts';
import type { DimCheck, Module } from './ir.ts';

export type EntryInput =
  | { readonly role: 'arg'; readonly name: string }
  | { readonly role: 'segment'; readonly segment: string }
  | { readonly role: 'key' }
  | { readonly role: 'step' }
  | { readonly role: 'hyper'; readonly group: number; readonly number: NumberExpr }
  /** i32[]: calls of `train_step` since the last update. */
  | { readonly role: 'microbatch' }
  | { readonly role: 'setting'; readonly name: TrainNumber };

export type EntryOutput =
  | { readonly role: 'result'; readonly name: string }
  /** The new content of a segment that is also an input, or of a `grads` segment. */
  | { readonly role: 'segment'; readonly segment: string };

export interface Entry {
  /** The program's name: `init`, `forward`, `forward.training`, `train_step`, `backward`. */
  readonly name: string;
  readonly func: string;
  readonly inputs: readonly EntryInput[];
  readonly outputs: readonly EntryOutput[];
  /** A method as it is evaluated: parameters seldom change between two calls, so what is made of them alone may be kept. */
  readonly infers?: true;
}

/** By parameter of an entry's function: its content stays as it is. None where keeping what is made of it would not pay. */
export function constantParams({ infers, inputs, outputs }: Entry): readonly boolean[] {
  const renewed = new Set(outputs.flatMap((o) => (o.role === 'segment' ? [o.segment] : [])));
  return inputs.map((i) => infers === true && i.role === 'segment' && !renewed.has(i.segment));
}

/** Everything of one exported block, ready for the pipeline: `module` holds the entries' functions and what they call. */
export interface Programs {
  readonly block: Elaborated;
  readonly module: Module;
  readonly entries: readonly Entry[];
  readonly segments: readonly Segment[];
  readonly tensors: readonly TensorEntry[];
  readonly checks: readonly DimCheck[];
  /** What training keeps from step to step, per optimizer group; empty where the block is not trained. */
  readonly state: readonly GroupState[];
}

/** Names of a group's segments. */
export interface GroupState {
  /** Of the optimizer, in the order of its plan. */
  readonly optimizer: readonly string[];
  /** The sum of gradients since the last update. */
  readonly accumulated: string | null;
  /** Averaged parameters. */
  readonly ema: string | null;
}

export type { Elem, ValueSpec };
