/** `netwright convert`: a file of weights in another format, with other names, types or orientation. */
import { Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import type { FileTensor } from '../../runtime/formats/checkpoint.ts';
import { openWeights, withTies } from '../../runtime/weights.ts';
import { count } from '../../diagnostics/words.ts';
import { fault } from '../fault.ts';
import { positiveInt } from '../options.ts';
import { checkOutput } from '../output.ts';
import { castFloat, floatType, transposed } from '../weights/cast.ts';
import { writeWeights } from '../weights/write.ts';

interface Rename {
  readonly from: RegExp;
  readonly to: string;
}

interface ConvertOptions {
  readonly cast?: string;
  readonly rename?: readonly Rename[];
  readonly transpose?: readonly RegExp[];
  readonly only?: readonly RegExp[];
  readonly shard?: number;
}

export function convertCommand(): Command {
  return new Command('convert')
    .description('Writes a file of weights in the format that the ending of the second one says.')
    .argument('<from>', 'safetensors, PyTorch, NumPy or GGUF, by its content')
    .argument('<to>', '.safetensors, model.safetensors.index.json (several files), .pt, .pth, .npz, .npy')
    .option('--cast <type>', 'floats become f64, f32, f16 or bf16', floatType)
    .option('--rename <pattern=text>', 'a regular expression in every name becomes the text (repeatable)', rename)
    .option('--transpose <pattern>', 'matrices whose name matches are transposed (repeatable)', pattern)
    .option('--only <pattern>', 'tensors whose name matches, and no others (repeatable)', pattern)
    .option('--shard <bytes>', 'at most so many bytes in each of several files', positiveInt)
    .addHelpText(
      'after',
      "\nExample:\n  netwright convert model.pt model.safetensors --cast bf16 --rename '^module\\.='",
    )
    .action(async (from: string, to: string, options: ConvertOptions) => {
      checkOutput(to, [from]);
      const file = await openWeights(from);
      const out = new Map<string, FileTensor>();
      const made = new Map<FileTensor, FileTensor>();
      for (const [name, t] of withTies(file)) {
        if (options.only && !options.only.some((p) => p.test(name))) continue;
        const renamed = (options.rename ?? []).reduce((n, r) => n.replace(r.from, r.to), name);
        if (out.has(renamed)) throw fault('wrong_usage', { problem: `two tensors would be called ${renamed}` });
        // One object for one tensor: what is tied stays tied.
        const turn = options.transpose?.some((p) => p.test(name)) ?? false;
        let changed = turn ? undefined : made.get(t);
        if (!changed) {
          changed = turn ? transposed(name, t) : t;
          if (options.cast !== undefined) changed = castFloat(name, changed, options.cast);
          if (!turn) made.set(t, changed);
        }
        out.set(renamed, changed);
      }
      // Notes of ties are made anew, by the new names.
      const notes = [...file.metadata].filter(([, v]) => !file.tensors.has(v));
      await writeWeights(to, out, new Map(notes), options.shard);
      await file.close();
      const lost = notes.filter(([k]) => k !== 'format').length;
      if (lost > 0 && !/\.safetensors(\.index\.json)?$/.test(to))
        process.stderr.write(
          `${pc.yellow('note')} ${count(lost, 'note')} of ${from} left out: only safetensors has a place for them\n`,
        );
      process.stdout.write(`${pc.green('wrote')} ${to}: ${out.size} tensors\n`);
    });
}

function expression(text: string): RegExp {
  try {
    return new RegExp(text, 'u');
  } catch {
    throw new InvalidArgumentError('It must be a regular expression.');
  }
}

const pattern = (text: string, previous: readonly RegExp[] = []): RegExp[] => [...previous, expression(text)];

function rename(text: string, previous: readonly Rename[] = []): Rename[] {
  const at = text.lastIndexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be pattern=text.');
  return [...previous, { from: expression(text.slice(0, at)), to: text.slice(at + 1) }];
}
