/**
 * Runs a program of a device in the host's memory kernel by kernel, for profiles: the same kernels on the same frame as its
 * driver, which has no clock and so pays for none.
 */
import type { KernelEntry, Program, Step } from './artifact.ts';
import type { Memory } from './memory.ts';
import { workOf, type Profile, type Work } from './profile.ts';
import type { Binding } from './sizes.ts';

export interface Stepwise {
  readonly program: Program;
  readonly kernels: readonly KernelEntry[];
  /** The code of a kernel, by its number. */
  readonly code: (kernel: number) => (...args: readonly number[]) => void;
  readonly memory: Memory;
  /** Address of the frame. */
  readonly frame: number;
  readonly binding: Binding;
}

/** As a driver: 0, or 1 and the number of the `while` that did not end. */
export function runStepwise(on: Stepwise, profile: Profile): number {
  const { program, memory, binding } = on;
  const frame = memory.frame(on.frame, program.slots.length);
  const word = (slot: number): Int32Array => memory.i32(memory.place(frame[slot]!), 1);
  const works = new Map<Step, Work>();
  const timed = (work: Work, run: () => void): void => {
    const start = performance.now();
    run();
    profile.kernel(work, start, performance.now());
  };
  /** 0 to go on, else as the whole. */
  const step = (s: Step): number => {
    switch (s.kind) {
      case 'kernel': {
        let work = works.get(s);
        if (!work) works.set(s, (work = workOf(program.name, on.kernels[s.kernel]!.name, s.info, binding)));
        const call = on.code(s.kernel);
        const args = s.slots.map((slot) => frame[slot]!);
        timed(work, () => call(...args));
        return 0;
      }
      case 'copy': {
        const bytes = frame[s.bytes]!;
        const from = memory.bytes(memory.place(frame[s.from]!), bytes);
        const to = memory.bytes(memory.place(frame[s.to]!), bytes);
        const work = { program: program.name, kernel: 'copy', origin: '', flops: 0, bytes: 2 * bytes };
        timed(work, () => to.set(from));
        return 0;
      }
      case 'for': {
        const times = frame[s.count]!;
        for (let i = 0; i < times; i++) {
          if (s.counter !== null) word(s.counter)[0] = i;
          const stopped = steps(s.body);
          if (stopped) return stopped;
        }
        return 0;
      }
      case 'while':
        for (let i = 0; ; i++) {
          const stopped = steps(s.cond);
          if (stopped) return stopped;
          if (word(s.flag)[0] === 0) return 0;
          if (i >= frame[s.limit]!) return s.region + 1;
          const inside = steps(s.body);
          if (inside) return inside;
        }
      case 'if':
        return steps(word(s.flag)[0] === 0 ? s.else : s.then);
    }
  };
  const steps = (list: readonly Step[]): number => {
    for (const s of list) {
      const stopped = step(s);
      if (stopped) return stopped;
    }
    return 0;
  };
  const start = performance.now();
  const stopped = steps(program.steps);
  profile.run(program.name, start, performance.now());
  return stopped;
}
