/** `netwright tune`: measures on this machine which way of computing is the fastest, and keeps the choices beside the source. */
import { existsSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import pc from 'picocolors';
import type { StaticValue } from '../../check/elaborated.ts';
import type { Target } from '../../codegen/call.ts';
import { nativeTarget, PAIRED_WASM, WASM } from '../../codegen/targets.ts';
import { parseTuning, printTuning, tuningPath, updated, type Tuning } from '../../codegen/tuning.ts';
import { compileProject, programsOf, type OpenProject } from '../../compile.ts';
import { count, listOf } from '../../diagnostics/words.ts';
import type { Programs } from '../../ir/entry.ts';
import { symbolsOfTypes } from '../../ir/symbols.ts';
import { device as openDevice, thisMachine, type Device, type Machine } from '../../runtime/index.ts';
import { writeFileAtomic } from '../../runtime/node/files.ts';
import { allQuestions, measureAll, sizesFor } from '../../tune/run.ts';
import { buildNative } from '../build-native.ts';
import { sayBuild } from '../device.ts';
import { EXIT, Fault, fault } from '../fault.ts';
import { processorName } from '../host.ts';
import { dimSetting, positiveInt, positiveNumber, setting } from '../options.ts';
import { checkOutput } from '../output.ts';
import { exportedNames, openFile } from '../program.ts';
import { revectorized, withRevectorize } from '../revectorize.ts';
import { tuneProgress, tuneTable } from '../tune-report.ts';

interface TuneOptions {
  readonly block?: string;
  readonly set?: Record<string, StaticValue>;
  readonly dim?: Record<string, number>;
  readonly method?: string;
  readonly device?: 'cpu' | 'native';
  readonly threads: number;
  readonly seconds: number;
  readonly out?: string;
}

/** One kind of code to measure. */
interface Kind {
  readonly name: string;
  readonly target: Target;
  readonly device: Device;
  readonly machine: Machine | null;
  /** V8 pairs vectors. */
  readonly paired: boolean;
}

export function tuneCommand(): Command {
  return new Command('tune')
    .description(
      'Measures on this machine which tiles and forms of kernels are the fastest for a file, and writes them to FILE.tune.json, which build, train, predict and `compile` then use.',
    )
    .argument('<file>', 'a .net file')
    .option('--block <name>', 'only this exported block')
    .option('--set <name=value>', 'a hyper-parameter of the block (repeatable)', setting)
    .option(
      '--dim <NAME=n>',
      'a size such as B=256 (repeatable; default: the batch of the train block, else 64)',
      dimSetting,
    )
    .option('--method <name>', 'only what this method, or train_step, computes')
    .addOption(
      new Option(
        '--device <name>',
        'only this one (default: the cpu, and native code where there is a C compiler)',
      ).choices(['cpu', 'native']),
    )
    .option('--threads <n>', 'that share the work while it is measured', positiveInt, 1)
    .option('--seconds <x>', 'to measure each shape; compiling comes on top', positiveNumber, 0.5)
    .option('-o, --out <file>', 'where to write (default: FILE.tune.json beside the source)')
    .addHelpText(
      'after',
      '\nExamples:\n  netwright tune examples/lenet.net\n  netwright tune examples/lenet.net --device native --dim B=256 --method train_step',
    )
    .action(tune);
}

async function tune(file: string, options: TuneOptions): Promise<void> {
  const { path, project } = openFile(file);
  const stop = (): Fault => new Fault(project.bag.all, project.sources);
  if (project.bag.hasErrors) throw stop();
  const out = options.out ?? tuningPath(file);
  checkOutput(out, [file]);
  const blocks = exportedNames(project, path, options.block);
  let tuning = await before(out);
  let interrupted = false;
  const interrupt = (): void => void (interrupted = true);
  process.once('SIGINT', interrupt);
  for (const kind of await kinds(options.device)) {
    const programs = blocks.map((b) => programsOf(project, b, kind.target, { hyper: options.set ?? {} }));
    if (!programs.every((p): p is Programs => p !== null)) throw stop();
    checkMethod(programs, options.method);
    const questions = allQuestions(programs, kind.target, options.method ?? null);
    const sizes = sizesFor(questions, programs, options.dim ?? {});
    checkSizes(options.dim, programs);
    const ways = questions.reduce((n, q) => n + q.names.length, 0);
    const at = [...sizes].map(([k, v]) => `${k} = ${v}`).join(', ');
    process.stdout.write(
      `${pc.bold(kind.name)}: ${count(questions.length, 'shape')}, ${count(ways, 'way')} to compute them${at === '' ? '' : ` (${at})`}, ${count(options.threads, 'thread')}\n`,
    );
    if (questions.length === 0) continue;
    const progress = tuneProgress(questions.length, process.stdout);
    const { threads, seconds } = options;
    const next = (q: (typeof questions)[number], i: number): boolean => {
      progress.at(i, q.key);
      return !interrupted;
    };
    const answers = await withRevectorize(kind.paired, () =>
      measureAll(questions, kind.device, kind.machine, { sizes, threads, seconds, progress: sayBuild, next }),
    ).finally(() => progress.stop());
    const chosen = new Map(answers.map((a) => [a.question.key, a.chosen === 0 ? null : a.question.names[a.chosen]!]));
    tuning = updated(tuning, kind.target, chosen);
    process.stdout.write(tuneTable(answers));
    await writeFileAtomic(out, printTuning(tuning));
    process.stdout.write(
      `${pc.green('wrote')} ${out}: ${count([...chosen.values()].filter((c) => c !== null).length, 'shape')} of ${answers.length} faster another way\n`,
    );
    if (interrupted) break;
    if (kind.machine) await buildTuned(project, blocks, options, tuning, kind.machine);
  }
  process.off('SIGINT', interrupt);
  if (interrupted) process.exitCode = EXIT.interrupted;
}

/** What was measured before on this processor stays where it is not measured again. */
async function before(path: string): Promise<Tuning> {
  const none = { processor: processorName(), choices: new Map() };
  if (!existsSync(path)) return none;
  const known = parseTuning(readFileSync(path, 'utf8'));
  if (typeof known === 'string') throw fault('tuning_kept', { path, reason: known });
  if (known.processor === none.processor) return known;
  throw fault('tuning_kept', { path, reason: `it was measured on ${known.processor}` });
}

async function kinds(only: TuneOptions['device']): Promise<Kind[]> {
  const all: Kind[] = [];
  if (only !== 'native') {
    const on = { device: await openDevice('cpu'), machine: null };
    all.push({ ...on, name: 'WebAssembly', target: WASM, paired: false });
    if (revectorized()) all.push({ ...on, name: 'WebAssembly with paired vectors', target: PAIRED_WASM, paired: true });
  }
  const machine = only === 'cpu' ? null : await thisMachine();
  // Where it was asked for, opening it says what is missing.
  if (!machine && only !== 'native') return all;
  const native = await openDevice('native');
  return [...all, { name: native.description, target: nativeTarget(machine!), device: native, machine, paired: false }];
}

/** `auto` uses native code that is there: what it was compiled from before is no longer what a command compiles. */
async function buildTuned(
  project: OpenProject,
  blocks: readonly string[],
  { set }: TuneOptions,
  tuning: Tuning,
  machine: Machine,
): Promise<void> {
  const made = blocks.map((b) =>
    compileProject(project, b, {
      hyper: set ?? {},
      tuning,
      machine,
      targets: ['wasm', 'native'],
      pairedVectors: revectorized(),
    }),
  );
  await buildNative(made.flatMap((c) => (c ? [c.artifact] : [])));
}

function checkMethod(programs: readonly Programs[], method: string | undefined): void {
  const names = new Set(programs.flatMap((p) => p.entries.map((e) => e.name.split(/[.+]/)[0]!)));
  for (const own of ['init', 'init_state', 'init_ema']) names.delete(own);
  if (method === undefined || names.has(method)) return;
  const methods = [...names].map((n) => `\`${n}\``).join(', ');
  throw fault('no_method', { name: programs.map((p) => p.block.name).join(', '), method, methods });
}

function checkSizes(dims: TuneOptions['dim'], programs: readonly Programs[]): void {
  const params = programs.flatMap(({ module, entries }) =>
    entries.flatMap((e) => module.funcs.get(e.func)!.body.params),
  );
  const known = symbolsOfTypes(params.map((p) => p.type));
  for (const name of Object.keys(dims ?? {}))
    if (!known.has(name))
      throw fault('wrong_usage', { problem: `--dim: there is no size ${name}; there is ${listOf([...known], 'and')}` });
}
