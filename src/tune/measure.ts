/** Measures on a device which candidate of each question is the fastest. */
import type { Progress } from '../runtime/backend.ts';
import { createExecutor } from '../runtime/backend.ts';
import { CpuDevice, type Device } from '../runtime/device.ts';
import { encode } from '../runtime/elem.ts';
import type { Segment } from '../runtime/artifact.ts';
import { pick, type Pick } from './pick.ts';
import type { Question } from './questions.ts';
import { TIMES, type Trials } from './trials.ts';

/** One measurement takes about so long: much more than a call of the runtime, much less than what disturbs it. */
const SAMPLE_MS = 2;

/** A new machine's first measurements: V8 compiles a function well once it has run for a while. */
const WARM_MS = 30;

export interface Answer extends Pick {
  readonly question: Question;
}

export interface MeasureOptions {
  readonly sizes: ReadonlyMap<string, number>;
  readonly threads: number;
  /** For each question. */
  readonly seconds: number;
  readonly progress: Progress;
  /** Told before each question is measured; false ends it all. */
  readonly next: (question: Question, index: number) => boolean;
}

export async function measure(
  questions: readonly Question[],
  { artifact, programOf, inputs }: Trials,
  device: Device,
  options: MeasureOptions,
): Promise<Answer[]> {
  const { sizes, threads, seconds, progress } = options;
  const executor = await createExecutor(artifact, device, { threads, progress });
  if (device instanceof CpuDevice && threads > 1) await device.threads().ready();
  for (const s of inputs) {
    const bytes = content(s);
    executor.slice(s.name, 0, bytes.length).write(0, bytes);
  }
  const run = (program: string, times: number): number => {
    const binding = new Map([...sizes, [TIMES, times]]);
    const start = performance.now();
    executor.run(program, binding, () => new Uint8Array());
    return performance.now() - start;
  };
  const answers: Answer[] = [];
  for (const [i, question] of questions.entries()) {
    // Signals and V8's compilers get a turn.
    await new Promise((done) => setTimeout(done, 0));
    if (!options.next(question, i)) break;
    const programs = question.names.map((_, way) => programOf(i, way));
    const once = Math.min(...programs.map((p) => warm(() => run(p, 1))));
    const times = Math.max(1, Math.ceil(SAMPLE_MS / Math.max(once, 1e-4)));
    const measured = pick(
      programs.length,
      (way) => run(programs[way]!, times) / times,
      () => performance.now(),
      seconds * 1000,
    );
    answers.push({ question, ...measured });
  }
  return answers;
}

/** The least time of calls. */
function warm(call: () => number): number {
  let least = Infinity;
  for (const end = performance.now() + WARM_MS; performance.now() < end;) least = Math.min(least, call());
  return least;
}

/** Numbers like those of networks: neither zero nor so small that processors slow down. Integers are 0, a valid index. */
function content({ elem, length }: Segment): Uint8Array {
  const float = elem === 'f32' || elem === 'f16' || elem === 'bf16';
  return encode(
    Float32Array.from({ length }, (_, i) => (float ? ((i * 2654435761) % 2048) / 1024 - 0.9995 : 0)),
    elem,
  );
}
