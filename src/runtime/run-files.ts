/** The files of a training run: the run as it stands, the runs of its last epochs, and the weights of its best one. Node only. */
import { FileError, UsageError } from './errors.ts';
import type { Model } from './model.ts';
import { loadRun, runToBytes, type LoadedRun, type RunPosition } from './run.ts';

export interface RunFileOptions {
  /** The runs of so many epochs stay beside it, as `a.run.3.safetensors` beside `a.run.safetensors`; default none. */
  readonly keep?: number;
  /** Where the weights of the best epoch go (the averaged ones where there are), and which values are better. */
  readonly best?: { readonly path: string; readonly mode: 'min' | 'max' } | null;
}

/**
 * Saves a run whole or not at all, and goes on from it:
 *
 *     const run = new RunFiles('net.run.safetensors', { keep: 3, best: { path: 'net.safetensors', mode: 'min' } });
 *     const { epoch = 0 } = (await run.resume(model))?.position ?? {};
 *     ... await run.save(model, { epoch: 1 }, validationLoss);
 */
export class RunFiles {
  readonly path: string;
  readonly #keep: number;
  readonly #best: RunFileOptions['best'];
  #value: number | null = null;

  constructor(path: string, { keep = 0, best = null }: RunFileOptions = {}) {
    if (!Number.isInteger(keep) || keep < 0) throw new UsageError(`keep is a whole number from 0, not ${keep}`);
    this.path = path;
    this.#keep = keep;
    this.#best = best;
  }

  /** The best value so far, of the runs before too; null before the first. */
  get best(): number | null {
    return this.#value;
  }

  /**
   * Puts the model where the run was that a file holds. Of this run's own file, null says that there is none yet. As `loadRun`:
   * throws CheckpointError, with the model unchanged, where the file is damaged or of another network.
   */
  resume(model: Model): Promise<LoadedRun | null>;
  resume(model: Model, from: string): Promise<LoadedRun>;
  async resume(model: Model, from?: string): Promise<LoadedRun | null> {
    const { readBytes } = await import('./node/files.ts');
    const path = from ?? this.path;
    let bytes: Uint8Array;
    try {
      bytes = await readBytes(path);
    } catch (e) {
      if (from === undefined && e instanceof FileError && e.kind === 'ENOENT') return null;
      throw e;
    }
    const run = loadRun(model, bytes, path);
    const { best, best_mode } = run.position.extra;
    // What was the least says nothing to a run that looks for the largest.
    this.#value = best !== undefined && best_mode === this.#best?.mode ? Number(best) : null;
    return run;
  }

  /**
   * Saves where the run stands. `position` says how many epochs are done and, inside an epoch, how many batches of it; `value`
   * is what an epoch is judged by: where it is the best so far, the weights go to the best file first. A NaN is never the
   * best. Throws FileError; the files that were there are then as they were.
   */
  async save(model: Model, position: Partial<RunPosition> = {}, value: number | null = null): Promise<void> {
    const [{ writeFileAtomic }, { keepLast, numbered }] = await Promise.all([
      import('./node/files.ts'),
      import('./node/numbered.ts'),
    ]);
    if (this.#best && value !== null && this.#isBest(value, this.#best.mode)) {
      await (model.ema ?? model).save(this.#best.path);
      this.#value = value;
    }
    const { epoch = 0, batch = 0, seed = model.seed } = position;
    const { best: _, best_mode: __, ...others } = position.extra ?? {};
    const extra = {
      ...others,
      ...(this.#value !== null && { best: String(this.#value), best_mode: this.#best!.mode }),
    };
    const bytes = await runToBytes(model, { step: model.step, epoch, batch, seed, extra });
    await writeFileAtomic(this.path, bytes);
    if (this.#keep === 0 || batch > 0) return;
    await writeFileAtomic(numbered(this.path, epoch), bytes);
    await keepLast(this.path, this.#keep);
  }

  #isBest(value: number, mode: 'min' | 'max'): boolean {
    if (Number.isNaN(value)) return false;
    return this.#value === null || (mode === 'max' ? value > this.#value : value < this.#value);
  }
}
