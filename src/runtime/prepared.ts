/**
 * Which of what was made of parameters beforehand is out of date. Every way that a parameter changes goes through an executor: its
 * programs and the storages that it gives out. Both say so here, and a segment counts its changes; what is prepared knows which
 * segments it was made of, at which counts.
 */
import type { Prepared, Program } from './artifact.ts';
import { evaluateSize, type Binding } from './sizes.ts';

/** Segments that are read in the place of others. */
type Instead = ReadonlyMap<string, string> | undefined;

/** What was true when a program with certain sizes ran last. */
export interface Seen {
  readonly at: number;
  readonly instead: Instead;
}

export class Preparations {
  private readonly prepared: ReadonlyMap<string, Prepared>;
  private readonly versions = new Map<string, number>();
  /** By name: the segments that it was made of and their versions. */
  private readonly made = new Map<string, string>();
  /** Of segments, and of what is prepared. */
  private changes = 0;

  constructor(prepared: readonly Prepared[]) {
    this.prepared = new Map(prepared.map((p) => [p.name, p]));
  }

  has(segment: string): boolean {
    return this.prepared.has(segment);
  }

  /** Null where the segment is none of these. */
  bytesOf(segment: string): number | null {
    return this.prepared.get(segment)?.bytes ?? null;
  }

  /** A segment is about to be written. */
  changed(segment: string): void {
    this.versions.set(segment, (this.versions.get(segment) ?? 0) + 1);
    this.changes++;
  }

  /** Makes what a program needs and what is out of date; the common case, that nothing has changed, costs one comparison. */
  ensure(
    { prepared }: Program,
    binding: Binding,
    instead: Instead,
    last: Seen | null,
    make: (name: string) => void,
  ): Seen | null {
    if (!prepared || (last?.at === this.changes && last.instead === instead)) return last;
    for (const { name, rows } of prepared) {
      if (rows !== undefined && evaluateSize(rows, binding) <= 1) continue;
      const state = this.stateOf(name, instead);
      if (this.made.get(name) === state) continue;
      make(name);
      this.made.set(name, state);
      this.changes++;
    }
    return { at: this.changes, instead };
  }

  private stateOf(name: string, instead: Instead): string {
    const read = this.prepared.get(name)!.from.map((s) => instead?.get(s) ?? s);
    return read.map((s) => `${s}@${this.versions.get(s) ?? 0}`).join(' ');
  }
}
