/** Tables of numbers as CSV: features in all columns but the target, which is the last one unless it is named. */
import { parse } from 'csv-parse/sync';
import { DataError, type Column } from './dataset.ts';

/** Gives columns `x` [rows, features] and `y` [rows]: integers where every target is one, else floats. */
export function readCsv(text: string, source: string, target: string | null): Column[] {
  let rows: string[][];
  try {
    rows = parse(text, { skip_empty_lines: true, trim: true, bom: true });
  } catch (e) {
    throw new DataError(source, e instanceof Error ? e.message : 'the table cannot be read');
  }
  const numeric = (s: string): boolean => s !== '' && Number.isFinite(Number(s));
  const header = rows[0] && !rows[0].every(numeric) ? rows.shift()! : null;
  const width = rows[0]?.length ?? 0;
  if (width < 2 || rows.length === 0)
    throw new DataError(source, 'the table needs at least one row with two columns of numbers');
  let at = width - 1;
  if (target !== null) {
    at = header ? header.indexOf(target) : Number(target);
    if (!Number.isInteger(at) || at < 0 || at >= width) {
      throw new DataError(
        source,
        `there is no column ${target}`,
        header
          ? `its columns are ${header.join(', ')}`
          : 'the table has no header: give the number of the column, from 0',
      );
    }
  }
  const x = new Float32Array(rows.length * (width - 1));
  const y = new Float64Array(rows.length);
  rows.forEach((row, r) => {
    row.forEach((cell, c) => {
      if (!numeric(cell)) {
        throw new DataError(
          source,
          `row ${r + 1 + (header ? 1 : 0)}, column ${header?.[c] ?? c + 1}: "${cell.slice(0, 40)}" is not a number`,
        );
      }
      if (c === at) y[r] = Number(cell);
      else x[r * (width - 1) + (c < at ? c : c - 1)] = Number(cell);
    });
  });
  const whole = y.every((v) => Number.isInteger(v) && Math.abs(v) < 2 ** 31);
  return [
    { name: 'x', shape: [rows.length, width - 1], data: x },
    { name: 'y', shape: [rows.length], data: whole ? Int32Array.from(y) : Float32Array.from(y) },
  ];
}
