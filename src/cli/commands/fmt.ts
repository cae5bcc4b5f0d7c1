/** `netwright fmt`: writes files in the one layout of the language, or says which of them are not in it. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import pc from 'picocolors';
import { DiagnosticBag, type Diagnostic } from '../../diagnostics/index.ts';
import { loadFormatter, type Format } from '../../format/format.ts';
import { parse } from '../../parser/index.ts';
import { EXIT, fault, printDiagnostics } from '../fault.ts';
import { locate } from '../host.ts';

interface Options {
  readonly check?: boolean;
  readonly json?: boolean;
}

export function fmtCommand(): Command {
  return new Command('fmt')
    .description('Formats files in place; a file with syntax errors is left alone. Needs prettier to be installed.')
    .argument('<paths...>', '.net files, or folders with such files in them')
    .option('--check', 'change nothing; fail where a file is not formatted')
    .option('--json', 'one JSON object per fault on standard output')
    .addHelpText('after', '\nExamples:\n  netwright fmt lenet.net\n  netwright fmt --check examples')
    .action(async (paths: string[], options: Options) => {
      const missing = paths.find((path) => !existsSync(path));
      if (missing !== undefined) throw fault('file_not_found', { path: missing });
      const format = await loadFormatter();
      if (!format) throw fault('no_formatter', {});
      let failed = false;
      for (const file of paths.flatMap(filesIn)) {
        const faults = await formatFile(file, format, options);
        failed ||= faults;
      }
      if (failed) process.exitCode = EXIT.fault;
    });
}

/** A file, or the `.net` files of a folder and those in it, but for hidden ones and what npm installed. */
function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const entries = readdirSync(path, { withFileTypes: true }).filter(
    (e) => !e.name.startsWith('.') && e.name !== 'node_modules',
  );
  return entries.flatMap((e) => {
    if (e.isDirectory()) return filesIn(join(path, e.name));
    return e.name.endsWith('.net') ? [join(path, e.name)] : [];
  });
}

/** Whether there was something to complain about. */
async function formatFile(file: string, format: Format, { check = false, json = false }: Options): Promise<boolean> {
  const { path } = locate(file);
  const text = readFileSync(file, 'utf8');
  const report = (all: readonly Diagnostic[]): true => {
    printDiagnostics(all, new Map([[path, text]]), json);
    return true;
  };
  const bag = new DiagnosticBag();
  parse(text, path, bag);
  if (bag.hasErrors) return report(bag.all);
  const formatted = await format(text);
  if (formatted === text) return false;
  if (check) return report(fault('not_formatted', { path }).diagnostics);
  writeFileSync(file, formatted);
  if (!json) process.stdout.write(`${pc.green('formatted')} ${path}\n`);
  return false;
}
