/** What `netwright tune` shows: how far it is, and what it found. */
import { Presets, SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import pc from 'picocolors';
import type { Answer } from '../tune/measure.ts';

export interface TuneProgress {
  readonly at: (index: number, key: string) => void;
  readonly stop: () => void;
}

/** A bar on a terminal, nothing elsewhere: the table follows. */
export function tuneProgress(total: number, out: NodeJS.WriteStream): TuneProgress {
  if (!out.isTTY) return { at: () => undefined, stop: () => undefined };
  const bar = new SingleBar(
    {
      format: `${pc.cyan('{bar}')} {value} of {total}  {key}`,
      stream: out,
      hideCursor: true,
      clearOnComplete: true,
      linewrap: false,
      barsize: 24,
      gracefulExit: false,
    },
    Presets.shades_classic,
  );
  let started = false;
  return {
    at: (index, key) => {
      if (!started) bar.start(total, 0, { key });
      started = true;
      bar.update(index, { key });
    },
    stop: () => bar.stop(),
  };
}

export function tuneTable(answers: readonly Answer[]): string {
  const table = new Table({
    head: ['what', 'usual', 'us', 'chosen', 'us', 'gain'],
    colAligns: ['left', 'left', 'right', 'left', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  const us = (ms: number): string => (1000 * ms).toFixed(1);
  for (const { question, chosen, usual, best } of answers)
    table.push([
      question.key,
      question.names[0]!,
      us(usual),
      ...(chosen === 0
        ? ['', '', '']
        : [question.names[chosen]!, us(best), pc.green(`${(100 * (1 - best / usual)).toFixed(0)} %`)]),
    ]);
  return `${table.toString()}\n`;
}
