/** `netwright check`: names, types and shapes of files; all faults in one run. */
import { Command } from 'commander';
import Table from 'cli-table3';
import pc from 'picocolors';
import { elaborate } from '../../check/index.ts';
import type { StaticValue } from '../../check/elaborated.ts';
import { checkGradients, type GradientCheck } from '../../check-gradients.ts';
import type { OpenProject } from '../../compile.ts';
import { Lines } from '../../diagnostics/lines.ts';
import { AutodiffFault } from '../../ir/passes/autodiff.ts';
import { EXIT, Fault, printDiagnostics, toFault } from '../fault.ts';
import { positiveNumber, setting, wholeNumber } from '../options.ts';
import { openFile } from '../program.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description('Checks names, types and shapes; prints every fault with its place and what to do.')
    .argument('<files...>', '.net files')
    .option('--grad', 'compare stated gradients and the gradients of losses with differences of their values')
    .option('--seed <n>', 'where --grad looks (default 0)', wholeNumber)
    .option('--seconds <n>', 'of --grad: for each gradient', positiveNumber, 20)
    .option('--set <name=value>', 'of --grad: a hyper-parameter of the blocks (repeatable)', setting)
    .option('--json', 'one JSON object per fault on standard output')
    .addHelpText('after', '\nExample:\n  netwright check examples/*.net')
    .action((files: string[], options: CheckOptions) => {
      let errors = 0;
      for (const file of files) {
        const opened = attempt(file);
        if (opened instanceof Fault) {
          printDiagnostics(opened.diagnostics, opened.sources, options.json ?? false);
          errors += opened.diagnostics.length;
          continue;
        }
        const { path, project } = opened;
        const rows = options.grad && !project.bag.hasErrors ? gradients(project, options) : [];
        printDiagnostics(project.bag.all, project.sources, options.json ?? false);
        errors += project.bag.errorCount;
        if (!options.json && rows.length > 0) process.stdout.write(`${table(rows, project)}\n`);
        if (!options.json && !project.bag.hasErrors) process.stdout.write(`${pc.green('ok')} ${path}\n`);
      }
      if (errors > 0) {
        if (!options.json) process.stderr.write(`${errors} ${errors === 1 ? 'error' : 'errors'}\n`);
        process.exitCode = EXIT.fault;
      }
    });
}

interface CheckOptions {
  readonly json?: boolean;
  readonly grad?: boolean;
  readonly seed?: number;
  readonly seconds: number;
  readonly set?: Record<string, StaticValue>;
}

/** Of all exported blocks. Where a gradient disagrees, the bag gets a fault at its line. */
function gradients(project: OpenProject, { seed, seconds, set }: CheckOptions): GradientCheck[] {
  return project.exports.flatMap((name) => {
    const block = elaborate(project.project, name, set ?? {}, project.bag);
    if (!block || project.bag.hasErrors) return [];
    try {
      const checks = checkGradients(block, seed ?? 0, { seconds, clock: () => performance.now() });
      for (const { what, origin, outcome } of checks) {
        if (outcome.kind !== 'disagrees') continue;
        const [found, expected] = [outcome.found, outcome.expected].map((x) => x.toPrecision(6));
        project.bag.report('gradient_disagrees', { what, found: found!, expected: expected! }, origin.span);
      }
      return checks;
    } catch (e) {
      if (!(e instanceof AutodiffFault)) throw e;
      project.bag.report('not_differentiable', { loss: block.train?.loss ?? 'loss', reason: e.message }, e.origin.span);
      return [];
    }
  });
}

function table(rows: readonly GradientCheck[], project: OpenProject): string {
  const t = new Table({
    head: ['gradient', 'where', 'result', 'draws', 'largest error'],
    style: { head: [], border: [] },
  });
  for (const { what, origin, outcome } of rows) {
    const { file, start } = origin.span;
    const text = project.sources.get(file);
    const where = text === undefined ? file : `${file}:${new Lines(text).position(start).line}`;
    if (outcome.kind === 'agrees') t.push([what, where, 'agrees', outcome.draws, outcome.error.toExponential(1)]);
    else if (outcome.kind === 'disagrees') t.push([what, where, 'disagrees', '', '']);
    else t.push([what, where, `not checked: ${outcome.reason}`, '', '']);
  }
  return t.toString();
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
