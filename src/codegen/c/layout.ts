/** Where everything lies in the static memory of a C file: arenas, arguments and results, and one workspace for all programs of fixed sizes. */
import type { Program, Segment, SizeExpr } from '../../runtime/artifact.ts';
import { widthOf } from '../../runtime/elem.ts';
import { aligned, plan, type Plan } from '../../runtime/plan.ts';
import { evaluateSize } from '../../runtime/sizes.ts';
import { isFixed } from './settle.ts';

/** The sizes of a program, and the places of its buffers (and of bytes in them), as expressions of C. */
export interface Placing {
  /** `narrow`: a kernel takes it, in 32 bits. */
  number(size: SizeExpr, narrow?: boolean): string;
  address(buffer: number, offset: SizeExpr): string;
}

export interface Layout {
  readonly bytes: number;
  /** For a program of fixed sizes. */
  placing(p: Program): Placing;
  /** The place of an arena, as an expression of C; null where no program reads it. */
  arena(segment: string, bytes: string): string | null;
}

/** A vector load that a kernel moved in front of a loop may look past the end. */
export const SLACK = 64;

const FIXED = new Map<string, number>();

export function layOut(programs: readonly Program[], segments: readonly Segment[]): Layout {
  let top = 0;
  const take = (bytes: number): number => {
    const at = top;
    top += aligned(Math.max(bytes, 1));
    return at;
  };
  const known = new Map(segments.map((s) => [s.name, s]));
  const arenas = new Map<string, number>();
  const plans = new Map<Program, { readonly plan: Plan; readonly own: ReadonlyMap<number, number> }>();
  for (const p of programs) {
    const planned = isFixed(p) ? plan(p, FIXED) : null;
    const own = new Map<number, number>();
    p.buffers.forEach((b, i) => {
      if (b.kind === 'segment') {
        if (!arenas.has(b.segment!)) {
          const s = known.get(b.segment!)!;
          arenas.set(s.name, take(s.length * widthOf(s.elem)));
        }
      } else if (planned && b.kind !== 'temp') own.set(i, take(planned.sizes[i]!));
    });
    if (planned) plans.set(p, { plan: planned, own });
  }
  const workspace = take(Math.max(0, ...[...plans.values()].map((x) => x.plan.workspace)));
  const place = (p: Program, buffer: number): number => {
    const b = p.buffers[buffer]!;
    const { plan: planned, own } = plans.get(p)!;
    if (b.kind === 'segment') return arenas.get(b.segment!)!;
    return b.kind === 'temp' ? workspace + planned.offsets[buffer]! : own.get(buffer)!;
  };
  const number = (e: SizeExpr): number => evaluateSize(e, FIXED);
  return {
    bytes: top + SLACK,
    placing: (p) => ({
      number: (e) => String(number(e)),
      address: (buffer, offset) => pointer(String(place(p, buffer) + number(offset))),
    }),
    arena: (segment, bytes) => {
      const at = arenas.get(segment);
      return at === undefined ? null : pointer(bytes === '0' ? String(at) : `${at} + ${bytes}`);
    },
  };
}

const pointer = (at: string): string => `(void *)(memory.bytes + ${at})`;
