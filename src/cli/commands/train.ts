/** `netwright train`: trains a block by its own `train` block. */
import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Command, Option } from 'commander';
import pc from 'picocolors';
import type { StaticValue } from '../../check/elaborated.ts';
import { count } from '../../diagnostics/words.ts';
import { DeviceLostError, modelClass, RunFiles, type Model, type RunPosition } from '../../runtime/index.ts';
import { cores } from '../../runtime/node/cores.ts';
import { weightsFormat } from '../../runtime/formats/write.ts';
import { split } from '../data/dataset.ts';
import { dataFiles, loadData } from '../data/index.ts';
import { chooseDevice, DEVICE_HELP, sayBuild, THREADS_HELP } from '../device.ts';
import { EXIT, fault } from '../fault.ts';
import {
  NO_TUNE,
  TUNE,
  fraction,
  positiveInt,
  positiveNumber,
  setting,
  trainSetting,
  wholeNumber,
} from '../options.ts';
import { checkOutput } from '../output.ts';
import { createProgress, duration } from '../progress.ts';
import { PROFILE_HELP, startProfile } from '../profile.ts';
import { compileBlock } from '../program.ts';
import { train } from '../trainer.ts';
import { readWeights } from '../weights/read.ts';

interface TrainOptions {
  readonly block?: string;
  readonly set?: Record<string, StaticValue>;
  readonly train?: Record<string, string>;
  readonly data?: string;
  readonly target?: string;
  readonly window: number;
  readonly epochs?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly weights?: string;
  readonly seed?: number;
  readonly holdout: number;
  readonly out?: string;
  readonly resume?: string | true;
  readonly keep: number;
  readonly best?: 'min' | 'max';
  readonly device: string;
  readonly threads?: number;
  readonly whileLimit?: number;
  readonly profile?: string | true;
  readonly tune?: string | boolean;
}

