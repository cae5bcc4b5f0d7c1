/**
 * Turns a program's steps, for one binding of its sizes, into dispatches whose arguments lie ready in one arena. Loops with
 * a known count are unrolled. Regions under a condition are dispatched indirectly, by grids that a predicate fills or empties.
 * Only a `while` needs the host: it stays a part of its own.
 */
import type { Program, Step, StepInfo, WebGpuCode, WebGpuKernel } from '../artifact.ts';
import { workOf, type Work } from '../profile.ts';
import { evaluateSize, type Binding } from '../sizes.ts';
import { ALWAYS, COPY, COPY_WORDS, PREDICATE, SET } from './builtins.ts';
import { ARGUMENT_BYTES } from './constants.ts';

export interface Dispatch {
  readonly kernel: WebGpuKernel;
  readonly work: Work;
  /** Byte offset of its arguments in the arena. */
  readonly args: number;
  readonly groups: readonly [number, number, number];
  /** Where its grid lies among those that a predicate writes: a count of grids; null where nothing can switch it off. */
  slot: number | null;
}

export type Part =
  | { readonly kind: 'dispatches'; readonly list: readonly Dispatch[] }
  | {
      readonly kind: 'while';
      readonly cond: readonly Part[];
      /** Decides about the first iteration, and about the others: those go on only where the one before has run. */
      readonly first: Dispatch;
      readonly next: Dispatch;
      readonly body: readonly Part[];
      /** Place (words) of the decision. */
      readonly decision: number;
      /** Its place in the program's `regions`. */
      readonly region: number;
    };

/** A word of the arena that holds the place of a buffer, which may move between runs. */
export interface Patch {
  readonly word: number;
  readonly buffer: number;
  /** Bytes. */
  readonly offset: number;
  readonly unit: 4 | 2;
}

export interface Schedule {
  readonly parts: readonly Part[];
  /** Contents of the arena, but for the patches. */
  readonly words: Uint32Array<ArrayBuffer>;
  readonly patches: readonly Patch[];
  /** The grids of dispatches that can be switched off, three words each. */
  readonly grids: readonly number[];
  readonly dispatches: number;
}

export interface ScheduleInput {
  readonly program: Program;
  readonly kernels: readonly WebGpuKernel[];
  readonly binding: Binding;
  /** Of arguments in the arena. */
  readonly alignment: number;
  /** Gives the place, in words, of a new word for a decision. */
  readonly decision: () => number;
  /** Copies after the last step: results that lie in memory that is not the program's own. */
  readonly copies: readonly { readonly from: Reference; readonly to: Reference; readonly bytes: number }[];
}

export interface Reference {
  readonly buffer: number;
  readonly offset: number;
}

type Argument = number | (Reference & { readonly unit: 4 | 2 });

/** How many dispatches a program is on a GPU for those sizes; null where it has none, or a size is not given. */
export function dispatchCount(code: WebGpuCode | null, name: string, binding: Binding): number | null {
  const program = code?.programs.find((p) => p.name === name);
  if (!code || !program?.symbols.every((s) => binding.has(s))) return null;
  return schedule({ program, kernels: code.kernels, binding, alignment: 256, decision: () => 0, copies: [] })
    .dispatches;
}

export function schedule(input: ScheduleInput): Schedule {
  return new Scheduler(input).build();
}

/** Where steps are being put: the region's decision, and the slots of its dispatches. */
interface Context {
  readonly outer: number;
  readonly slots: Dispatch[] | null;
}

class Scheduler {
  private readonly input: ScheduleInput;
  private readonly words: number[] = [];
  private readonly patches: Patch[] = [];
  private readonly grids: number[] = [];
  private readonly blocks = new Map<string, number>();
  private count = 0;
  /** One per region of the program, however often a loop repeats it. */
  private readonly decisions = new Map<readonly Step[], number>();
  private pattern = 0;
  private readonly patternWords: number[] = [];

