/** `netwright train`: trains a block by its own `train` block. */
import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { Command } from 'commander';
import pc from 'picocolors';
import type { StaticValue } from '../../check/elaborated.ts';
import { CheckpointError } from '../../runtime/errors.ts';
import { modelClass, loadRun, runToBytes } from '../../runtime/index.ts';
import { readBytes, writeFileAtomic } from '../../runtime/node/files.ts';
import { split } from '../data/dataset.ts';
import { loadData } from '../data/index.ts';
import { EXIT, fault } from '../fault.ts';
import { fraction, positiveInt, positiveNumber, setting, wholeNumber } from '../options.ts';
import { createProgress, duration } from '../progress.ts';
import { compileBlock } from '../program.ts';
import { train } from '../trainer.ts';

interface TrainOptions {
  readonly block?: string;
  readonly set: Record<string, StaticValue>;
  readonly data?: string;
  readonly target?: string;
  readonly epochs?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly seed?: number;
  readonly holdout: number;
  readonly out?: string;
  readonly resume?: string | true;
  readonly device: string;
}

export function trainCommand(): Command {
  return new Command('train')
    .description('Trains a block as its own `train` block says; options override it.')
    .argument('<file>', 'a .net file')
    .option('--block <name>', 'which exported block, where there are several')
    .option('--set <name=value>', 'a hyper-parameter of the block (repeatable)', setting, {})
    .option(
      '--data <source>',
      'mnist, or files: .npz .npy .safetensors .csv, IDX (also .gz), a folder of IDX files; several joined by commas',
    )
    .option('--target <column>', 'the column of a CSV that is the target (default: the last)')
    .option('--epochs <n>', 'passes over the data', positiveInt)
    .option('--batch <n>', 'samples per step', positiveInt)
    .option('--lr <x>', 'learning rate', positiveNumber)
    .option('--seed <n>', 'of initial values, shuffling and dropout', wholeNumber)
    .option('--holdout <fraction>', 'part kept apart for the metric, where the data has no test part', fraction, 0.1)
    .option('-o, --out <file>', 'where the weights go (default: NAME.safetensors)')
    .option('--resume [run]', 'go on from a run (default: NAME.run.safetensors, written after every epoch)')
    .option('--device <name>', 'cpu or auto', 'auto')
    .addHelpText(
      'after',
      '\nExamples:\n  netwright train examples/lenet.net\n  netwright train examples/lenet.net --epochs 3 --lr 0.02 --out my.safetensors\n  netwright train examples/mlp.net --data digits.npz --resume',
    )
    .action(async (file: string, options: TrainOptions) => {
      const { block, path } = compileBlock(file, options);
      const { artifact } = block;
      const entry = artifact.train;
      if (!entry) throw fault('no_train_block', { name: artifact.name });
      const source = options.data ?? entry.data;
      if (source === null) throw fault('no_data', {});
      const data = split(loadData(source, { target: options.target ?? null, cwd: dirname(file) }), options.holdout);

      const name = basename(path).replace(/\.net$/, '');
      const out = options.out ?? `${name}.safetensors`;
      const runFile = out.replace(/(\.safetensors)?$/, '.run.safetensors');
      if (!existsSync(dirname(out))) throw fault('cannot_write', { path: out, reason: 'the folder does not exist' });
      const seed = options.seed ?? entry.seed ?? 0;
      const model = await modelClass(artifact).create({ seed, device: options.device });

      let start = { epoch: 0, batch: 0 };
      let shuffleSeed = seed;
      if (options.resume !== undefined) {
        const from = options.resume === true ? runFile : options.resume;
        if (!existsSync(from)) throw fault('file_not_found', { path: from });
        try {
          const { position, warnings } = loadRun(model, await readBytes(from), from);
          for (const w of warnings) process.stderr.write(`${pc.yellow('warning')} ${w}\n`);
          start = position;
          shuffleSeed = position.seed;
        } catch (e) {
          if (e instanceof CheckpointError)
            throw fault('bad_checkpoint', { path: from, problem: e.message.replace(`${from}: `, '') });
          throw e;
        }
      }

      const epochs = options.epochs ?? entry.epochs ?? 10;
      const batchSize = options.batch ?? entry.batchSize ?? 64;
      if (options.lr !== undefined && model.optimizer) model.optimizer.lr = options.lr;
      const steps = Math.ceil(data.train.count / batchSize);
      const held = data.heldOut ? `, ${data.heldOut.count} held out` : '';
      process.stdout.write(
        `${pc.bold(artifact.name)} from ${path}: ${count(model)} parameters, ${entry.optimizer}, on ${model.device.name} (${model.device.description})\n` +
          `${data.train.count} samples of ${source}${held}; ${epochs} epochs of ${steps} steps, batch ${batchSize}, seed ${seed}\n`,
      );

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
            seed: shuffleSeed,
            lr: null,
            start,
            stopped: stop.requested,
            checkpoint: async (epoch, batch) =>
              writeFileAtomic(
                runFile,
                await runToBytes(model, { step: model.step, epoch, batch, seed: shuffleSeed, extra: {} }),
              ),
          },
          progress,
        );
        progress.stop();
        if (result.stopped) {
          process.stdout.write(
            `stopped at step ${model.step}; the run is in ${runFile}\ngo on with: netwright train ${file} --resume${options.out === undefined ? '' : ` --out ${out}`}\n`,
          );
          process.exitCode = EXIT.interrupted;
          return;
        }
        await model.save(out);
        const metric = result.metric ? `, held-out ${result.metric.name} ${result.metric.value.toFixed(4)}` : '';
        process.stdout.write(
          `${pc.green('done')} in ${duration(result.seconds)} of training${metric}\nweights: ${out} (PyTorch's keys)   run: ${runFile}\n\nnext:\n` +
            `  netwright predict ${file} --weights ${out} --data ${source}\n  netwright build ${file}          # a typed module for your program\n`,
        );
      } finally {
        progress.stop();
        stop.close();
      }
    });
}

const count = (model: { parameters(): Iterable<{ size: number }> }): string =>
  [...model.parameters()].reduce((n, p) => n + p.size, 0).toLocaleString('en-US');

/** The first Ctrl-C (or SIGTERM) ends the run after the step, with a checkpoint; the second ends the process. */
function listenForStop(): { requested: () => boolean; close: () => void } {
  let requested = false;
  const handler = (): void => {
    if (requested) process.exit(EXIT.interrupted);
    requested = true;
  };
  process.on('SIGINT', handler);
  process.on('SIGTERM', handler);
  return {
    requested: () => requested,
    close: () => {
      process.off('SIGINT', handler);
      process.off('SIGTERM', handler);
    },
  };
}
