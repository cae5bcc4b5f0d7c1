/** `netwright check`: names, types and shapes of files; all faults in one run. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import pc from 'picocolors';
import { openProject } from '../../compile.ts';
import { EXIT, fault, printDiagnostics } from '../fault.ts';
import { diskHost, locate } from '../host.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description('Checks names, types and shapes; prints every fault with its place and what to do.')
    .argument('<files...>', '.net files')
    .option('--json', 'one JSON object per fault on standard output')
    .addHelpText('after', '\nExample:\n  netwright check examples/*.net')
    .action((files: string[], options: { json?: boolean }) => {
      let errors = 0;
      for (const file of files) {
        if (!existsSync(file)) throw fault('file_not_found', { path: file });
        const { root, path } = locate(file);
        const project = openProject(diskHost(root), path);
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