  constructor(input: ScheduleInput) {
    this.input = input;
  }

  build(): Schedule {
    const parts = this.steps(this.input.program.steps, { outer: ALWAYS, slots: null });
    const out = new Parts(parts);
    for (const c of this.input.copies) out.add(this.copy({ ...c.from, unit: 4 }, { ...c.to, unit: 4 }, c.bytes, null));
    // Patterns stand behind the grids; only now is it known where that is.
    this.pattern = this.grids.length;
    for (const w of this.patternWords) this.words[w] = this.pattern;
    // A binding shows so many bytes from each block on.
    this.words.length = Math.max(this.words.length, 1) + ARGUMENT_BYTES / 4;
    return {
      parts: out.parts,
      words: Uint32Array.from(this.words, (w) => w ?? 0),
      patches: this.patches,
      grids: this.grids,
      dispatches: this.count,
    };
  }

  private steps(steps: readonly Step[], context: Context): Part[] {
    const out = new Parts([]);
    for (const s of steps) this.step(s, context, out);
    return out.parts;
  }

  private step(s: Step, context: Context, out: Parts): void {
    switch (s.kind) {
      case 'kernel':
        return out.add(this.kernel(s, context));
      case 'copy':
        return out.add(this.copy(this.place(s.from), this.place(s.to), this.value(s.bytes), context));
      case 'for': {
        const times = this.value(s.count);
        for (let i = 0; i < times; i++) {
          if (s.counter !== null) out.add(this.dispatch(SET, [this.place(s.counter), i], [1, 1, 1], context));
          out.append(this.steps(s.body, context));
        }
        return;
      }
      case 'if': {
        // Both decisions come first: a branch may write over the flag.
        const flag = this.place(s.flag);
        const branches = (
          [
            [s.then, 1],
            [s.else, 0],
          ] as const
        ).filter(([steps]) => steps.length > 0);
        const made = branches.map(([steps, wanted]) => this.region(steps, flag, wanted, context.outer));
        for (const r of made) out.add(r.predicate);
        for (const r of made) out.append(r.parts);
        return;
      }
      case 'while': {
        const cond = this.steps(s.cond, context);
        const own = this.decisionOf(s.body);
        const flag = this.place(s.flag);
        const { slots, parts } = this.guarded(s.body, own);
        out.append([
          {
            kind: 'while',
            cond,
            first: this.predicate(flag, 1, context.outer, own, slots),
            next: this.predicate(flag, 1, own, own, slots),
            body: parts,
            decision: own,
            region: s.region,
          },
        ]);
        return;
      }
    }
  }

  private region(
    steps: readonly Step[],
    flag: Argument,
    wanted: number,
    outer: number,
  ): { predicate: Dispatch; parts: Part[] } {
    const own = this.decisionOf(steps);
    const { slots, parts } = this.guarded(steps, own);
    return { predicate: this.predicate(flag, wanted, outer, own, slots), parts };
  }

  /** Steps that run only by decision; regions inside have slots of their own. */
  private guarded(steps: readonly Step[], own: number): { slots: readonly [number, number]; parts: Part[] } {
    const collected: Dispatch[] = [];
    const parts = this.steps(steps, { outer: own, slots: collected });
    const first = this.grids.length;
    for (const d of collected) {
      d.slot = this.grids.length / 3;
      this.grids.push(...d.groups);
    }
    return { slots: [first, this.grids.length - first], parts };
  }

  private decisionOf(steps: readonly Step[]): number {
    let at = this.decisions.get(steps);
    if (at === undefined) this.decisions.set(steps, (at = this.input.decision()));
    return at;
  }

  private predicate(
    flag: Argument,
    wanted: number,
    outer: number,
    own: number,
    [first, count]: readonly [number, number],
  ): Dispatch {
    const made = this.dispatch(PREDICATE, [flag, wanted, outer, own, first, count, 0], [1, 1, 1], null)!;
    this.patternWords.push(made.args / 4 + 6);
    return made;
  }

