/**
 * Lets values share memory where that spares a copy: parts of a pack are written where they will lie, a segment is
 * updated in place, an elementwise result takes its dying operand's place. A wish is granted when no read of either side
 * could see the other side's bytes.
 */
import { add, compare, dim, sub, type Dim } from '../../ir/dim.ts';
import type { Access, Buffer, FlatProgram, InPlace, Place } from './flat.ts';

/** Where each buffer came to lie: inside `root`, `shift` bytes from its start. */
export interface Home {
  readonly root: Buffer;
  readonly shift: Dim;
}

interface Member {
  readonly buffer: Buffer;
  readonly shift: Dim;
}

/** An access in the coordinates of its root. */
interface Located extends Access {
  readonly buffer: Buffer;
  readonly own: Dim;
}

export function coalesce(flat: FlatProgram): ReadonlyMap<Buffer, Home> {
  return new Coalescer(flat).run();
}

class Coalescer {
  private readonly flat: FlatProgram;
  private readonly homes = new Map<Buffer, Home>();
  private readonly members = new Map<Buffer, Member[]>();
  private readonly pairs = new Map<number, InPlace[]>();

  constructor(flat: FlatProgram) {
    this.flat = flat;
    for (const b of flat.buffers) {
      this.homes.set(b, { root: b, shift: dim(0) });
      this.members.set(b, [{ buffer: b, shift: dim(0) }]);
    }
    for (const p of flat.inPlace) this.pairs.set(p.time, [...(this.pairs.get(p.time) ?? []), p]);
  }

  run(): ReadonlyMap<Buffer, Home> {
    for (const w of this.flat.wishes) this.merge(w.from, w.to, true);
    for (const p of this.flat.inPlace) this.merge(p.result, p.operand, false);
    return this.homes;
  }

  /** Moves the root of `from` so that `from` lies on `to`. `copied`: the program copies from there to here anyway. */
  private merge(from: Place, to: Place, copied: boolean): void {
    const source = this.homes.get(from.buffer)!;
    const target = this.homes.get(to.buffer)!;
    if (source.root === target.root || source.root.kind !== 'temp' || target.root.kind === 'input') return;
    const start = sub(add(target.shift, to.offset), add(source.shift, from.offset));
    if (!within(start, source.root.bytes, target.root.bytes)) return;
    const moved = this.members.get(source.root)!.map((m) => ({ buffer: m.buffer, shift: add(m.shift, start) }));
    const there = this.members.get(target.root)!;
    const identity = copied ? { from, to } : null;
    const a = locate(there);
    const b = locate(moved);
    if (this.clobbers(a, b, identity) || this.clobbers(b, a, identity)) return;
    there.push(...moved);
    for (const m of moved) this.homes.set(m.buffer, { root: target.root, shift: m.shift });
    this.members.delete(source.root);
  }

  /** Does a write of one side destroy what a later (or simultaneous) read of the other side needs? */
  private clobbers(
    writers: readonly Located[],
    readers: readonly Located[],
    copy: { from: Place; to: Place } | null,
  ): boolean {
    const writes = writers.filter((w) => w.write);
    for (const r of readers) {
      if (r.write) continue;
      let since: number | null = null;
      for (const w of writes) {
        if (w.time > r.time || !overlap(w, r)) continue;
        since ??= established(r, readers);
        if (w.time < since) continue;
        if (copy && isCopy(w, copy) && w.time >= since) {
          // The copy writes the bytes that are there already; it is how the two contents become one.
          continue;
        }
        if (w.time === r.time && this.inPlace(w, r, readers)) continue;
        return true;
      }
    }
    return false;
  }

  private inPlace(w: Located, r: Located, readers: readonly Located[]): boolean {
    const declared = this.pairs
      .get(w.time)
      ?.some(
        (p) =>
          p.result.buffer === w.buffer &&
          p.operand.buffer === r.buffer &&
          p.result.offset.key === w.own.key &&
          p.operand.offset.key === r.own.key &&
          p.result.bytes.key === p.operand.bytes.key &&
          w.offset.key === r.offset.key,
      );
    // A second read of the same bytes by the same kernel may go in another order.
    return declared === true && readers.filter((x) => !x.write && x.time === r.time && overlap(x, r)).length === 1;
  }
}

const locate = (members: readonly Member[]): Located[] =>
  members.flatMap((m) =>
    m.buffer.accesses.map((a) => ({ ...a, own: a.offset, offset: add(a.offset, m.shift), buffer: m.buffer })),
  );

/** When the bytes that a read sees were written: -1 where they were there before the program. */
function established(r: Located, side: readonly Located[]): number {
  let at = -1;
  for (const w of side) if (w.write && w.time < r.time && w.time > at && overlap(w, r)) at = w.time;
  return at;
}

const isCopy = (w: Located, copy: { from: Place; to: Place }): boolean =>
  w.buffer === copy.to.buffer && w.own.key === copy.to.offset.key && w.bytes.key === copy.to.bytes.key;

/** Ranges that cannot be told apart count as overlapping. */
function overlap(a: Access, b: Access): boolean {
  return !endsBefore(a, b) && !endsBefore(b, a);
}

function endsBefore(a: Access, b: Access): boolean {
  const gap = sub(b.offset, add(a.offset, a.bytes));
  return gap.value !== null ? gap.value >= 0 : gap.terms.every((t) => t.coef > 0);
}

/** Does [start, start + bytes) lie in [0, room) for all sizes? */
function within(start: Dim, bytes: Dim, room: Dim): boolean {
  if (start.value === null || start.value < 0)
    return start.value === null && nonNegative(start) && nonNegative(sub(room, add(start, bytes)));
  const slack = sub(room, add(start, bytes));
  return compare(slack, 0) === 'equal' || nonNegative(slack);
}

const nonNegative = (d: Dim): boolean => d.terms.every((t) => t.coef > 0);
