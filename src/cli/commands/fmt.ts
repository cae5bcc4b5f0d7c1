/** `netwright fmt`: writes files in the one layout of the language, or says which of them are not in it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
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
    .argument('<files...>', '.net files')
    .option('--check', 'change nothing; fail where a file is not formatted')
    .option('--json', 'one JSON object per fault on standard output')
    .addHelpText('after', '\nExamples:\n  netwright fmt lenet.net\n  netwright fmt --check examples/*.net')
    .action(async (files: string[], options: Options) => {
      const missing = files.find((file) => !existsSync(file));
      if (missing !== undefined) throw fault('file_not_found', { path: missing });
      const format = await loadFormatter();
      if (!format) throw fault('no_formatter', {});
      let failed = false;
      for (const file of files) {
        const faults = await formatFile(file, format, options);
        failed ||= faults;
      }
      if (failed) process.exitCode = EXIT.fault;
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
