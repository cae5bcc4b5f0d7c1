/** The command line: parses arguments, calls one command, turns faults into coded diagnostics and exit codes. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { buildCommand } from './commands/build.ts';
import { checkCommand } from './commands/check.ts';
import { predictCommand } from './commands/predict.ts';
import { summaryCommand } from './commands/summary.ts';
import { trainCommand } from './commands/train.ts';
import { EXIT, reportFault } from './fault.ts';

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

const program = new Command('netwright')
  .description(
    'Compiles neural networks written as .net files: checks shapes, trains, writes typed TypeScript modules.',
  )
  .version(version)
  .showHelpAfterError('(netwright --help shows the commands, netwright COMMAND --help their options)')
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 a fault in the program or its input, 2 wrong usage, 130 interrupted.\nA code such as NW3001 has a page in docs/diagnostics/.',
  );

for (const command of [checkCommand(), buildCommand(), trainCommand(), predictCommand(), summaryCommand()]) {
  command.exitOverride();
  program.addCommand(command);
}
program.exitOverride();

try {
  await program.parseAsync();
} catch (e) {
  // Help and version end this way too, with code 0.
  if (e instanceof CommanderError) process.exitCode = e.exitCode === 0 ? EXIT.ok : EXIT.usage;
  else process.exitCode = reportFault(e, process.argv.includes('--json'));
}
