/** The command line: parses arguments, calls one command, turns faults into coded diagnostics and exit codes. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { breakingCommand } from './commands/breaking.ts';
import { buildCommand } from './commands/build.ts';
import { checkCommand } from './commands/check.ts';
import { devicesCommand } from './commands/devices.ts';
import { fmtCommand } from './commands/fmt.ts';
import { generateCommand } from './commands/generate.ts';
import { convertCommand } from './commands/convert.ts';
import { diffCommand } from './commands/diff.ts';
import { inspectCommand } from './commands/inspect.ts';
import { predictCommand } from './commands/predict.ts';
import { summaryCommand } from './commands/summary.ts';
import { trainCommand } from './commands/train.ts';
import { tuneCommand } from './commands/tune.ts';
import { EXIT, fault, reportFault, type Fault } from './fault.ts';
import { revectorize } from './revectorize.ts';

const version = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

const program = new Command('netwright')
  .description(
    'Compiles neural networks written as .net files: checks shapes, trains, writes typed TypeScript modules.',
  )
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: () => undefined }) // said below, as a diagnostic
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 a fault in the program or its input, 2 wrong usage, 70 a mistake of netwright itself, 130 interrupted.\nA code such as NW3001 has a page in docs/diagnostics/.',
  );

const COMMANDS = [
  checkCommand,
  buildCommand,
  trainCommand,
  predictCommand,
  generateCommand,
  summaryCommand,
  devicesCommand,
  inspectCommand,
  convertCommand,
  diffCommand,
  breakingCommand,
  fmtCommand,
  tuneCommand,
];
for (const command of COMMANDS.map((make) => make())) {
  program.addCommand(command.copyInheritedSettings(program));
}

// A reader such as `head` may go away before the end: nobody is left to tell.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (e: NodeJS.ErrnoException) => {
    if (e.code !== 'EPIPE') throw e;
    process.exit(EXIT.reader);
  });
}

revectorize();
try {
  await program.parseAsync();
} catch (e) {
  const json = process.argv.includes('--json');
  if (!(e instanceof CommanderError)) process.exitCode = reportFault(e, json);
  // Help that was asked for ends this way too; help in place of a missing verb is wrong usage.
  else if (e.exitCode === 0) process.exitCode = EXIT.ok;
  else if (e.code === 'commander.help') process.exitCode = EXIT.usage;
  else process.exitCode = reportFault(usageFault(e), json);
}

/** Commander's message without its prefix; its suggestion, on a line of its own, becomes the help. */
function usageFault(e: CommanderError): Fault {
  const [problem = '', suggestion] = e.message.replace(/^error: /, '').split('\n');
  const verb = program.commands.find((c) => c.name() === process.argv[2])?.name();
  const help =
    suggestion?.replace(/^\(Did (.*)\)$/, 'did $1') ?? `see: netwright ${verb === undefined ? '' : `${verb} `}--help`;
  return fault('wrong_usage', { problem }, help);
}
