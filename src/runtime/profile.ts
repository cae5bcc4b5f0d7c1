/** Where the time of a device goes: what each call of a kernel took, summed by line of the network, and as a trace. */
import type { StepInfo } from './artifact.ts';
import { evaluateSize, type Binding } from './sizes.ts';

/** What a call of a kernel computes, with its sizes known. */
export interface Work {
  readonly program: string;
  readonly kernel: string;
  /** `file:line` of the network with the layer's path; '' for what no line asks for, such as copies. */
  readonly origin: string;
  /** Of a contraction, 2 per multiply-add; 0 for everything else. */
  readonly flops: number;
  /** Of its operands and results, each once. */
  readonly bytes: number;
}

/** A kernel at a line of a program, over all its calls. */
export interface ProfileRow extends Work {
  readonly calls: number;
  readonly ms: number;
}

/** Chrome's trace event format, which chrome://tracing and Perfetto open. Times are in microseconds. */
export interface Trace {
  readonly displayTimeUnit: 'ms';
  readonly traceEvents: readonly TraceEvent[];
  readonly otherData: Readonly<Record<string, string | number>>;
}

export interface TraceEvent {
  readonly name: string;
  /** X: something that took time; M: the name of a process or thread. */
  readonly ph: 'X' | 'M';
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args: Readonly<Record<string, string | number>>;
}

/** Spans that a trace keeps: the first ones. Sums go on. */
const MAX_SPANS = 100_000;

interface Span {
  readonly work: Work | null;
  readonly program: string;
  readonly start: number;
  readonly end: number;
}

type Sum = { -readonly [K in keyof ProfileRow]: ProfileRow[K] };

export class Profile {
  /** `cpu`, `webgpu:0`, ... */
  readonly device: string;
  /** What the times are, for people. */
  readonly clock: string;
  private readonly end: () => Promise<void>;
  private readonly sums = new Map<string, Sum>();
  private readonly programs = new Map<string, { calls: number; ms: number }>();
  private readonly spans: Span[] = [];
  private dropped = 0;

  /** Use `device.profile()`. */
  constructor(device: string, clock: string, end: () => Promise<void>) {
    this.device = device;
    this.clock = clock;
    this.end = end;
  }

  /** Ends the profile, when all that was asked of the device is done. */
  stop(): Promise<void> {
    return this.end();
  }

  /** Most time first. */
  rows(): ProfileRow[] {
    return [...this.sums.values()].sort((a, b) => b.ms - a.ms).map((s) => ({ ...s }));
  }

  /** What whole programs took, what is between their kernels included. */
  runs(): { readonly program: string; readonly calls: number; readonly ms: number }[] {
    return [...this.programs].map(([program, sum]) => ({ program, ...sum }));
  }

  trace(): Trace {
    const name = (what: string, tid: number, text: string): TraceEvent => ({
      name: what,
      ph: 'M',
      pid: 1,
      tid,
      args: { name: text },
    });
    const first = this.spans.reduce((t, s) => Math.min(t, s.start), Infinity);
    const events = this.spans.map(({ work, program, start, end }): TraceEvent => {
      const args: Record<string, string | number> = {};
      if (work && work.origin !== '') args['line'] = work.origin;
      if (work && work.flops > 0) args['flops'] = work.flops;
      if (work && work.bytes > 0) args['bytes'] = work.bytes;
      return {
        name: work?.kernel ?? program,
        cat: work ? 'kernel' : 'program',
        ph: 'X',
        pid: 1,
        tid: 1,
        ts: (start - first) * 1000,
        dur: (end - start) * 1000,
        args,
      };
    });
    return {
      displayTimeUnit: 'ms',
      traceEvents: [name('process_name', 0, this.device), name('thread_name', 1, 'programs and kernels'), ...events],
      otherData: { device: this.device, clock: this.clock, spans_left_out: this.dropped },
    };
  }

  /** @internal A kernel ran from `start` to `end`, in milliseconds of one clock. */
  kernel(work: Work, start: number, end: number): void {
    const key = `${work.program}\n${work.kernel}\n${work.origin}`;
    let sum = this.sums.get(key);
    if (!sum) this.sums.set(key, (sum = { ...work, flops: 0, bytes: 0, calls: 0, ms: 0 }));
    sum.calls++;
    sum.ms += end - start;
    sum.flops += work.flops;
    sum.bytes += work.bytes;
    this.span({ work, program: work.program, start, end });
  }

  /** @internal A whole program, or a part of it that was submitted at once. */
  run(program: string, start: number, end: number): void {
    const sum = this.programs.get(program) ?? { calls: 0, ms: 0 };
    this.programs.set(program, { calls: sum.calls + 1, ms: sum.ms + end - start });
    this.span({ work: null, program, start, end });
  }

  private span(s: Span): void {
    if (this.spans.length < MAX_SPANS) this.spans.push(s);
    else this.dropped++;
  }
}

/** The work of one call for given sizes. */
export function workOf(program: string, kernel: string, info: StepInfo | undefined, binding: Binding): Work {
  return {
    program,
    kernel,
    origin: info?.origin ?? '',
    flops: info ? evaluateSize(info.flops, binding) : 0,
    bytes: info ? evaluateSize(info.bytes, binding) : 0,
  };
}
