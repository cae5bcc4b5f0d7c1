/** Numbers of training as they stand now, group by group and for all: changing one takes effect in the next step. */
import type { TrainEntry, TrainNumber } from './artifact.ts';
import { UsageError } from './errors.ts';

export class Optimizer {
  /** `SGD`, `AdamW`, ... */
  readonly name: string;
  /** Float hyper-parameters by name (`lr`, `weight_decay`, ...); groups are the file's `override`s. */
  readonly groups: readonly Record<string, number>[];
  readonly #settings: Map<TrainNumber, number>;
  readonly #accumulates: boolean;
  #accumulate: number;

  constructor(train: TrainEntry) {
    this.name = train.optimizer;
    this.groups = train.groups.map((g) => ({ ...g.hyper }));
    this.#settings = new Map(Object.entries(train.settings) as [TrainNumber, number][]);
    this.#accumulates = train.accumulate > 1;
    this.#accumulate = train.accumulate;
  }

  /** Learning rate of the first group; setting it sets every group's. */
  get lr(): number {
    return this.groups[0]?.['lr'] ?? NaN;
  }

  set lr(value: number) {
    for (const g of this.groups) g['lr'] = value;
  }

  /** Largest norm of all gradients together; null where the `train` block has no `clip_norm`. */
  get clip_norm(): number | null {
    return this.#settings.get('clip_norm') ?? null;
  }

  set clip_norm(value: number) {
    this.set('clip_norm', value);
  }

  /** Largest magnitude of an element of a gradient; null where the `train` block has no `clip_value`. */
  get clip_value(): number | null {
    return this.#settings.get('clip_value') ?? null;
  }

  set clip_value(value: number) {
    this.set('clip_value', value);
  }

  /** Calls of `train_step` per update. */
  get accumulate(): number {
    return this.#accumulate;
  }

  set accumulate(value: number) {
    if (!Number.isSafeInteger(value) || value < 1)
      throw new UsageError(`accumulate is ${value}, no whole number from 1`);
    if (!this.#accumulates && value > 1) this.#refuse('accumulate');
    this.#accumulate = value;
  }

  /** The settings that the block was compiled with, by name. */
  settings(): ReadonlyMap<TrainNumber, number> {
    return this.#settings;
  }

  /** Throws UsageError for what the block was compiled without. */
  set(name: TrainNumber, value: number): void {
    if (!this.#settings.has(name)) this.#refuse(name);
    if (Number.isNaN(value) || value < 0) throw new UsageError(`${name} is ${value}, no number from 0`);
    this.#settings.set(name, value);
  }

  /** Takes over all numbers of another optimizer of the same program. */
  assign(other: Optimizer): void {
    this.groups.forEach((g, i) => Object.assign(g, other.groups[i]));
    for (const [name, value] of other.#settings) this.#settings.set(name, value);
    this.#accumulate = other.#accumulate;
  }

  #refuse(name: string): never {
    throw new UsageError(`the block was compiled without \`${name}\`: give its train block one, and change it here`);
  }
}