  private kernel(s: Step & { kind: 'kernel' }, context: Context): Dispatch | null {
    const kernel = this.input.kernels[s.kernel]!;
    const values = new Map<string, number>();
    const args = s.slots.map((n, i): Argument => {
      const kind = kernel.args[i]!;
      if (kind !== 'value') return this.place(n, kind === 'halves' ? 2 : 4);
      const value = this.value(n);
      values.set(String(i), value);
      return value;
    });
    const [x, y, z] = kernel.grid.extents.map((e) => evaluateSize(e, values)) as [number, number, number];
    const groups = kernel.grid.folded ? folded(x * y * z) : ([x, y, z] as const);
    return this.dispatch(kernel, args, groups, context, s.info);
  }

  private copy(from: Argument, to: Argument, bytes: number, context: Context | null): Dispatch | null {
    const words = Math.ceil(bytes / 4);
    const info = { origin: '', flops: 0, bytes: 2 * bytes };
    return this.dispatch(COPY, [from, to, words], folded(Math.ceil(words / COPY_WORDS)), context, info);
  }

  /** null where the grid is empty. */
  private dispatch(
    kernel: WebGpuKernel,
    args: readonly Argument[],
    groups: readonly [number, number, number],
    context: Context | null,
    info?: StepInfo,
  ): Dispatch | null {
    if (groups.includes(0)) return null;
    this.count++;
    const work = workOf(this.input.program.name, kernel.name, info, this.input.binding);
    const made: Dispatch = { kernel, work, args: this.block(kernel, args), groups, slot: null };
    context?.slots?.push(made);
    return made;
  }

  /** Where those arguments lie in the arena, in bytes. Equal ones once, but for predicates: their words are changed later. */
  private block(kernel: WebGpuKernel, args: readonly Argument[]): number {
    const key = args.map((a) => (typeof a === 'number' ? a : `@${a.buffer}+${a.offset}/${a.unit}`)).join(' ');
    const known = kernel === PREDICATE ? undefined : this.blocks.get(key);
    if (known !== undefined) return known;
    const step = this.input.alignment / 4;
    const at = Math.ceil(this.words.length / step) * step;
    args.forEach((a, i) => {
      if (typeof a === 'number') this.words[at + i] = a >>> 0;
      else {
        this.words[at + i] = 0;
        this.patches.push({ word: at + i, buffer: a.buffer, offset: a.offset, unit: a.unit });
      }
    });
    this.blocks.set(key, at * 4);
    return at * 4;
  }

  private place(slot: number, unit: 4 | 2 = 4): Argument {
    const s = this.input.program.slots[slot]!;
    if (s.kind !== 'address') throw new Error('a place is a size');
    return { buffer: s.buffer, offset: evaluateSize(s.offset, this.input.binding), unit };
  }

  private value(slot: number): number {
    const s = this.input.program.slots[slot]!;
    if (s.kind !== 'size') throw new Error('a size is a place');
    return evaluateSize(s.value, this.input.binding);
  }
}

/** So many workgroups over x and y; kernels skip what is too much. */
export function folded(total: number): readonly [number, number, number] {
  const x = Math.min(total, 65535);
  return [x, x === 0 ? 0 : Math.ceil(total / x), 1];
}

/** Neighbouring dispatches become one part. */
class Parts {
  readonly parts: Part[];
  constructor(parts: Part[]) {
    this.parts = parts;
  }

  add(d: Dispatch | null): void {
    if (d) this.append([{ kind: 'dispatches', list: [d] }]);
  }

  append(more: readonly Part[]): void {
    for (const p of more) {
      const last = this.parts.at(-1);
      if (last?.kind === 'dispatches' && p.kind === 'dispatches') {
        (last.list as Dispatch[]).push(...p.list);
      } else {
        this.parts.push(p.kind === 'dispatches' ? { ...p, list: [...p.list] } : p);
      }
    }
  }
}
