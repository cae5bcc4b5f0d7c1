/** What a program holds when it needs most memory: the tensors that are alive then, largest first, by the line that makes them. */
import type { BufferEntry, Program, Step } from '../../runtime/artifact.ts';
import { aligned, plan } from '../../runtime/plan.ts';
import type { Binding } from '../../runtime/sizes.ts';
import { bytesText } from './table.ts';

export interface PeakRow {
  /** `file:line` of the network with the layer. */
  readonly origin: string;
  readonly kernel: string;
  /** Of how many tensors. */
  readonly tensors: number;
  readonly bytes: number;
}

export interface Peak {
  readonly bytes: number;
  readonly rows: readonly PeakRow[];
}

/** `kernels` are names by number. Null where a size is not given. */
export function peakOf(program: Program, kernels: readonly string[], sizes: Binding): Peak | null {
  if (!program.symbols.every((s) => sizes.has(s))) return null;
  const planned = plan(program, sizes);
  const bytesAt = (b: BufferEntry, i: number, time: number): number => {
    const parts = b.parts ?? [{ bytes: aligned(planned.sizes[i]!), live: b.live }];
    return parts.reduce((sum, p) => sum + (p.live[0] <= time && time <= p.live[1] ? p.bytes : 0), 0);
  };
  const own = program.buffers.flatMap((b, i) => (b.kind === 'temp' ? [{ b, i }] : []));
  const held = (time: number): number => own.reduce((sum, { b, i }) => sum + bytesAt(b, i, time), 0);
  // Memory only grows where something begins to live.
  const times = [...new Set(own.flatMap(({ b }) => (b.parts ?? [b]).map((p) => p.live[0])))];
  const [most, when] = times.reduce<[number, number]>((best, t) => (held(t) > best[0] ? [held(t), t] : best), [0, 0]);

  const makers = makersOf(program);
  const rows = new Map<string, PeakRow>();
  for (const { b, i } of own) {
    const bytes = bytesAt(b, i, when);
    const maker = makers.get(i);
    if (bytes === 0 || !maker) continue;
    const [origin, kernel] = b.parts ? ['', 'gradients'] : [maker.origin, kernels[maker.kernel]!];
    const old = rows.get(`${origin} ${kernel}`);
    const sum = { tensors: (old?.tensors ?? 0) + 1, bytes: (old?.bytes ?? 0) + bytes };
    rows.set(`${origin} ${kernel}`, { origin, kernel, ...sum });
  }
  return { bytes: most, rows: [...rows.values()].sort((a, b) => b.bytes - a.bytes) };
}

/** The first kernel that touches each buffer. */
function makersOf(program: Program): ReadonlyMap<number, { readonly origin: string; readonly kernel: number }> {
  const found = new Map<number, { origin: string; kernel: number }>();
  const visit = (steps: readonly Step[]): void => {
    for (const s of steps) {
      if (s.kind === 'for') visit(s.body);
      else if (s.kind === 'while') visit([...s.cond, ...s.body]);
      else if (s.kind === 'if') visit([...s.then, ...s.else]);
      if (s.kind !== 'kernel') continue;
      for (const n of s.slots) {
        const slot = program.slots[n]!;
        if (slot.kind === 'address' && !found.has(slot.buffer))
          found.set(slot.buffer, { origin: s.info?.origin ?? '', kernel: s.kernel });
      }
    }
  };
  visit(program.steps);
  return found;
}

/** The rest is in one line. */
const SHOWN = 12;

export function renderPeak(title: string, { bytes, rows }: Peak): string {
  const shown = rows.slice(0, SHOWN);
  const rest = rows.slice(SHOWN).reduce((sum, r) => sum + r.bytes, 0);
  const size = (r: PeakRow): string => bytesText(r.bytes).padStart(10);
  const lines = shown.map((r) => {
    const tensors = r.tensors === 1 ? '' : ` in ${r.tensors}`;
    return `${size(r)}${tensors.padEnd(7)} ${`${r.origin} ${r.kernel}`.trim()}\n`;
  });
  if (rest > 0) lines.push(`${bytesText(rest).padStart(10)}        others\n`);
  return `${title}: ${bytesText(bytes)}\n${lines.join('')}`;
}
