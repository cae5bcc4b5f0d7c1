/**
 * Results of earlier calls that somebody may still hold. JavaScript tells late, and inside one turn of the event loop never,
 * that nobody does: a loop of calls whose results are not looked at would fill the GPU. So what has not been read or used for
 * long gives its memory up: when later results come to a sixteenth of what the device can hold, and are many.
 */
import type { GpuMemory, Region } from './memory.ts';
import type { GpuStorage } from './storage.ts';

const SHARE = 16;
/** So many are kept, whatever their size. */
const LEAST = 32;

interface Entry {
  readonly region: WeakRef<Region>;
  readonly bytes: number;
  readonly holders: readonly WeakRef<GpuStorage>[];
}

export class Backlog {
  private readonly memory: GpuMemory;
  /** By address; what was made or used last comes last. */
  private readonly entries = new Map<number, Entry>();
  private bytes = 0;

  constructor(memory: GpuMemory) {
    this.memory = memory;
  }

  /** Memory that a program no longer writes. */
  leave(region: Region, holders: readonly WeakRef<GpuStorage>[]): void {
    this.drop(region.at); // whoever lay there before is gone
    this.entries.set(region.at, { region: new WeakRef(region), bytes: region.bytes, holders });
    this.bytes += region.bytes;
    for (const [at, oldest] of this.entries) {
      if (this.bytes <= this.memory.limit / SHARE || this.entries.size <= LEAST) return;
      for (const h of oldest.holders) h.deref()?.giveUp();
      this.release(at, oldest);
    }
  }

  /** It is an argument of a call. */
  use(region: Region): void {
    const entry = this.entries.get(region.at);
    if (entry?.region.deref() !== region) return;
    this.entries.delete(region.at);
    this.entries.set(region.at, entry);
  }

  /** The host has read it: memory that nobody else wants is given back at once. */
  read(region: Region): void {
    const entry = this.entries.get(region.at);
    if (entry?.region.deref() !== region) return;
    if (entry.holders.every((h) => h.deref()?.retire() ?? true)) this.release(region.at, entry);
  }

  private release(at: number, { region }: Entry): void {
    this.drop(at);
    const own = region.deref();
    if (own) this.memory.release(own);
  }

  private drop(at: number): void {
    this.bytes -= this.entries.get(at)?.bytes ?? 0;
    this.entries.delete(at);
  }
}
