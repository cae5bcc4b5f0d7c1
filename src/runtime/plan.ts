/**
 * Places a program's own buffers in one block of memory for one binding of its sizes. Deterministic: larger buffers first,
 * each at the lowest offset that is free during its whole life (greedy by size, as in Pisarchyk & Lee 2020).
 */
import type { Artifact, BufferEntry, Program, SizeExpr } from './artifact.ts';
import { ShapeError } from './errors.ts';
import { evaluateSize, isBound, sizeText, type Binding } from './sizes.ts';

/** Bytes; a cache line, and enough for every vector width. */
export const ALIGN = 64;
export const aligned = (n: number): number => Math.ceil(n / ALIGN) * ALIGN;

export interface Plan {
  /** Offset in the workspace of each `temp` buffer, by number; -1 for the others. */
  readonly offsets: readonly number[];
  /** Size in bytes of every buffer. */
  readonly sizes: readonly number[];
  readonly workspace: number;
}

/** Bytes that are taken for a time. */
interface Range {
  readonly start: number;
  readonly end: number;
  readonly live: readonly [number, number];
}

export function plan(program: Program, binding: Binding): Plan {
  const sizes = program.buffers.map((b) => evaluateSize(b.bytes, binding));
  const offsets = new Array<number>(sizes.length).fill(-1);
  const order = program.buffers.flatMap((b, i) => (b.kind === 'temp' ? [i] : []));
  order.sort((a, b) => sizes[b]! - sizes[a]! || a - b);
  const placed: Range[] = []; // by start
  let workspace = 0;
  for (const i of order) {
    const size = aligned(sizes[i]!);
    const ranges = rangesOf(program.buffers[i]!, size);
    const at = lowest(ranges, placed);
    offsets[i] = at;
    for (const r of ranges) insert(placed, { start: at + r.start, end: at + r.end, live: r.live });
    workspace = Math.max(workspace, at + size);
  }
  return { offsets, sizes, workspace };
}

const rangesOf = (b: BufferEntry, size: number): readonly Range[] =>
  b.parts?.map((p) => ({ start: p.offset, end: p.offset + p.bytes, live: p.live })) ?? [
    { start: 0, end: size, live: b.live },
  ];

/** The first place where none of the ranges meets one that is taken at a time of its own. */
function lowest(ranges: readonly Range[], placed: readonly Range[]): number {
  let at = 0;
  for (let moved = true; moved;) {
    moved = false;
    for (const r of ranges)
      for (const p of placed) {
        if (p.start >= at + r.end) break;
        if (p.end <= at + r.start || p.live[1] < r.live[0] || r.live[1] < p.live[0]) continue;
        at = aligned(p.end - r.start);
        moved = ranges.length > 1;
      }
  }
  return at;
}

function insert(placed: Range[], r: Range): void {
  const where = placed.findIndex((p) => p.start > r.start);
  placed.splice(where < 0 ? placed.length : where, 0, r);
}

/** Bytes of the working memory for those sizes; null where a size is not given. */
export function plannedBytes(program: Program, binding: Binding): number | null {
  return program.symbols.every((s) => binding.has(s)) ? plan(program, binding).workspace : null;
}

/** Bytes of the prepared segments that a program reads; those that it may read, where a size is not given. */
export function keptBytes({ programs, prepared }: Artifact, program: string, binding: Binding): number {
  const uses = programs.find((p) => p.name === program)?.prepared ?? [];
  const read = uses.filter(({ rows = 2 }) => !isBound(rows, binding) || evaluateSize(rows, binding) > 1);
  return read.reduce((n, { name }) => n + prepared.find((p) => p.name === name)!.bytes, 0);
}

/** Throws ShapeError for sizes that the compiler left to be compared when they are known. */
/** `D = 5 must be 4`. */
function demand(c: Program['checks'][number], left: number, right: number): string {
  const side = (e: SizeExpr, v: number): string => (typeof e === 'number' ? String(v) : `${sizeText(e)} = ${v}`);
  const [l, r] = [side(c.left, left), side(c.right, right)];
  if (c.kind === 'atLeast')
    return typeof c.left === 'number' ? `${r} must be at most ${l}` : `${l} must be at least ${r}`;
  return typeof c.left === 'number' ? `${r} must be ${l}` : `${l} must be ${r}`;
}

export function checkSizes(block: string, program: Program, binding: Binding): void {
  for (const c of program.checks) {
    const left = evaluateSize(c.left, binding);
    const right = evaluateSize(c.right, binding);
    if (c.kind === 'equal' ? left === right : left >= right) continue;
    const at = c.origin === '' ? '' : `${c.origin}: `;
    const sizes = [...binding].map(([k, v]) => `${k} = ${v}`).join(', ');
    // First what the caller wrote: the line, and the sizes by their names there.
    throw new ShapeError(`${at}${block}.${program.name}: ${demand(c, left, right)}; ${c.message} (with ${sizes})`);
  }
}
