/**
 * When the memory of each buffer holds something. Ranges of one buffer may come to life one after the other, as the parts of an
 * arena of gradients do: until a range is first touched and after it was last, other buffers may lie there.
 */
import { add, dim, min, mul, type Dim } from '../../ir/dim.ts';
import type { BufferPart } from '../../runtime/artifact.ts';
import type { Home } from './coalesce.ts';
import type { Access, Buffer, Region } from './flat.ts';

export interface Lifetime {
  /** First and last time of any access. */
  readonly live: readonly [number, number];
  /** 0 where it serves the body of a loop alone and a run has no turn of it, else 1. */
  readonly wanted: Dim;
  /** Ranges side by side that differ in that; null where there is one, or where only a run knows where they are. */
  readonly parts: readonly BufferPart[] | null;
}

/** Of every root, from the accesses of all buffers that lie in it. */
export function lifetimes(
  buffers: readonly Buffer[],
  homes: ReadonlyMap<Buffer, Home>,
  end: number,
): ReadonlyMap<Buffer, Lifetime> {
  const accesses = new Map<Buffer, Access[]>();
  for (const b of buffers) {
    const { root, shift } = homes.get(b)!;
    const list = accesses.get(root) ?? [];
    if (list.length === 0) accesses.set(root, list);
    for (const a of b.accesses) list.push({ ...a, offset: add(shift, a.offset) });
  }
  return new Map(
    [...accesses].map(([root, list]) => {
      const live = [end, 0] as [number, number];
      for (const a of list) stretch(live, a.time);
      if (root.kind !== 'temp') return [root, { live, wanted: dim(1), parts: null }];
      const wanted = wantedBy(list);
      return [root, { live, wanted, parts: wanted.value === 1 ? partsOf(root, list) : null }];
    }),
  );
}

/** 1, or 0 where a loop that all accesses stand in has no turn, whose count only a run knows. */
function wantedBy(accesses: readonly Access[]): Dim {
  const around = (region: Region | null): Region[] => (region ? [region, ...around(region.parent)] : []);
  let loops = around(accesses[0]?.region ?? null).filter(({ count }) => count && count.value === null);
  for (const { region } of accesses) {
    if (loops.length === 0) break;
    const own = around(region);
    loops = loops.filter((r) => own.includes(r));
  }
  return loops.reduce((n, { count }) => mul(n, min(1, count!)), dim(1));
}

function partsOf(root: Buffer, accesses: readonly Access[]): readonly BufferPart[] | null {
  const size = root.bytes.value;
  if (size === null || accesses.every((a) => a.bytes.key === root.bytes.key)) return null;
  const ranges: [number, number, number][] = [];
  for (const { offset, bytes, time } of accesses) {
    if (offset.value === null || bytes.value === null) return null;
    ranges.push([offset.value, offset.value + bytes.value, time]);
  }
  const cuts = [...new Set([0, size, ...ranges.flatMap(([from, to]) => [from, to])])].sort((a, b) => a - b);
  const index = new Map(cuts.map((c, i) => [c, i]));
  const lives = new Array<[number, number] | null>(cuts.length - 1).fill(null);
  for (const [from, to, time] of ranges)
    for (let i = index.get(from)!; i < index.get(to)!; i++) stretch((lives[i] ??= [time, time]), time);
  const parts: { offset: number; bytes: number; live: readonly [number, number] }[] = [];
  lives.forEach((live, i) => {
    if (!live) return;
    const [offset, bytes] = [cuts[i]!, cuts[i + 1]! - cuts[i]!];
    const last = parts.at(-1);
    if (last && last.offset + last.bytes === offset && last.live.join() === live.join()) last.bytes += bytes;
    else parts.push({ offset, bytes, live });
  });
  return parts.length > 1 ? parts : null;
}

function stretch(live: [number, number], time: number): void {
  live[0] = Math.min(live[0], time);
  live[1] = Math.max(live[1], time);
}
