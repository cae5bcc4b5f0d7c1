/** What every reader of weights gives: named tensors in one layout, whatever the file is. Values are read when asked for. */

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
}

export interface CheckpointFile {
  readonly format: Format;
  /** In the file's own order. */
  readonly tensors: ReadonlyMap<string, FileTensor>;
  /** Notes that are no tensors. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Gives back what the file holds open: tensors can no longer be read. */
  close(): Promise<void>;
}
