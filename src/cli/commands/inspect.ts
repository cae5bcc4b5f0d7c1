/** `netwright inspect`: what a file of weights holds. */
import { Command } from 'commander';
import type { FileTensor } from '../../runtime/formats/checkpoint.ts';
import { count } from '../../diagnostics/words.ts';
import { openWeights, withTies } from '../../runtime/weights.ts';
import { statsOf, type Stats } from '../weights/stats.ts';
import { nameTable, shortNumber } from '../weights/table.ts';
import { bytesText, grouped } from '../summary/table.ts';

interface InspectOptions {
  readonly stats?: boolean;
  readonly json?: boolean;
}

interface Row {
  readonly name: string;
  readonly dtype: string;
  /** As the file packs it, where that is not `dtype`. */
  readonly stored?: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly stats?: Stats | null;
  /** The name of the same tensor that stands before. */
  readonly tied?: string;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('Prints what a file of weights holds: safetensors, PyTorch, NumPy or GGUF, by its content.')
    .argument('<file>', 'a file of weights, or the index of several')
    .option('--stats', "the values' minimum, maximum and mean, and how many are NaN")
    .option('--json', 'the table as JSON')
    .addHelpText('after', '\nExample:\n  netwright inspect model.pt --stats')
    .action(async (path: string, options: InspectOptions) => {
      const file = await openWeights(path);
      const rows: Row[] = [];
      const first = new Map<FileTensor, string>();
      for (const [name, t] of withTies(file)) {
        const { dtype, shape, nbytes: bytes } = t;
        const stored = 'stored' in t && typeof t.stored === 'string' && t.stored !== dtype ? { stored: t.stored } : {};
        const kept = first.get(t);
        const tied = kept === undefined ? {} : { tied: kept };
        if (kept === undefined) first.set(t, name);
        const stats = options.stats ? { stats: await statsOf(t) } : {};
        rows.push({ name, dtype, ...stored, shape, bytes, ...stats, ...tied });
      }
      await file.close();
      if (options.json) {
        const metadata = [...file.metadata];
        // Pairs: a note may be called "__proto__".
        process.stdout.write(`${JSON.stringify({ format: file.format, tensors: rows, metadata })}\n`);
        return;
      }
      process.stdout.write(`${table(rows, options.stats ?? false)}\n`);
      for (const [k, v] of file.metadata)
        if (!file.tensors.has(v)) process.stdout.write(`${plain(k)}: ${plain(short(v))}\n`);
      const own = rows.filter((r) => r.tied === undefined);
      const values = own.reduce((n, r) => n + r.shape.reduce((a, b) => a * b, 1), 0);
      const bytes = own.reduce((n, r) => n + r.bytes, 0);
      const ties = rows.length > own.length ? ` under ${rows.length} names` : '';
      process.stdout.write(
        `${file.format}: ${count(own.length, 'tensor')}${ties}, ${grouped(values)} values, ${bytesText(bytes)}\n`,
      );
    });
}

function table(rows: readonly Row[], stats: boolean): string {
  const head = ['name', 'type', 'shape', 'bytes', ...(stats ? ['min', 'max', 'mean', 'NaN'] : [])];
  const number = (v: number | undefined): string => (v === undefined ? '' : shortNumber(v));
  return nameTable(
    head,
    rows.map((r) => [
      plain(short(r.name)),
      r.stored === undefined ? r.dtype : `${r.dtype} (${r.stored})`,
      `[${r.shape.join(', ')}]`,
      r.tied === undefined ? grouped(r.bytes) : `is ${plain(short(r.tied))}`,
      ...(stats ? [number(r.stats?.min), number(r.stats?.max), number(r.stats?.mean), number(r.stats?.nan)] : []),
    ]),
  );
}

const short = (v: string): string => (v.length > 100 ? `${v.slice(0, 100)}... (${v.length} characters)` : v);

/** A file's own text must not speak to the terminal. */
export const plain = (name: string): string =>
  /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(name) || name === ''
    ? JSON.stringify(name).replace(
        /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
        (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
      )
    : name;
