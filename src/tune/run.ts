/** Measures the programs of blocks on one target: what there is to ask, for which sizes, and what was found. */
import type { Target } from '../codegen/call.ts';
import { symbolsOf } from '../ir/dim.ts';
import type { Programs } from '../ir/entry.ts';
import { bareSymbol, symbolsOfTypes } from '../ir/symbols.ts';
import type { Machine } from '../runtime/artifact.ts';
import type { Device } from '../runtime/device.ts';
import { measure, type Answer, type MeasureOptions } from './measure.ts';
import { questionsOf, type Question } from './questions.ts';
import { trialsOf } from './trials.ts';

/** Of a symbol that nobody gives a value. */
const TYPICAL_SIZE = 64;

/** The questions of several blocks, each once. */
export function allQuestions(blocks: readonly Programs[], target: Target, method: string | null): Question[] {
  const byKey = new Map<string, Question>();
  for (const programs of blocks) {
    const names = programs.entries.map((e) => e.name).filter((n) => (method === null ? usual(n) : of(n, method)));
    for (const q of questionsOf(programs, target, new Set(names))) if (!byKey.has(q.key)) byKey.set(q.key, q);
  }
  return [...byKey.values()];
}

/** `forward`, in both modes and with any optional arguments. */
const of = (program: string, method: string): boolean => program.split(/[.+]/)[0] === method;

/** What a training step computes `backward` computes too. */
const usual = (name: string): boolean => !['init', 'init_state', 'init_ema', 'backward'].some((n) => of(name, n));

/** Every symbol: as given, else the batch of the `train` block where it is its batch, else what compilers take for typical. */
export function sizesFor(
  questions: readonly Question[],
  blocks: readonly Programs[],
  given: Readonly<Record<string, number>>,
): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { op, names, kernels } of questions) {
    const symbols = symbolsOfTypes([...op.operands, ...op.results].map((v) => v.type));
    for (const { args } of kernels(names[0]!)) for (const a of args) if (a.kind === 'size') symbolsOf(a.size, symbols);
    for (const s of symbols) sizes.set(s, TYPICAL_SIZE);
  }
  for (const { block } of blocks) {
    const { train } = block;
    const spec = block.methods.find((m) => m.name === train?.loss)?.args[0]?.spec;
    const batch = spec?.kind === 'tensor' && spec.type.shape.length > 0 ? bareSymbol(spec.type.shape[0]!) : null;
    if (train?.batchSize && batch !== null && sizes.has(batch)) sizes.set(batch, train.batchSize);
  }
  for (const [name, size] of Object.entries(given)) sizes.set(name, size);
  return sizes;
}

/** On native code `machine` is what it is compiled for. */
export function measureAll(
  questions: readonly Question[],
  device: Device,
  machine: Machine | null,
  options: MeasureOptions,
): Promise<Answer[]> {
  return measure(questions, trialsOf(questions, options.sizes, machine), device, options);
}
