/** `netwright check`: names, types and shapes of files; all faults in one run. */
import { Command } from 'commander';
import pc from 'picocolors';
import { EXIT, Fault, printDiagnostics, toFault } from '../fault.ts';
import { openFile } from '../program.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description('Checks names, types and shapes; prints every fault with its place and what to do.')
    .argument('<files...>', '.net files')
    .option('--json', 'one JSON object per fault on standard output')
    .addHelpText('after', '\nExample:\n  netwright check examples/*.net')
    .action((files: string[], options: { json?: boolean }) => {
      let errors = 0;
      for (const file of files) {
        const opened = attempt(file);
        if (opened instanceof Fault) {
          printDiagnostics(opened.diagnostics, opened.sources, options.json ?? false);
          errors += opened.diagnostics.length;
          continue;
        }
        const { path, project } = opened;
        printDiagnostics(project.bag.all, project.sources, options.json ?? false);
        errors += project.bag.errorCount;
        if (!options.json && !project.bag.hasErrors) process.stdout.write(`${pc.green('ok')} ${path}\n`);
      }
      if (errors > 0) {
        if (!options.json) process.stderr.write(`${errors} ${errors === 1 ? 'error' : 'errors'}\n`);
        process.exitCode = EXIT.fault;
      }
    });
}

/** A file that cannot be read is one fault among the others: the files after it are checked too. */
function attempt(file: string): ReturnType<typeof openFile> | Fault {
  try {
    return openFile(file);
  } catch (e) {
    const fault = toFault(e);
    if (fault.isInternal) throw e;
    return fault;
  }
}
