/**
 * Runs a program of the cpu kernel by kernel from the host, for profiles: the same kernels on the same frame as its driver
 * in WebAssembly, which has no clock and so pays for none.
 */
import { kernelExport, type KernelEntry, type Program, type Step } from './artifact.ts';
import type { Memory } from './memory.ts';
import { workOf, type Profile, type Work } from './profile.ts';
import type { Binding } from './sizes.ts';

export interface Stepwise {
  readonly program: Program;
  readonly kernels: readonly KernelEntry[];
  readonly exports: WebAssembly.Exports;
  readonly memory: Memory;
  /** Address of the frame. */
  readonly frame: number;
  readonly binding: Binding;
}

export function runStepwise(on: Stepwise, profile: Profile): void {
  const { program, memory, binding } = on;
  const frame = memory.i32(on.frame, program.slots.length);
  const word = (slot: number): Int32Array => memory.i32(frame[slot]! >>> 0, 1);
  const works = new Map<Step, Work>();
  const timed = (work: Work, run: () => void): void => {
    const start = performance.now();
    run();
    profile.kernel(work, start, performance.now());
  };
  const step = (s: Step): void => {
    switch (s.kind) {
      case 'kernel': {
        let work = works.get(s);
        if (!work) works.set(s, (work = workOf(program.name, on.kernels[s.kernel]!.name, s.info, binding)));
        const call = on.exports[kernelExport(s.kernel)] as (...args: number[]) => void;
        const args = s.slots.map((slot) => frame[slot]!);
        return timed(work, () => call(...args));
      }
      case 'copy': {
        const bytes = frame[s.bytes]!;
        const from = memory.bytes(frame[s.from]! >>> 0, bytes);
        const to = memory.bytes(frame[s.to]! >>> 0, bytes);
        const work = { program: program.name, kernel: 'copy', origin: '', flops: 0, bytes: 2 * bytes };
        return timed(work, () => to.set(from));
      }
      case 'for': {
        const times = frame[s.count]!;
        for (let i = 0; i < times; i++) {
          if (s.counter !== null) word(s.counter)[0] = i;
          s.body.forEach(step);
        }
        return;
      }
      case 'while':
        for (;;) {
          s.cond.forEach(step);
          if (word(s.flag)[0] === 0) return;
          s.body.forEach(step);
        }
      case 'if':
        return (word(s.flag)[0] === 0 ? s.else : s.then).forEach(step);
    }
  };
  const start = performance.now();
  program.steps.forEach(step);
  profile.run(program.name, start, performance.now());
}
