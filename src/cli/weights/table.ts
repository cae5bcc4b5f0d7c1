/** Tables of named tensors: names give up their middle where a terminal is too narrow, and are whole elsewhere. */
import Table from 'cli-table3';

/** However narrow a terminal is, so much of a name is shown. */
const LEAST = 16;

/** The first column holds the names. `columns` is the width of the terminal; null where the output is no terminal. */
export function nameTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns: number | null = process.stdout.isTTY ? process.stdout.columns : null,
): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)));
  // A border and two blanks for each column, and the last border.
  const rest = widths.slice(1).reduce((n, w) => n + w + 3, 4);
  const room = columns === null ? Infinity : Math.max(LEAST, columns - rest);
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const [name, ...cells] of rows) table.push([shortened(name!, room), ...cells]);
  return table.toString();
}

function shortened(name: string, room: number): string {
  if (name.length <= room) return name;
  const end = Math.ceil((room - 1) / 2);
  return `${name.slice(0, room - 1 - end)}…${name.slice(-end)}`;
}

/** Five digits are enough to see. */
export const shortNumber = (v: number): string => String(Number(v.toPrecision(5)));
