/** How the loops and branches of a program run on a target: what is one loop on a processor may be many dispatches on a GPU. */
import type { TargetName } from '../../compile.ts';
import type { Artifact, Program, Step } from '../../runtime/artifact.ts';
import { WHILE_LIMIT } from '../../runtime/loops.ts';
import { evaluateSize, isBound, sizeText, type Binding } from '../../runtime/sizes.ts';
import { MAX_CHUNK } from '../../runtime/webgpu/constants.ts';

export interface ControlRow {
  /** `file:line` of the network, with the layer. A loop that has a gradient stands there twice: forwards and backwards. */
  readonly origin: string;
  readonly kind: 'for' | 'while' | 'if';
  readonly how: string;
  /** Within how many others. */
  readonly depth: number;
}

/** The programs of a target. */
export function programsOn(artifact: Artifact, target: TargetName): readonly Program[] {
  return (target === 'wasm' ? artifact : artifact[target])?.programs ?? [];
}

export function controlRows(program: Program, target: TargetName, sizes: Binding): ControlRow[] {
  const rows: ControlRow[] = [];
  const onGpu = target === 'webgpu';
  const visit = (steps: readonly Step[], depth: number): void => {
    for (const s of steps) {
      if (s.kind === 'kernel' || s.kind === 'copy') continue;
      const row = (how: string): void => {
        rows.push({ origin: program.regions[s.region]!, kind: s.kind, how, depth });
      };
      if (s.kind === 'for') {
        const slot = program.slots[s.count]!;
        const size = slot.kind === 'size' ? slot.value : 0;
        const times = isBound(size, sizes) ? `${evaluateSize(size, sizes)}` : sizeText(size);
        row(onGpu ? `unrolled: ${times} times the dispatches of its body` : `loop: ${times} rounds`);
        visit(s.body, depth + 1);
      } else if (s.kind === 'while') {
        const limit = `${WHILE_LIMIT} rounds at most`;
        if (!onGpu) row(`loop: ${limit}`);
        else if (hasWhile(s.body) || hasWhile(s.cond))
          row(`one round at a time, one word read back after each; ${limit}`);
        else row(`chunked: up to ${MAX_CHUNK} rounds at once, predicated, one word read back after them; ${limit}`);
        visit(s.cond, depth + 1);
        visit(s.body, depth + 1);
      } else {
        row(onGpu ? 'predicated: both branches are dispatched, one of them with empty grids' : 'branch');
        visit(s.then, depth + 1);
        visit(s.else, depth + 1);
      }
    }
  };
  visit(program.steps, 0);
  return rows;
}

const hasWhile = (steps: readonly Step[]): boolean =>
  steps.some((s) => {
    if (s.kind === 'for') return hasWhile(s.body);
    return s.kind === 'while' || (s.kind === 'if' && (hasWhile(s.then) || hasWhile(s.else)));
  });

/** A line for each, loops in loops further in; '' where there are none. */
export function renderControl(title: string, rows: readonly ControlRow[]): string {
  if (rows.length === 0) return '';
  const left = rows.map((r) => `${'  '.repeat(r.depth + 1)}${r.origin}`);
  const width = Math.max(...left.map((l) => l.length));
  const lines = rows.map((r, i) => `${left[i]!.padEnd(width)}  ${r.kind.padEnd(5)}  ${r.how}\n`);
  return `${title}\n${lines.join('')}`;
}
