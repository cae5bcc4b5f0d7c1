/** Which parts of one memory are taken: a first-fit allocator that knows addresses only, for any device. */
import { aligned } from './plan.ts';

const MIN = 64;
export const regionBytes = (bytes: number): number => Math.max(aligned(bytes), MIN);

export class Regions {
  private readonly start: number;
  /** Called before addresses up to `end` are given away for the first time; it may throw. */
  private readonly reach: (end: number, wanted: number) => void;
  /** Free blocks by address: [start, end). */
  private free: [number, number][] = [];
  private top: number;

  constructor(start: number, reach: (end: number, wanted: number) => void) {
    this.start = start;
    this.reach = reach;
    this.top = start;
  }

  /** Bytes that are taken now. */
  get used(): number {
    return this.top - this.start - this.free.reduce((n, [a, b]) => n + b - a, 0);
  }

  /** Address of so many bytes. */
  take(bytes: number): number {
    const size = regionBytes(bytes);
    const hole = this.free.findIndex(([a, b]) => b - a >= size);
    if (hole < 0) {
      const at = this.top;
      this.reach(at + size, size);
      this.top = at + size;
      return at;
    }
    const block = this.free[hole]!;
    const at = block[0];
    block[0] += size;
    if (block[0] === block[1]) this.free.splice(hole, 1);
    return at;
  }

  /** Gives back what `take` gave for so many bytes. */
  release(at: number, bytes: number): void {
    let i = this.free.findIndex(([a]) => a > at);
    if (i < 0) i = this.free.length;
    this.free.splice(i, 0, [at, at + regionBytes(bytes)]);
    for (const j of [i, i - 1]) {
      const left = this.free[j];
      const right = this.free[j + 1];
      if (left && right && left[1] === right[0]) this.free.splice(j, 2, [left[0], right[1]]);
    }
    const last = this.free.at(-1);
    if (last && last[1] === this.top) {
      this.top = last[0];
      this.free.pop();
    }
  }
}
