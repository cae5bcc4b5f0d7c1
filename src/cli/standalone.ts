/** `netwright build --target c`: a block as a C99 file with its header and an example of a main program. */
import { basename, join } from 'node:path';
import pc from 'picocolors';
import type { StaticValue } from '../check/elaborated.ts';
import type { TrainSettings } from '../check/index.ts';
import { compileToC } from '../compile.ts';
import { writeFileAtomic } from '../runtime/node/files.ts';
import { Fault, fault, printDiagnostics } from './fault.ts';
import { checkOutput } from './output.ts';
import { openFile } from './program.ts';

export interface StandaloneOptions {
  readonly block?: string;
  readonly set?: Readonly<Record<string, StaticValue>>;
  readonly train?: TrainSettings;
  readonly dim?: Readonly<Record<string, number>>;
  readonly out?: string;
  readonly check?: boolean;
  readonly json?: boolean;
}

export async function buildC(file: string, options: StandaloneOptions): Promise<void> {
  if (options.check)
    throw fault('wrong_usage', { problem: '--check compares modules: it does not go with --target c' });
  const { root, path, project } = openFile(file);
  if (project.bag.hasErrors) throw new Fault(project.bag.all, project.sources);
  const { exports } = project;
  const block = options.block ?? exports[0];
  if (block === undefined) throw fault('nothing_exported', { file: path });
  const names = exports.map((n) => `\`${n}\``).join(', ');
  if (!exports.includes(block)) throw fault('no_such_export', { file: path, name: block, exports: names });
  if (options.block === undefined && exports.length > 1) throw fault('which_block', { file: path, exports: names });
  const base = (options.out ?? `${join(root, path)}.c`).replace(/\.c$/, '');
  const made = compileToC(project, block, {
    hyper: options.set ?? {},
    train: options.train ?? {},
    dims: new Map(Object.entries(options.dim ?? {})),
    header: `${basename(base)}.h`,
  });
  if (!made) throw new Fault(project.bag.all, project.sources);
  printDiagnostics(project.bag.all, project.sources, options.json ?? false);
  if (made.violated !== null) throw fault('wrong_usage', { problem: `the sizes do not fit: ${made.violated}` });
  for (const [to, text] of [
    [`${base}.c`, made.code],
    [`${base}.h`, made.header],
    [`${base}_main.c`, made.main],
  ] as const) {
    checkOutput(to, [file]);
    await writeFileAtomic(to, text);
    process.stdout.write(`${pc.green('wrote')} ${to} (${(text.length / 1024).toFixed(0)} kB)\n`);
  }
  process.stdout.write(
    `${(made.bytes / 1e6).toFixed(1)} MB of static memory; cc -std=c99 -O2 ${basename(base)}.c ${basename(base)}_main.c -lm\n`,
  );
  if (made.sized.length > 0)
    process.stdout.write(
      `sizes that no --dim fixes are arguments, and memory is the caller's: see ${made.sized.join(', ')}\n`,
    );
}
