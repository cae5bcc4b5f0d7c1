/** A program before code generation: a function of the module and what each of its parameters and results is. */
import type { Elaborated, ValueSpec } from '../check/elaborated.ts';
import type { Elem, Segment, TensorEntry } from '../runtime/artifact.ts';
import type { DimCheck, Module } from './ir.ts';

export type EntryInput =
  | { readonly role: 'arg'; readonly name: string }
  | { readonly role: 'segment'; readonly segment: string }
  | { readonly role: 'key' }
  | { readonly role: 'step' }
  | { readonly role: 'hyper'; readonly group: number; readonly name: string };

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
}

/** Everything of one exported block, ready for the pipeline: `module` holds the entries' functions and what they call. */
export interface Programs {
  readonly block: Elaborated;
  readonly module: Module;
  readonly entries: readonly Entry[];
  readonly segments: readonly Segment[];
  readonly tensors: readonly TensorEntry[];
  readonly checks: readonly DimCheck[];
  /** State segments per optimizer group. */
  readonly state: readonly (readonly string[])[];
}

export type { Elem, ValueSpec };
