/** What every reader of weights gives: named tensors in one layout, whatever the file is. Values are read when asked for. */
import type { Disk } from '../sources/source.ts';

export type Format = 'safetensors' | 'torch' | 'torch-legacy' | 'npy' | 'npz' | 'gguf';

export interface FileTensor {
  /** As safetensors calls it (`F32`, `BF16`, `I64`, ...), with `C32`, `C128` and GGUF's block types (`Q4_K`) beside. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of `bytes()`. */
  readonly nbytes: number;
  /**
   * The values, read now: contiguous, row-major, little-endian. They may be the source's own memory: copy before writing.
   * Throws CheckpointError where the data turn out to be damaged.
   */
  bytes(): Promise<Uint8Array>;
  /** Set where `bytes()` are a range of a file on a disk, which can be read in parts and into any memory. */
  readonly place?: { readonly disk: Disk; readonly offset: number };
}

/** A tensor whose bytes are in memory already. */
export const inFile = (t: { dtype: string; shape: readonly number[]; bytes: Uint8Array }): FileTensor => ({
  dtype: t.dtype,
  shape: t.shape,
  nbytes: t.bytes.length,
  bytes: async () => t.bytes,
});

export interface CheckpointFile {
  readonly format: Format;
  /** For messages: its path or address. */
  readonly file: string;
  /** In the file's own order. */
  readonly tensors: ReadonlyMap<string, FileTensor>;
  /** Notes that are no tensors. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Gives back what the file holds open: tensors can no longer be read. */
  close(): Promise<void>;
}
