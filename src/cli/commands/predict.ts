/** `netwright predict`: runs a method on data and prints or saves what comes out. */
import { dirname } from 'node:path';
import { Command } from 'commander';
import Table from 'cli-table3';
import pc from 'picocolors';
import type { StaticValue } from '../../check/elaborated.ts';
import { UsageError } from '../../runtime/errors.ts';
import { modelClass, Tensor, type Model } from '../../runtime/index.ts';
import type { MethodEntry } from '../../runtime/artifact.ts';
import { cores } from '../../runtime/node/cores.ts';
import { writeFileAtomic } from '../../runtime/node/files.ts';
import { writeSafetensors } from '../../runtime/safetensors.ts';
import { split, type DataSet } from '../data/dataset.ts';
import { dataFiles, loadData } from '../data/index.ts';
import { BatchLoader, matchColumns } from '../data/loader.ts';
import { count } from '../../diagnostics/words.ts';
import { chooseDevice, DEVICE_HELP, sayBuild, THREADS_HELP } from '../device.ts';
import { fault } from '../fault.ts';
import { NO_TUNE, TUNE, fraction, positiveInt, setting, wholeNumber } from '../options.ts';
import { checkOutput } from '../output.ts';
import { PROFILE_HELP, startProfile } from '../profile.ts';
import { compileBlock } from '../program.ts';
import { InputTensors } from '../trainer.ts';
import { readWeights } from '../weights/read.ts';

interface PredictOptions {
  readonly block?: string;
  readonly set?: Record<string, StaticValue>;
  readonly data?: string;
  readonly target?: string;
  readonly window: number;
  readonly weights?: string;
  readonly method: string;
  readonly batch: number;
  readonly holdout: number;
  readonly seed: number;
  readonly show: number;
  readonly out?: string;
  readonly device: string;
  readonly threads?: number;
  readonly whileLimit?: number;
  readonly profile?: string | true;
  readonly tune?: string | boolean;
}

export function predictCommand(): Command {
  return new Command('predict')
    .description('Runs a method (forward) on data and prints the first results, or saves all of them.')
    .argument('<file>', 'a .net file')
    .option('--block <name>', 'which exported block, where there are several')
    .option('--set <name=value>', 'a hyper-parameter of the block (repeatable)', setting)
    .option(
      '--weights <file>',
      'a file of weights (safetensors, PyTorch, NumPy, GGUF); without it the initial values of --seed',
    )
    .option('--data <source>', 'as for train; where it has a held-out part, that part')
    .option('--target <column>', 'the column of a CSV that is the target')
    .option('--window <n>', 'bytes per sample of a .txt file, which a language model continues', positiveInt, 64)
    .option('--method <name>', 'the method to run', 'forward')
    .option('--batch <n>', 'samples per call', positiveInt, 256)
    .option('--holdout <fraction>', 'use only this held-out part of the data', fraction, 0)
    .option('--seed <n>', 'of initial values and random draws', wholeNumber, 0)
    .option('--threads <n>', THREADS_HELP, positiveInt)
    .option('--while-limit <n>', 'rounds that a `while` may take before it is a fault (default: 100000)', positiveInt)
    .option('--show <n>', 'how many results to print', positiveInt, 10)
    .option('-o, --out <file>', 'save all results: .safetensors, .npz, .npy or .pt (tensor "result")')
    .option('--device <name>', DEVICE_HELP, 'auto')
    .option(...TUNE)
    .option(...NO_TUNE)
    .option('--profile [trace]', PROFILE_HELP)
    .addHelpText('after', '\nExample:\n  netwright predict examples/lenet.net --weights lenet.safetensors --data mnist')
    .action(async (file: string, options: PredictOptions) => {
      const chosen = await chooseDevice(options.device);
      const { block } = compileBlock(file, options, chosen.compile);
      const { artifact } = block;
      const method = artifact.methods.find((m) => m.name === options.method);
      if (!method) {
        throw fault('no_method', {
          name: artifact.name,
          method: options.method,
          methods: artifact.methods.map((m) => `\`${m.name}\``).join(', ') || 'none that the outside can call',
        });
      }
      const source = options.data ?? artifact.train?.data ?? null;
      if (source === null) throw fault('no_data', {});
      const all = split(
        await loadData(source, { target: options.target ?? null, window: options.window, cwd: dirname(file) }),
        options.holdout,
      );
      if (options.holdout > 0 && !all.heldOut)
        throw fault('bad_data', {
          source,
          problem: `of ${count(all.train.count, 'row')} none is held out by --holdout ${options.holdout}`,
        });
      const data = all.heldOut ?? all.train;
      const inputs = [file, ...dataFiles(source), ...(options.weights === undefined ? [] : [options.weights])];
      for (const path of [options.out, options.profile]) if (typeof path === 'string') checkOutput(path, inputs);
      const device = await chosen.open(artifact);
      const model = await modelClass(artifact).create({
        seed: options.seed,
        device,
        progress: sayBuild,
        threads: options.threads ?? cores(),
        ...(options.whileLimit !== undefined && { while_limit: options.whileLimit }),
      });
      if (options.weights !== undefined) await readWeights(model, options.weights, true);
      else
        process.stderr.write(
          `${pc.yellow('note')} no --weights: these are the initial values of seed ${options.seed}\n`,
        );

      const profiling = options.profile === undefined ? null : startProfile(device, options.profile);
      const rows = await predict(model, method, data, options.batch);
      if (options.out !== undefined) {
        const bytes = new Uint8Array(rows.values.buffer);
        const dtype = rows.values instanceof Float32Array ? 'F32' : rows.values instanceof Int32Array ? 'I32' : 'U32';
        await writeFileAtomic(
          options.out,
          writeSafetensors(new Map([['result', { dtype, shape: rows.shape, bytes }]])),
        );
        process.stdout.write(`${pc.green('wrote')} ${options.out}: result [${rows.shape.join(', ')}]\n`);
      } else {
        process.stdout.write(`${printRows(rows, data, options.show)}\n`);
      }
      await profiling?.finish();
    });
}

