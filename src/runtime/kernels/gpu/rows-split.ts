/** How a GPU shares out rows: rows that a workgroup takes side by side, and workgroups that share a row. */
import type { RowPlan } from '../../../codegen/rows.ts';
import { product } from '../../../ir/dim.ts';
import { GROUP } from './grid.ts';
import { guess } from './guess.ts';

export interface Sharing {
  /** Rows side by side in a workgroup, a power of two; each is shared by GROUP / columns invocations. */
  readonly columns: number;
  /** Workgroups that share a row. */
  readonly parts: number;
}

/** Rows up to this length are one invocation's work. */
const SHORT = 32;
/** Columns (the innermost axis is kept) up to this length, too: neighbours read neighbours anyhow. */
const SHORT_COLUMN = 64;
/** From this many elements in a row, several workgroups may take it; each at least so many. */
const LONG = 1 << 14;
const PART = 1 << 12;
/** Where there are more workgroups than this, the device is busy enough. */
const FEW = 64;
const MOST_PARTS = 64;

export function shareOut({ shape, axes, keptAxes }: RowPlan): Sharing {
  const reduced = axes.map((i) => shape[i]!);
  const rows = product(keptAxes.map((i) => shape[i]!)).value;
  const length = product(reduced).value;
  const inner = shape.findLastIndex((d) => d.value !== 1);
  const down = inner >= 0 && !axes.includes(inner);
  const short = length !== null && length <= (down ? SHORT_COLUMN : SHORT);
  const columns = short ? GROUP : down ? 32 : 1;
  if (short || rows === null) return { columns, parts: 1 };
  const groups = Math.ceil(rows / columns);
  const long = guess(product(reduced));
  if (groups > FEW || long < LONG) return { columns, parts: 1 };
  return { columns, parts: Math.min(MOST_PARTS, 2 ** Math.floor(Math.log2(long / PART))) };
}
