/** The files of a training run: the run as it stands, the last few of them, and the weights of the best epoch. */
import { readdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { runToBytes, type Model, type RunPosition } from '../runtime/index.ts';
import { writeFileAtomic } from '../runtime/node/files.ts';

export interface RunFileOptions {
  /** The run as it stands, replaced at every save. */
  readonly file: string;
  /** How many epochs' runs are kept beside it, as NAME.run.EPOCH.safetensors. */
  readonly keep: number;
  /** Where the weights of the best epoch go, and which values are better; null keeps none. */
  readonly best: { readonly file: string; readonly mode: 'min' | 'max' } | null;
}

export class RunFiles {
  readonly #options: RunFileOptions;
  #best: number | null;

  /** `best` is the best value of the run that goes on. */
  constructor(options: RunFileOptions, best: number | null) {
    this.#options = options;
    this.#best = best;
  }

  /** Saves where a run stands; `value` is what an epoch that has ended is judged by. */
  async save(model: Model, position: RunPosition, value: number | null): Promise<void> {
    const { file, keep, best } = this.#options;
    if (best && value !== null && this.#better(value, best.mode)) {
      this.#best = value;
      await (model.ema ?? model).save(best.file);
    }
    const extra = this.#best === null ? position.extra : { ...position.extra, best: String(this.#best) };
    const bytes = await runToBytes(model, { ...position, extra });
    await writeFileAtomic(file, bytes);
    if (keep === 0 || value === null) return;
    await writeFileAtomic(numbered(file, position.epoch), bytes);
    await this.#forget();
  }

  #better(value: number, mode: 'min' | 'max'): boolean {
    if (Number.isNaN(value)) return false;
    return this.#best === null || (mode === 'min' ? value < this.#best : value > this.#best);
  }

  /** Removes the numbered runs but the last `keep`. What a killed process left half is under other names. */
  async #forget(): Promise<void> {
    const { file, keep } = this.#options;
    const [start, end] = numbered(basename(file), NaN).split('NaN') as [string, string];
    const epochs = (await readdir(dirname(file)))
      .filter((f) => f.startsWith(start) && f.endsWith(end) && /^\d+$/.test(f.slice(start.length, -end.length)))
      .sort((a, b) => parseInt(b.slice(start.length), 10) - parseInt(a.slice(start.length), 10));
    for (const old of epochs.slice(keep)) await unlink(join(dirname(file), old));
  }
}

const numbered = (file: string, epoch: number): string => file.replace(/\.safetensors$/, `.${epoch}.safetensors`);