interface Rows {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array | Uint32Array;
}

/** All results side by side along the first dim; a scalar result per batch makes one row per batch. */
async function predict(model: Model, method: MethodEntry, data: DataSet, batch: number): Promise<Rows> {
  const loader = new BatchLoader(matchColumns(data, method), batch);
  const inputs = new InputTensors(method, model.device);
  const parts: Tensor[] = [];
  const values: (Float32Array | Int32Array | Uint32Array)[] = [];
  for (let b = 0; b < loader.batches; b++) {
    const result = model.call(method.name, inputs.fill(loader.batch(b, null)));
    if (!(result instanceof Tensor))
      throw new UsageError(`${method.name} gives more than one tensor: choose a method with a single result`);
    parts.push(result);
    values.push(await result.read());
  }
  const length = values.reduce((n, v) => n + v.length, 0);
  const first = values[0]!;
  const flat =
    first instanceof Float32Array
      ? new Float32Array(length)
      : first instanceof Int32Array
        ? new Int32Array(length)
        : new Uint32Array(length);
  let at = 0;
  for (const v of values) {
    flat.set(v, at);
    at += v.length;
  }
  const tail = parts[0]!.shape.slice(1);
  return { shape: [length / tail.reduce((a, b) => a * b, 1), ...tail], values: flat };
}

function printRows(rows: Rows, data: DataSet, show: number): string {
  const width = rows.values.length / Math.max(1, rows.shape[0]!);
  const labels = data.columns.find((c) => c.name === 'y' && c.data instanceof Int32Array && c.shape.length === 1);
  const classes = rows.values instanceof Float32Array && rows.shape.length === 2 && width > 1;
  const head = ['#', ...(classes ? ['largest'] : []), ...(labels ? ['target'] : []), 'result'];
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  for (let r = 0; r < Math.min(show, rows.shape[0]!); r++) {
    const row = rows.values.subarray(r * width, (r + 1) * width);
    const best = largest(row);
    const target = labels ? labels.data[r]! : null;
    const text = [...row.slice(0, 10)].map((v) => (Number.isInteger(v) ? String(v) : v.toFixed(3))).join(' ');
    table.push([
      String(r),
      ...(classes ? [target === null || target === best ? String(best) : pc.red(String(best))] : []),
      ...(target === null ? [] : [String(target)]),
      width > 10 ? `${text} ...` : text,
    ]);
  }
  return `${table.toString()}\nresult [${rows.shape.join(', ')}] of ${data.count} samples`;
}

/** Index of the largest value; of the first NaN where there is one, as PyTorch's argmax has it. */
function largest(row: ArrayLike<number>): number {
  let best = 0;
  for (let i = 0; i < row.length && !Number.isNaN(row[best]); i++) if (!(row[i]! <= row[best]!)) best = i;
  return best;
}
