/** Batches of a data set in an order that the seed and the epoch fix, so that a resumed run sees the same batches. */
import type { MethodEntry, Spec } from '../../runtime/artifact.ts';
import { randomBits } from '../../runtime/rng.ts';
import { DataError, takeRows, type Column, type DataSet } from './dataset.ts';

/** The columns that feed a method's arguments: by name where all names occur, else in order. */
export function matchColumns(d: DataSet, method: MethodEntry): Column[] {
  const byName = method.args.map((a) => d.columns.find((c) => c.name === a.name));
  const columns = byName.every((c) => c !== undefined) ? (byName as Column[]) : d.columns.slice(0, method.args.length);
  if (columns.length < method.args.length) {
    const want = method.args.map((a) => a.name).join(', ');
    throw new DataError(
      d.source,
      `${method.name} takes ${want}, and the data has ${d.columns.map((c) => c.name).join(', ')}`,
    );
  }
  return columns.map((c, i) => fitColumn(c, method.args[i]!.spec, method.args[i]!.name, d.source));
}

/** Gives a column the rank and element type that the argument has, where that loses nothing. */
function fitColumn(c: Column, spec: Spec, arg: string, source: string): Column {
  if (spec.kind !== 'tensor') throw new DataError(source, `argument ${arg} is no tensor: a data set cannot feed it`);
  let shape = c.shape;
  const want = spec.shape.slice(1);
  const have = c.shape.slice(1);
  const size = (s: readonly number[]): number => s.reduce((a, b) => a * b, 1);
  if (want.every((w) => typeof w === 'number')) {
    const target = want as readonly number[];
    if (size(target) !== size(have)) {
      throw new DataError(
        source,
        `argument ${arg} needs [${target.join(', ')}] per sample and column ${c.name} has [${have.join(', ')}]`,
      );
    }
    shape = [c.shape[0]!, ...target];
  } else if (want.length !== have.length) {
    throw new DataError(
      source,
      `argument ${arg} has ${want.length} dims per sample and column ${c.name} has ${have.length}`,
    );
  }
  if (spec.elem === 'i32' && c.data instanceof Float32Array) {
    const bad = c.data.findIndex((v) => !Number.isInteger(v));
    if (bad >= 0)
      throw new DataError(source, `argument ${arg} takes integers and column ${c.name} holds ${c.data[bad]}`);
    return { name: c.name, shape, data: Int32Array.from(c.data) };
  }
  if (spec.elem !== 'i32' && c.data instanceof Int32Array)
    return { name: c.name, shape, data: Float32Array.from(c.data) };
  return { name: c.name, shape, data: c.data };
}

/** Fisher-Yates over counter-based bits: depends on (seed, epoch, count) only. */
export function permutation(count: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const bits = randomBits([seed >>> 0, (epoch ^ 0x5bd1e995) >>> 0], count);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((bits[i]! / 2 ** 32) * (i + 1));
    const t = order[i]!;
    order[i] = order[j]!;
    order[j] = t;
  }
  return order;
}

/** Copies batch after batch into the same memory; the last one of an epoch may be smaller. */
export class BatchLoader {
  readonly batches: number;
  private readonly columns: readonly Column[];
  private readonly buffers: readonly (Float32Array | Int32Array)[];
  private readonly count: number;
  private readonly batchSize: number;

  constructor(columns: readonly Column[], batchSize: number) {
    this.columns = columns;
    this.count = columns[0]!.shape[0]!;
    this.batchSize = Math.min(batchSize, this.count);
    this.batches = Math.ceil(this.count / this.batchSize);
    this.buffers = columns.map((c) => {
      const size = (c.data.length / Math.max(1, this.count)) * this.batchSize;
      return c.data instanceof Int32Array ? new Int32Array(size) : new Float32Array(size);
    });
  }

  /** Batch `index` under an order of the rows (null: as they are). */
  batch(index: number, order: Uint32Array | null): Column[] {
    const start = index * this.batchSize;
    const end = Math.min(this.count, start + this.batchSize);
    const rows = order ? order.subarray(start, end) : Uint32Array.from({ length: end - start }, (_, i) => start + i);
    return this.columns.map((c, i) => {
      const size = (c.data.length / this.count) * rows.length;
      return takeRows(c, rows, this.buffers[i]!.subarray(0, size));
    });
  }
}
