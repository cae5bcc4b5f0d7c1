/**
 * Files of weights beside `cp`, on one disk in one run: `npm run bench -- --files [--gigabytes 1] [--rounds 5] [--folder DIR]`. Reading is
 * held against `cp`, writing against `cp` and `sync` of the copy. They take turns, each in a process of its own.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { FILE_WORKS } from './file-works.ts';

export interface FileOptions {
  readonly gigabytes: number;
  readonly rounds: number;
  readonly folder: string | null;
}

const CP = {
  read: { title: 'cp', command: 'cp "$1" "$2"' },
  write: { title: 'cp and sync', command: 'cp "$1" "$2" && sync "$2"' },
} as const;

export function benchFiles({ gigabytes, rounds, folder }: FileOptions): void {
  const at = mkdtempSync(join(folder ?? tmpdir(), 'netwright-files-'));
  const [file, copy] = [join(at, 'model.safetensors'), join(at, 'copy.safetensors')];
  const work = (name: string): number => {
    const args = ['bench/file-works.ts', name, file, copy, String(gigabytes * 1e9)];
    return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }).trim().split('\n').at(-1));
  };
  const shell = (command: string): number => {
    const started = performance.now();
    execFileSync('sh', ['-c', command, 'sh', file, copy]);
    return performance.now() - started;
  };
  const table = new Table({
    head: ['what', 'beside', 'min ms', 'median ms', 'own min', 'own median', 'min ratio', 'median ratio'],
    style: { head: [], border: [], compact: true },
  });
  try {
    work('make');
    for (const kind of ['read', 'write'] as const) {
      const names = Object.keys(FILE_WORKS).filter((n) => FILE_WORKS[n]!.kind === kind);
      // A copy before each work, so that both meet the machine in the same state.
      const times = names.map((name) => ({ name, cp: [] as number[], own: [] as number[] }));
      for (let round = 0; round < rounds; round++) {
        for (const { name, cp, own } of times) {
          rmSync(copy, { force: true });
          cp.push(shell(CP[kind].command));
          rmSync(copy, { force: true });
          own.push(work(name));
        }
      }
      for (const { name, cp, own } of times) {
        const ratios = [least, median].map((of) => `${(of(own) / of(cp)).toFixed(2)}x`);
        const cells = [least(cp), median(cp), least(own), median(own)].map((ms) => ms.toFixed(0));
        table.push([FILE_WORKS[name]!.title, CP[kind].title, ...cells, ...ratios]);
      }
    }
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
  console.log(`${gigabytes} GB of safetensors in ${folder ?? tmpdir()}, ${rounds} rounds`);
  console.log(table.toString());
}

const least = (ms: readonly number[]): number => Math.min(...ms);
const median = (ms: readonly number[]): number => ms.toSorted((a, b) => a - b)[Math.floor(ms.length / 2)]!;
