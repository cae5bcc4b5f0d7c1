/** The lines of source under a diagnostic's headline, with marks under the places it speaks of. */
import type { Lines } from './lines.ts';
import type { Span } from './span.ts';
import type { Style } from './style.ts';
import { cells, printable } from './width.ts';
import type { Cell } from './width.ts';

export interface Label {
  readonly span: Span;
  readonly message: string;
  readonly primary: boolean;
}

interface FrameOptions {
  /** Columns for line numbers. */
  readonly gutter: number;
  readonly width: number;
  readonly style: Style;
  readonly tint: (text: string) => string;
}

/** A label on its first line, in terminal columns. */
interface Mark {
  readonly label: Label;
  readonly line: number;
  readonly from: number;
  readonly to: number;
  /** The span goes on below this line. */
  readonly open: boolean;
}

/** Lines between two labels that are shown rather than skipped. */
const BRIDGE = 1;

export function renderFrame(lines: Lines, labels: readonly Label[], options: FrameOptions): string[] {
  const { gutter, style } = options;
  const marks = labels.map((label) => markOf(lines, label));
  const shown = [...new Set(marks.map((mark) => mark.line))].sort((a, b) => a - b);
  const bar = `${' '.repeat(gutter)} ${style.quiet('│')}`;
  const out = [bar];
  let previous: number | null = null;
  for (const line of shown) {
    if (previous !== null) {
      if (line - previous > BRIDGE + 1) out.push(`${' '.repeat(gutter)} ${style.quiet('·')}`);
      else for (let between = previous + 1; between < line; between++) out.push(sourceRow(lines, between, options));
    }
    out.push(...lineWithMarks(lines, line, marks, options));
    previous = line;
  }
  out.push(bar);
  return out;
}

function markOf(lines: Lines, label: Label): Mark {
  const start = lines.position(label.span.start);
  const row = cells(lines.line(start.line));
  const lineEnd = lines.startOf(start.line) + lines.line(start.line).length;
  const end = Math.min(label.span.end, lineEnd);
  const from = columnOf(row, start.column - 1);
  const to = columnOf(row, end - lines.startOf(start.line));
  return { label, line: start.line, from, to: Math.max(to, from + 1), open: label.span.end > lineEnd + 1 };
}

/** Terminal column of an offset in UTF-16 units. */
function columnOf(row: readonly Cell[], units: number): number {
  let column = 0;
  let seen = 0;
  for (const cell of row) {
    if (seen + cell.units > units) break;
    seen += cell.units;
    column += cell.width;
  }
  return column;
}

function lineWithMarks(lines: Lines, line: number, all: readonly Mark[], options: FrameOptions): string[] {
  const marks = all.filter((mark) => mark.line === line);
  const room = Math.max(30, options.width - options.gutter - 4);
  const skip = windowStart(lines, line, marks, room);
  const bar = `${' '.repeat(options.gutter)} ${options.style.quiet('│')}`;
  return [
    sourceRow(lines, line, options, skip),
    // The primary place reads first; the others follow from left to right.
    ...marks
      .toSorted((a, b) => Number(b.label.primary) - Number(a.label.primary) || a.from - b.from)
      .map((mark) => {
        const stop = Math.min(mark.to, skip + room);
        const sign = (mark.label.primary ? '^' : '-').repeat(Math.max(1, stop - mark.from));
        const text = `${sign}${mark.open ? '…' : ''}${mark.label.message === '' ? '' : ` ${printable(mark.label.message)}`}`;
        const tint = mark.label.primary ? options.tint : options.style.quiet;
        return `${bar} ${' '.repeat(Math.max(0, mark.from - skip))}${tint(text)}`;
      }),
  ];
}

/** The first terminal column to show of a line too long for the terminal. */
function windowStart(lines: Lines, line: number, marks: readonly Mark[], room: number): number {
  const total = cells(lines.line(line)).reduce((sum, cell) => sum + cell.width, 0);
  const first = Math.min(...marks.map((mark) => mark.from));
  const last = Math.max(...marks.map((mark) => mark.to));
  if (total <= room || last <= room) return 0;
  return Math.max(0, Math.min(first - 10, total - room));
}

function sourceRow(lines: Lines, line: number, options: FrameOptions, skip = 0): string {
  const room = Math.max(30, options.width - options.gutter - 4);
  let column = 0;
  let text = '';
  let cut = false;
  for (const cell of cells(lines.line(line))) {
    if (column >= skip && column + cell.width <= skip + room) text += cell.text;
    else if (column >= skip + room) cut = true;
    column += cell.width;
  }
  if (skip > 0) text = `…${text.slice(1)}`;
  if (cut) text = `${text.slice(0, -1)}…`;
  return `${options.style.quiet(`${line}`.padStart(options.gutter))} ${options.style.quiet('│')} ${text}`.trimEnd();
}
