/** `netwright inspect`: what a file of weights holds. */
import { Command } from 'commander';
import Table from 'cli-table3';
import { openWeights } from '../../runtime/weights.ts';
import { statsOf, type Stats } from '../weights/stats.ts';
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
      for (const [name, t] of file.tensors) {
        const { dtype, shape, nbytes: bytes } = t;
        const stored = 'stored' in t && typeof t.stored === 'string' && t.stored !== dtype ? { stored: t.stored } : {};
        rows.push({ name, dtype, ...stored, shape, bytes, ...(options.stats ? { stats: await statsOf(t) } : {}) });
      }
      await file.close();
      if (options.json) {
        const metadata = [...file.metadata];
        // Pairs: a note may be called "__proto__".
        process.stdout.write(`${JSON.stringify({ format: file.format, tensors: rows, metadata })}\n`);
        return;
      }
      process.stdout.write(`${table(rows, options.stats ?? false)}\n`);
      for (const [k, v] of file.metadata) process.stdout.write(`${plain(k)}: ${plain(short(v))}\n`);
      const values = rows.reduce((n, r) => n + r.shape.reduce((a, b) => a * b, 1), 0);
      const bytes = rows.reduce((n, r) => n + r.bytes, 0);
      process.stdout.write(`${file.format}: ${rows.length} tensors, ${grouped(values)} values, ${bytesText(bytes)}\n`);
    });
}

function table(rows: readonly Row[], stats: boolean): string {
  const head = ['name', 'type', 'shape', 'bytes', ...(stats ? ['min', 'max', 'mean', 'NaN'] : [])];
  const out = new Table({ head, style: { head: [], border: [], compact: true } });
  const number = (v: number | undefined): string => (v === undefined ? '' : String(Number(v.toPrecision(5))));
  for (const r of rows) {
    out.push([
      plain(short(r.name)),
      r.stored === undefined ? r.dtype : `${r.dtype} (${r.stored})`,
      `[${r.shape.join(', ')}]`,
      grouped(r.bytes),
      ...(stats ? [number(r.stats?.min), number(r.stats?.max), number(r.stats?.mean), number(r.stats?.nan)] : []),
    ]);
  }
  return out.toString();
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
