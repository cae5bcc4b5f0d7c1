/**
 * Lets values share memory where that spares a copy: parts of a pack are written where they will lie, a segment is
 * updated in place, an elementwise result takes its dying operand's place. A wish is granted when no read of either side
 * could see the other side's bytes.
 */
import { add, dim, sub, type Dim } from '../../ir/dim.ts';
import type { Access, Buffer, Copy, FlatProgram, InPlace, Place, Region } from './flat.ts';

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

/** Nothing shared: where every buffer would lie without coalescing. */
export const apart = (flat: FlatProgram): ReadonlyMap<Buffer, Home> =>
  new Map(flat.buffers.map((b) => [b, { root: b, shift: dim(0) }]));

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
    for (const w of this.flat.wishes) this.merge(w.from, w.to);
    for (const p of this.flat.inPlace) this.merge(p.result, p.operand);
    return this.homes;
  }

  /** Moves the root of `from` so that `from` lies on `to`. */
  private merge(from: Place, to: Place): void {
    const source = this.homes.get(from.buffer)!;
    const target = this.homes.get(to.buffer)!;
    if (source.root === target.root || source.root.kind !== 'temp' || target.root.kind === 'input') return;
    const start = sub(add(target.shift, to.offset), add(source.shift, from.offset));
    const range = { offset: start, bytes: source.root.bytes };
    if (!contains({ offset: dim(0), bytes: target.root.bytes }, range)) return;
    const moved = this.members.get(source.root)!.map((m) => ({ buffer: m.buffer, shift: add(m.shift, start) }));
    const there = this.members.get(target.root)!;
    const a = locate(there, range);
    const b = locate(moved, range);
    const homes = new Map(moved.map((m) => [m.buffer, { root: target.root, shift: m.shift }]));
    /** Does the copy move nothing once these have merged? */
    const idle = ({ from: f, to: t }: Copy): boolean => {
      const [x, y] = [f, t].map((p) => homes.get(p.buffer) ?? this.homes.get(p.buffer));
      // What is prepared has no home in this program.
      if (!x || !y) return false;
      return x.root === y.root && add(x.shift, f.offset).key === add(y.shift, t.offset).key;
    };
    if (this.clobbers(a, b, idle) || this.clobbers(b, a, idle)) return;
    there.push(...moved);
    for (const [buffer, home] of homes) this.homes.set(buffer, home);
    this.members.delete(source.root);
  }

  /** Does a write of one side destroy what a later (or simultaneous) read of the other side needs? */
  private clobbers(writers: readonly Located[], readers: readonly Located[], idle: (c: Copy) => boolean): boolean {
    const writes = writers.filter((w) => w.write && !(w.copy && idle(w.copy)));
    return readers.some(
      (r) =>
        !r.write &&
        writes.some(
          (w) =>
            w.time <= r.time &&
            overlap(w, r) &&
            !renewed(w, r, readers) &&
            !(w.time === r.time && this.inPlace(w, r, readers)),
        ),
    );
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

/** Accesses that may touch the range. Arenas have thousands, and numbers tell most of them apart without any Dim. */
function locate(members: readonly Member[], range: Extent): Located[] {
  const [low, size] = [range.offset.value, range.bytes.value];
  const far = (offset: Dim, shift: Dim, bytes: Dim): boolean => {
    const [at, by, length] = [offset.value, shift.value, bytes.value];
    if (low === null || size === null || at === null || by === null || length === null) return false;
    return at + by + length <= low || low + size <= at + by;
  };
  const out: Located[] = [];
  for (const { buffer, shift } of members) {
    if (far(ZERO, shift, buffer.bytes)) continue;
    for (const a of buffer.accesses) {
      if (!far(a.offset, shift, a.bytes)) out.push({ ...a, own: a.offset, offset: add(a.offset, shift), buffer });
    }
  }
  return out;
}

const ZERO = dim(0);

/** Did a write of the reader's own side replace, after `w` and on every path, all that `r` sees of what `w` wrote? */
const renewed = (w: Located, r: Located, side: readonly Located[]): boolean =>
  side.some(
    (x) =>
      x.write &&
      w.time < x.time &&
      x.time < r.time &&
      (isIn(w.region, x.region) || isIn(r.region, x.region)) &&
      (contains(x, r) || contains(x, w)),
  );

function isIn(inner: Region, outer: Region): boolean {
  for (let at: Region | null = inner; at; at = at.parent) if (at === outer) return true;
  return false;
}

type Extent = Pick<Access, 'offset' | 'bytes'>;

const endOf = (e: Extent): Dim => add(e.offset, e.bytes);

/** Ranges that cannot be told apart count as overlapping. */
const overlap = (a: Extent, b: Extent): boolean =>
  !nonNegative(sub(b.offset, endOf(a))) && !nonNegative(sub(a.offset, endOf(b)));

const contains = (outer: Extent, inner: Extent): boolean =>
  nonNegative(sub(inner.offset, outer.offset)) && nonNegative(sub(endOf(outer), endOf(inner)));

/** For all sizes: symbols are never negative, whatever floor division and the like make of them may be. */
const nonNegative = (d: Dim): boolean => d.terms.every((t) => t.coef > 0 && t.atoms.every((a) => a.kind === 'sym'));
