/** Parameters, buffers and constants of a model: named windows on its arenas. Tied names share one object. */
import type { Elem, TensorEntry } from './artifact.ts';
import { widthOf } from './elem.ts';
import type { Executor } from './backend.ts';
import { INSPECT, tensorText } from './show.ts';
import type { Storage } from './storage.ts';
import { Tensor, type Shape } from './tensor.ts';

export class Parameter<E extends Elem = Elem, S extends Shape = Shape> {
  /** The canonical name: the first one in the state dict. */
  readonly name: string;
  readonly dtype: E;
  readonly shape: S;
  readonly kind: 'param' | 'buffer' | 'const';
  readonly requires_grad: boolean;
  /** The live value: `set` and `copy_` change the model. */
  readonly data: Tensor<E, S>;
  private readonly executor: Executor;
  private readonly entry: TensorEntry;
  private readonly transposed: boolean;

  constructor(executor: Executor, entry: TensorEntry, transposed = false) {
    this.name = entry.name;
    this.dtype = entry.elem as E;
    this.kind = entry.role;
    this.requires_grad = entry.trainable && entry.role === 'param';
    this.executor = executor;
    this.entry = entry;
    this.transposed = transposed;
    this.shape = (transposed ? [...entry.shape].reverse() : entry.shape) as readonly number[] as S;
    this.data = this.window(entry.segment);
  }

  /** d loss / d parameter of the last `backward`; null before the first. Shape as the parameter. */
  get grad(): Tensor<E, S> | null {
    const { grad } = this.entry;
    return grad !== null && this.executor.hasSegment(grad) ? this.window(grad) : null;
  }

  get device(): string {
    return this.executor.device.name;
  }

  /** Number of elements. */
  get size(): number {
    return this.data.size;
  }

  /** The same parameter seen as its transpose: what a transposed tie names. */
  transpose(): Parameter<E> {
    return new Parameter<E>(this.executor, this.entry, !this.transposed);
  }

  [INSPECT](): string {
    return `Parameter(${this.name}: ${tensorText(this.data)}, ${this.device})`;
  }

  private window(segment: string): Tensor<E, S> {
    const width = widthOf(this.entry.elem);
    const count = this.entry.shape.reduce((a, b) => a * b, 1);
    let storage = this.executor.slice(segment, this.entry.offset * width, count * width);
    if (this.transposed) storage = transposedStorage(storage, this.entry.shape, width);
    return new Tensor(this.dtype, this.shape, storage, this.executor.device);
  }
}

/** Rows and columns of a matrix swapped at every access. */
function transposedStorage(inner: Storage, shape: readonly number[], width: number): Storage {
  const [rows = 1, cols = 1] = shape;
  const total = rows * cols * width;
  return {
    get visible() {
      return inner.visible;
    },
    read: (start, length) => transposed(inner.read(0, total), rows, cols, width).subarray(start, start + length),
    fetch: async (start, length) =>
      transposed(await inner.fetch(0, total), rows, cols, width).subarray(start, start + length),
    write: (start, bytes) => {
      if (bytes.length === total) return inner.write(0, transposed(bytes, cols, rows, width));
      for (let i = 0; i < bytes.length; i += width) {
        const element = (start + i) / width;
        inner.write(((element % rows) * cols + Math.floor(element / rows)) * width, bytes.subarray(i, i + width));
      }
    },
    address: () => null,
    transposeOf: { storage: inner, rows, cols, width },
  };
}

function transposed(from: Uint8Array, rows: number, cols: number, width: number): Uint8Array {
  const out = new Uint8Array(from.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const at = (r * cols + c) * width;
      out.set(from.subarray(at, at + width), (c * rows + r) * width);
    }
  }
  return out;
}