export function trainCommand(): Command {
  return new Command('train')
    .description('Trains a block as its own `train` block says; options override it.')
    .argument('<file>', 'a .net file')
    .option('--block <name>', 'which exported block, where there are several')
    .option('--set <name=value>', 'a hyper-parameter of the block (repeatable)', setting)
    .option(
      '--train <name=value>',
      'a setting of its train block, or of its optimizer, such as lr=0.01 or schedule="cosine_lr(1000)" (repeatable)',
      trainSetting,
    )
    .option(
      '--data <source>',
      'mnist, or files: .npz .npy .safetensors .pt .csv .txt, IDX (also .gz), a folder of IDX files; several joined by commas',
    )
    .option('--target <column>', 'the column of a CSV that is the target (default: the last)')
    .option('--window <n>', 'bytes per sample of a .txt file, which a language model continues', positiveInt, 64)
    .option('--epochs <n>', 'passes over the data', positiveInt)
    .option('--batch <n>', 'samples per step', positiveInt)
    .option('--lr <x>', 'learning rate', positiveNumber)
    .addOption(
      new Option(
        '--weights <file>',
        'start from these; what is not in the file keeps its initial values, and is listed',
      ).conflicts('resume'),
    )
    .option('--seed <n>', 'of initial values, shuffling and dropout', wholeNumber)
    .option('--threads <n>', THREADS_HELP, positiveInt)
    .option('--while-limit <n>', 'rounds that a `while` may take before it is a fault (default: 100000)', positiveInt)
    .option('--holdout <fraction>', 'part kept apart for the metric, where the data has no test part', fraction, 0.1)
    .option('-o, --out <file>', 'where the weights go (default: NAME.safetensors)')
    .option('--resume [run]', 'go on from a run (default: NAME.run.safetensors, written after every epoch)')
    .option('--keep <n>', "the last epochs' runs are kept too, as NAME.run.EPOCH.safetensors", wholeNumber, 0)
    .addOption(
      new Option(
        '--best <which>',
        'also write NAME.best.safetensors, the weights of the epoch with the least or largest metric (without one: loss)',
      ).choices(['min', 'max']),
    )
    .option('--device <name>', DEVICE_HELP, 'auto')
    .option(...TUNE)
    .option(...NO_TUNE)
    .option('--profile [trace]', PROFILE_HELP)
    .addHelpText(
      'after',
      '\nExamples:\n  netwright train examples/lenet.net\n  netwright train examples/lenet.net --epochs 3 --lr 0.02 --out my.safetensors\n  netwright train examples/mlp.net --data digits.npz --resume',
    )
    .action(async (file: string, options: TrainOptions) => {
      const chosen = await chooseDevice(options.device);
      const { block, path } = compileBlock(file, options, chosen.compile);
      const { artifact } = block;
      const entry = artifact.train;
      if (!entry) throw fault('no_train_block', { name: artifact.name });
      const source = options.data ?? entry.data;
      if (source === null) throw fault('no_data', {});
      const data = split(
        await loadData(source, { target: options.target ?? null, window: options.window, cwd: dirname(file) }),
        options.holdout,
      );

      const name = basename(path).replace(/\.net$/, '');
      const out = options.out ?? `${name}.safetensors`;
      const runFile = out.replace(/(\.safetensors)?$/, '.run.safetensors');
      const bestFile = out.replace(/(\.safetensors)?$/, '.best.safetensors');
      const inputs = [file, ...dataFiles(source), ...(options.weights === undefined ? [] : [options.weights])];
      const runBefore = options.resume === undefined ? null : options.resume === true ? runFile : options.resume;
      // Refused now, and not when the training is done.
      weightsFormat(out);
      checkOutput(out, runBefore === null ? inputs : [...inputs, runBefore]);
      checkOutput(runFile, inputs);
      if (options.best) checkOutput(bestFile, inputs);
      if (typeof options.profile === 'string') checkOutput(options.profile, inputs);
      const model = await modelClass(artifact).create({
        seed: options.seed ?? entry.seed ?? 0,
        device: await chosen.open(artifact),
        progress: sayBuild,
        threads: options.threads ?? cores(),
        ...(options.whileLimit !== undefined && { while_limit: options.whileLimit }),
      });
      if (options.weights !== undefined) await startFrom(model, options.weights);

      const epochs = options.epochs ?? entry.epochs ?? 10;
      const batchSize = options.batch ?? entry.batchSize ?? 64;
      const shape = { samples: String(data.train.count), batch: String(batchSize) };
      const best = options.best ? { path: bestFile, mode: options.best } : null;
      const files = new RunFiles(runFile, { keep: options.keep, best });
      const start = runBefore === null ? null : await resume(model, files, runBefore, shape, options.seed);
      const seed = start?.seed ?? model.seed;
      if (options.lr !== undefined && model.optimizer) model.optimizer.lr = options.lr;
      const steps = Math.ceil(data.train.count / batchSize);
      const held = data.heldOut ? `, ${data.heldOut.count} held out` : '';
      process.stdout.write(
        `${pc.bold(artifact.name)} from ${path}: ${sizeOf(model)} parameters, ${entry.optimizer}, on ${model.device.name} (${model.device.description})\n` +
          `${count(data.train.count, 'sample')} of ${source}${held}; ${count(epochs, 'epoch')} of ${count(steps, 'step')}, batch ${batchSize}, seed ${seed}\n`,
      );
      if (start && start.epoch >= epochs)
        process.stdout.write(
          `nothing left to train: the run has done ${count(start.epoch, 'epoch')}; more with --epochs\n`,
        );

      const profiling = options.profile === undefined ? null : startProfile(model.device, options.profile);
      const stop = listenForStop();
      const progress = createProgress(epochs, epochs * steps, process.stdout);
      try {
        const result = await train(
          model,
          data.train,
          data.heldOut,
          {
            epochs,
            batchSize,
            seed,
            start: start ?? { epoch: 0, batch: 0 },
            stopped: stop.requested,
            checkpoint: (epoch, batch, value) => files.save(model, { epoch, batch, seed, extra: shape }, value),
          },
          progress,
        );
        progress.stop();
        if (result.stopped) {
          process.stdout.write(
            `stopped at step ${model.step}; the run is in ${runFile}\ngo on with: netwright ${resumeArguments()}\n`,
          );
          await profiling?.finish();
          process.exitCode = stop.exitCode();
          return;
        }
        await model.save(out);
        const metric = result.metric ? `, held-out ${result.metric.name} ${result.metric.value.toFixed(4)}` : '';
        process.stdout.write(
          `${pc.green('done')} in ${duration(result.seconds)} of training${metric}\nweights: ${out} (PyTorch's keys)   run: ${runFile}\n\nnext:\n` +
            `  netwright predict ${file}${options.block === undefined ? '' : ` --block ${artifact.name}`} --weights ${out} --data ${source}\n  netwright build ${file}          # a typed module for your program\n`,
        );
        await profiling?.finish();
      } catch (e) {
        if (!(e instanceof DeviceLostError) || !existsSync(runFile)) throw e;
        const help = `the run up to its last epoch is in ${runFile}; go on with: netwright ${resumeArguments()}`;
        throw fault('runtime_fault', { problem: e.message }, help);
      } finally {
        progress.stop();
        stop.close();
      }
    });
}

