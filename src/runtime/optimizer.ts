/** Hyper-parameters of the optimizer, group by group, as they stand now: changing one takes effect in the next step. */
import type { TrainEntry } from './artifact.ts';

export class Optimizer {
  /** `SGD`, `AdamW`, ... */
  readonly name: string;
  /** Float hyper-parameters by name (`lr`, `weight_decay`, ...); groups are the file's `override`s. */
  readonly groups: readonly Record<string, number>[];

  constructor(train: TrainEntry) {
    this.name = train.optimizer;
    this.groups = train.groups.map((g) => ({ ...g.hyper }));
  }

  /** Learning rate of the first group; setting it sets every group's. */
  get lr(): number {
    return this.groups[0]?.['lr'] ?? NaN;
  }

  set lr(value: number) {
    for (const g of this.groups) g['lr'] = value;
  }
}
