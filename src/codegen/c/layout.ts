/** Where everything lies in the static memory of a C file: arenas, arguments and results, and one workspace for all programs. */
import type { Program, Segment } from '../../runtime/artifact.ts';
import { widthOf } from '../../runtime/elem.ts';
import { aligned, plan, type Plan } from '../../runtime/plan.ts';
import { evaluateSize, type Binding } from '../../runtime/sizes.ts';

export interface Layout {
  readonly bytes: number;
  /** Pointers as C expressions, by slot of a program, by buffer of a program, by elements into a segment. */
  address(p: Program, slot: number): string;
  bufferAddress(p: Program, buffer: number, offset: number): string;
  segmentAddress(segment: string, element: number): string;
  /** The number in a slot. */
  size(p: Program, slot: number): number;
}

/** A vector load that a kernel moved in front of a loop may look past the end. */
const SLACK = 64;

export function layOut(programs: readonly Program[], segments: readonly Segment[], dims: Binding): Layout {
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
    const planned = plan(p, dims);
    const own = new Map<number, number>();
    p.buffers.forEach((b, i) => {
      if (b.kind === 'segment') {
        if (!arenas.has(b.segment!)) {
          const s = known.get(b.segment!)!;
          arenas.set(s.name, take(s.length * widthOf(s.elem)));
        }
      } else if (b.kind !== 'temp') own.set(i, take(planned.sizes[i]!));
    });
    plans.set(p, { plan: planned, own });
  }
  const workspace = take(Math.max(0, ...[...plans.values()].map((x) => x.plan.workspace)));
  const place = (p: Program, buffer: number): number => {
    const b = p.buffers[buffer]!;
    const { plan: planned, own } = plans.get(p)!;
    if (b.kind === 'segment') return arenas.get(b.segment!)!;
    return b.kind === 'temp' ? workspace + planned.offsets[buffer]! : own.get(buffer)!;
  };
  const pointer = (at: number): string => `(void *)(memory.bytes + ${at})`;
  return {
    bytes: top + SLACK,
    address: (p, slot) => {
      const s = p.slots[slot]!;
      if (s.kind !== 'address') throw new Error(`slot ${slot} of ${p.name} holds no address`);
      return pointer(place(p, s.buffer) + evaluateSize(s.offset, dims));
    },
    bufferAddress: (p, buffer, offset) => pointer(place(p, buffer) + offset),
    segmentAddress: (segment, element) => {
      const at = arenas.get(segment);
      return at === undefined ? '0' : pointer(at + element * widthOf(known.get(segment)!.elem));
    },
    size: (p, slot) => {
      const s = p.slots[slot]!;
      if (s.kind !== 'size') throw new Error(`slot ${slot} of ${p.name} holds no size`);
      return evaluateSize(s.value, dims);
    },
  };
}
