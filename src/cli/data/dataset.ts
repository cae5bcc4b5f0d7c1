/** A data set in memory: named columns of equal length whose rows are samples. */

export interface Column {
  readonly name: string;
  /** The first is the number of samples. */
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

export interface DataSet {
  /** For messages: the path or the built-in name. */
  readonly source: string;
  readonly count: number;
  readonly columns: readonly Column[];
  /** Rows kept apart for evaluation where the source itself says which (else null). */
  readonly heldOut: DataSet | null;
}

/** A fault of a data file: what was expected, what was found. The CLI prints it as a coded diagnostic. */
export class DataError extends Error {
  readonly source: string;
  readonly help: string | null;
  constructor(source: string, message: string, help: string | null = null) {
    super(message);
    this.source = source;
    this.help = help;
  }
}

export function dataSet(source: string, columns: readonly Column[], heldOut: DataSet | null = null): DataSet {
  const first = columns[0];
  if (!first) throw new DataError(source, 'it has no columns');
  const count = first.shape[0] ?? 0;
  for (const c of columns) {
    if (c.shape[0] !== count) {
      throw new DataError(
        source,
        `${c.name} has ${c.shape[0] ?? 0} rows and ${first.name} has ${count}`,
        'every column needs one row per sample',
      );
    }
  }
  if (count === 0) throw new DataError(source, 'it has no rows');
  return { source, count, columns, heldOut };
}

const rowSize = (c: Column): number => c.shape.slice(1).reduce((a, b) => a * b, 1);

/** The rows at those indices, copied. */
export function takeRows(c: Column, rows: ArrayLike<number>, into?: Float32Array | Int32Array): Column {
  const size = rowSize(c);
  const out =
    into ?? (c.data instanceof Int32Array ? new Int32Array(rows.length * size) : new Float32Array(rows.length * size));
  for (let i = 0; i < rows.length; i++) out.set(c.data.subarray(rows[i]! * size, (rows[i]! + 1) * size), i * size);
  return { name: c.name, shape: [rows.length, ...c.shape.slice(1)], data: out };
}

export function selectRows(d: DataSet, rows: ArrayLike<number>): DataSet {
  return { source: d.source, count: rows.length, columns: d.columns.map((c) => takeRows(c, rows)), heldOut: null };
}

/** Holds out that part of the rows, evenly spread and never the first: the same split on every machine and run. */
export function split(d: DataSet, fraction: number): { train: DataSet; heldOut: DataSet | null } {
  if (d.heldOut) return { train: d, heldOut: d.heldOut };
  const kept: number[] = [];
  const held: number[] = [];
  for (let i = 0; i < d.count; i++) (Math.floor((i + 1) * fraction) > Math.floor(i * fraction) ? held : kept).push(i);
  return held.length === 0 ? { train: d, heldOut: null } : { train: selectRows(d, kept), heldOut: selectRows(d, held) };
}
