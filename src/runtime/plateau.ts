/** A learning rate that follows a metric: `schedule = reduce_on_plateau(...)`, torch.optim.lr_scheduler.ReduceLROnPlateau. */
import type { PlateauEntry } from './artifact.ts';
import type { Optimizer } from './optimizer.ts';

export class Plateau {
  /** The best metric so far. */
  best: number;
  /** Steps since it was reached; none are counted while cooling down. */
  bad_epochs = 0;
  /** Steps that are still left out after a reduction. */
  cooldown = 0;
  readonly settings: PlateauEntry;
  readonly #optimizer: Optimizer;

  constructor(settings: PlateauEntry, optimizer: Optimizer) {
    this.settings = settings;
    this.#optimizer = optimizer;
    this.best = settings.mode === 'min' ? Infinity : -Infinity;
  }

  /** To be called with the metric after each epoch. True where a learning rate was reduced. */
  step(metric: number): boolean {
    if (this.#better(metric)) {
      this.best = metric;
      this.bad_epochs = 0;
    } else this.bad_epochs++;
    if (this.cooldown > 0) {
      this.cooldown--;
      this.bad_epochs = 0;
    }
    if (this.bad_epochs <= this.settings.patience) return false;
    this.cooldown = this.settings.cooldown;
    this.bad_epochs = 0;
    return this.#reduce();
  }

  assign(other: Plateau): void {
    this.best = other.best;
    this.bad_epochs = other.bad_epochs;
    this.cooldown = other.cooldown;
  }

  #better(x: number): boolean {
    const { mode, threshold, threshold_mode } = this.settings;
    const sign = mode === 'min' ? -1 : 1;
    const bar = threshold_mode === 'rel' ? this.best * (1 + sign * threshold) : this.best + sign * threshold;
    return mode === 'min' ? x < bar : x > bar;
  }

  #reduce(): boolean {
    const { factor, min_lr, eps } = this.settings;
    let reduced = false;
    for (const group of this.#optimizer.groups) {
      const old = group['lr'] ?? NaN;
      const next = Math.max(old * factor, min_lr);
      // NaN and steps too small to matter change nothing.
      if (!(old - next > eps)) continue;
      group['lr'] = next;
      reduced = true;
    }
    return reduced;
  }
}