const sizeOf = (model: Model): string =>
  [...model.parameters()].reduce((n, p) => n + p.size, 0).toLocaleString('en-US');

/** Loads the weights whose names the model has, and says what else there is on either side: nothing is passed over in silence. */
async function startFrom(model: Model, file: string): Promise<void> {
  const { missing_keys, unexpected_keys } = await readWeights(model, file, false);
  const all = model.state_dict().size;
  if (missing_keys.length === all)
    throw fault(
      'bad_checkpoint',
      { path: file, problem: `none of its names is one of ${model.artifact.name}'s` },
      'compare `netwright inspect` and `netwright summary`; rename with `netwright convert --rename`',
    );
  const list = (names: readonly string[]): string =>
    names.slice(0, 6).join(', ') + (names.length > 6 ? `, and ${names.length - 6} more` : '');
  process.stdout.write(`weights of ${file}: ${all - missing_keys.length} of ${all} tensors\n`);
  if (missing_keys.length > 0) process.stdout.write(`  not in the file, initial values: ${list(missing_keys)}\n`);
  if (unexpected_keys.length > 0) process.stdout.write(`  in the file only, not used: ${list(unexpected_keys)}\n`);
}

/** The arguments of this command once more: data, batch and hyper-parameters must be the same when it goes on. */
function resumeArguments(): string {
  const given = process.argv.slice(2).map((a) => (/^[\w./=:,+-]+$/.test(a) ? a : `'${a}'`));
  return [...given, ...(given.some((a) => a.startsWith('--resume')) ? [] : ['--resume'])].join(' ');
}

/** What a run was doing when it was saved: inside an epoch, the same batches must follow. */
interface RunShape extends Record<string, string> {
  readonly samples: string;
  readonly batch: string;
}

async function resume(
  model: Model,
  files: RunFiles,
  file: string,
  now: RunShape,
  seed: number | undefined,
): Promise<RunPosition> {
  const { position, warnings } = await files.resume(model, file);
  const { samples, batch } = position.extra;
  if (position.batch > 0 && (samples !== now.samples || batch !== now.batch)) {
    const problem = `it stopped inside an epoch of ${samples} samples in batches of ${batch}, and here are ${now.samples} in batches of ${now.batch}`;
    throw fault('bad_checkpoint', { path: file, problem }, 'go on with the same data, --holdout and --batch');
  }
  if (seed !== undefined && seed !== position.seed)
    throw fault(
      'bad_checkpoint',
      { path: file, problem: `the run has seed ${position.seed}, not ${seed}` },
      'leave --seed out',
    );
  for (const w of warnings) process.stderr.write(`${pc.yellow('warning')} ${w}\n`);
  return position;
}

/** The first Ctrl-C (or SIGTERM) ends the run after the step, with a checkpoint; the second ends the process. */
function listenForStop(): { requested: () => boolean; exitCode: () => number; close: () => void } {
  let code: number | null = null;
  const handler = (signal: 'SIGINT' | 'SIGTERM'): void => {
    if (code !== null) process.exit(code);
    code = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
  };
  process.on('SIGINT', handler);
  process.on('SIGTERM', handler);
  return {
    requested: () => code !== null,
    exitCode: () => code ?? EXIT.ok,
    close: () => {
      process.off('SIGINT', handler);
      process.off('SIGTERM', handler);
    },
  };
}
