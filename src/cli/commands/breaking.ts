/** `netwright breaking`: whether an edit of a network invalidates files of weights, and how they come along. */
import { Command } from 'commander';
import Table from 'cli-table3';
import pc from 'picocolors';
import type { StaticValue } from '../../check/elaborated.ts';
import { count } from '../../diagnostics/words.ts';
import { EXIT, fault } from '../fault.ts';
import { setting } from '../options.ts';
import { compileFile } from '../program.ts';
import { changesBetween, type Change } from '../weights/changes.ts';

interface BreakingOptions {
  readonly block?: string;
  readonly set?: Record<string, StaticValue>;
  readonly json?: boolean;
}

export function breakingCommand(): Command {
  return new Command('breaking')
    .description('Says whether files of weights of one network still fit another one. Exit code 1 where they do not.')
    .argument('<old>', 'the .net file as it was')
    .argument('<new>', 'the .net file as it is')
    .option('--block <name>', 'only this exported block')
    .option('--set <name=value>', 'a hyper-parameter of the blocks (repeatable)', setting)
    .option('--json', 'one object per block')
    .addHelpText('after', '\nExample:\n  git show HEAD:net.net > old.net && netwright breaking old.net net.net')
    .action((before: string, after: string, options: BreakingOptions) => {
      const [old, now] = [before, after].map((file) => compileFile(file, options).blocks.map((b) => b.artifact));
      for (const was of old!) {
        const is = now!.find((b) => b.name === was.name);
        if (!is)
          throw fault('no_such_export', {
            file: after,
            name: was.name,
            exports: now!.map((b) => `\`${b.name}\``).join(', '),
          });
        const { list, migration } = changesBetween(was, is);
        const breaking = list.some((c) => c.breaking);
        if (breaking) process.exitCode = EXIT.fault;
        if (options.json)
          process.stdout.write(`${JSON.stringify({ block: was.name, breaking, changes: list, migration })}\n`);
        else process.stdout.write(report(was.name, was.stateDict.length, list, migration));
      }
    });
}

function report(block: string, total: number, list: readonly Change[], migration: readonly string[]): string {
  const broken = list.filter((c) => c.breaking).length;
  const verdict =
    broken > 0
      ? `${pc.red('breaking')} ${block}: ${count(broken, 'change')} that old files of weights do not fit\n`
      : `${pc.green('compatible')} ${block}: files of weights fit as they are (${count(total, 'tensor')})\n`;
  if (list.length === 0) return verdict;
  const table = new Table({ head: ['change', 'name', ''], style: { head: [], border: [], compact: true } });
  for (const c of list) table.push([c.kind, c.name, c.what]);
  return `${table.toString()}\n${verdict}${migration.length === 0 ? advice(list) : `bring a file along:\n  netwright convert old.safetensors new.safetensors ${migration.join(' ')}\n${advice(list)}`}`;
}

/** What no conversion can do. */
function advice(list: readonly Change[]): string {
  const lines: string[] = [];
  if (list.some((c) => c.kind === 'added' || c.kind === 'removed'))
    lines.push('load with { strict: false }: what is new keeps its initial values, what is no more is left out');
  if (list.some((c) => c.kind === 'shape' && !c.what.endsWith('transpose')))
    lines.push('tensors of another shape must be trained anew: leave them out with --only');
  if (list.some((c) => c.kind === 'tied')) lines.push('of names that are now one tensor, the last in the file counts');
  return lines.map((l) => `${l}\n`).join('');
}
