/** `netwright diff`: whether two files hold the same tensors, and how far their values are apart. */
import { Command, InvalidArgumentError } from 'commander';
import type { FileTensor } from '../../runtime/formats/checkpoint.ts';
import { count } from '../../diagnostics/words.ts';
import { openWeights, withTies } from '../../runtime/weights.ts';
import { EXIT } from '../fault.ts';
import { differenceOf } from '../weights/stats.ts';
import { nameTable, shortNumber } from '../weights/table.ts';
import { plain } from './inspect.ts';

interface DiffOptions {
  readonly tolerance: number;
  readonly json?: boolean;
}

interface Finding {
  readonly name: string;
  readonly what: string;
  readonly count?: number;
  readonly largest?: number | null;
}

export function diffCommand(): Command {
  return new Command('diff')
    .description('Compares the tensors of two files by name, in any formats. Exit code 1 where they differ.')
    .argument('<a>', 'a file of weights')
    .argument('<b>', 'another one')
    .option('--tolerance <number>', 'values that far apart are equal', tolerance, 0)
    .option('--json', 'one object per difference')
    .addHelpText('after', '\nExample:\n  netwright diff before.safetensors after.pt --tolerance 1e-6')
    .action(async (a: string, b: string, options: DiffOptions) => {
      const [first, second] = [await openWeights(a), await openWeights(b)];
      const found: Finding[] = [];
      const [left, right] = [withTies(first), withTies(second)];
      for (const [name, t] of left) {
        const other = right.get(name);
        const finding = other ? await compare(name, t, other, options.tolerance) : { name, what: `only in ${a}` };
        if (finding) found.push(finding);
      }
      for (const name of right.keys()) if (!left.has(name)) found.push({ name, what: `only in ${b}` });
      await Promise.all([first.close(), second.close()]);
      if (found.length > 0) process.exitCode = EXIT.fault;
      if (options.json) for (const f of found) process.stdout.write(`${JSON.stringify(f)}\n`);
      else process.stdout.write(`${report(found, left.size)}\n`);
    });
}

async function compare(name: string, a: FileTensor, b: FileTensor, limit: number): Promise<Finding | null> {
  const shapes = [a, b].map((t) => `[${t.shape.join(', ')}]`);
  if (shapes[0] !== shapes[1]) return { name, what: `${shapes[0]} and ${shapes[1]}` };
  const { count: many, largest } = await differenceOf(a, b);
  const types = a.dtype === b.dtype ? `values, ${a.dtype}` : `${a.dtype} and ${b.dtype}`;
  // With a tolerance the question is about values; without one an element type is a difference too.
  if (many === 0 || (largest !== null && largest <= limit))
    return a.dtype === b.dtype || limit > 0 ? null : { name, what: types, count: 0, largest: 0 };
  return { name, what: types, count: many, largest };
}

function report(found: readonly Finding[], total: number): string {
  if (found.length === 0) return `equal: ${total} tensors`;
  const far = (v: number | null | undefined): string =>
    v === undefined || v === null ? '' : Number.isFinite(v) ? shortNumber(v) : 'NaN or infinite';
  const table = nameTable(
    ['name', 'difference', 'how many', 'largest'],
    found.map((f) => [plain(f.name), f.what, f.count === undefined ? '' : String(f.count), far(f.largest)]),
  );
  return `${table}\n${count(found.length, 'difference')}`;
}

function tolerance(text: string): number {
  const n = Number(text);
  if (text.trim() === '' || !(n >= 0)) throw new InvalidArgumentError('It must be a number from 0.');
  return n;
}
