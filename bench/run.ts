/**
 * Speed beside the peers, all in one run on one machine: `npm run bench -- --help`. Every measurement is a process of its own;
 * implementations take turns within a round, and minima and medians are over all rounds. Writes JSON and a chart.
 * Figures of different runs are never compared: only the ratios of one run mean something.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { chart } from './chart.ts';
import { ceilings } from './ceiling.ts';
import { benchFiles } from './files.ts';
import type { Measured } from './measure.ts';
import { implementations, type Implementation } from './implementations.ts';
import { WORKLOADS } from './spec.ts';
import { benchStartup } from './startup.ts';
import { benchGpu } from './webgpu.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '.' },
    peers: { type: 'string', default: 'Netwright|eager' },
    threads: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '2.5' },
    rounds: { type: 'string', default: '1' },
    out: { type: 'string', default: 'bench/out' },
    device: { type: 'string', default: 'cpu' },
    small: { type: 'boolean', default: false },
    startup: { type: 'boolean', default: false },
    files: { type: 'boolean', default: false },
    gigabytes: { type: 'string', default: '1' },
    folder: { type: 'string' },
    'peak-gflops': { type: 'string' },
    'peak-gbs': { type: 'string' },
    help: { type: 'boolean' },
  },
});

if (values.help) {
  console.log(`npm run bench -- [--only REGEX] [--peers REGEX] [--threads 1,2] [--seconds 2.5] [--rounds 1] [--out bench/out]
npm run bench -- --device webgpu [--small] [--peak-gflops N] [--peak-gbs N] [--seconds 2.5]
npm run bench -- --startup      compile time, bytes of a page, process start to first output
npm run bench -- --files [--gigabytes 1] [--rounds 5] [--folder DIR]

workloads: W1_64 ... W1_1024 ${Object.keys(WORKLOADS).join(' ')}   (bench/README.md says what each is)
peers: ${implementations(1)
    .map((i) => i.name)
    .join(', ')}
PyTorch needs NETWRIGHT_PYTHON, a Python with torch==2.13.0 and numpy.`);
  process.exit(0);
}

if (values.startup) {
  benchStartup();
  process.exit(0);
}

if (values.files) {
  const { gigabytes, rounds, folder = null } = values;
  benchFiles({ gigabytes: Number(gigabytes), rounds: Number(rounds), folder });
  process.exit(0);
}

if (values.device.startsWith('webgpu')) {
  const peak = (text: string | undefined): number | null => (text === undefined ? null : Number(text));
  const [peakGflops, peakGbs] = [peak(values['peak-gflops']), peak(values['peak-gbs'])];
  await benchGpu({ device: values.device, seconds: Number(values.seconds), small: values.small, peakGflops, peakGbs });
  process.exit(0);
}

export interface Row {
  readonly workload: string;
  readonly implementation: string;
  readonly threads: number;
  readonly measured: Measured | null;
  /** Of what its vectors could do on so many cores, at the fastest call; null where that was not measured. */
  readonly share: number | null;
  /** Why there is no figure. */
  readonly problem: string | null;
  /** The largest relative difference to the reference values. */
  readonly error: number;
}

const GEMM = [64, 128, 256, 512, 1024].map((n) => `W1_${n}`);
const GEMM_VALUES: Readonly<Record<string, readonly number[]>> = {
  W1_64: [0.219946, -0.88049],
  W1_128: [0.696095, -3.70652],
  W1_256: [-6.08511, -1.59072],
  W1_512: [6.25635, -1.13022],
  W1_1024: [-8.53993, -2.67909],
};
const expected = (w: string): readonly number[] => WORKLOADS[w]?.expected ?? GEMM_VALUES[w]!;
const gflop = (w: string): number => WORKLOADS[w]?.gflop ?? (2 * Number(w.slice(3)) ** 3) / 1e9;

function measure(i: Implementation, workload: string): Measured | string {
  const [command, ...args] = i.command(workload, values.seconds);
  try {
    const out = execFileSync(command!, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...i.env },
      timeout: 300_000,
    });
    return JSON.parse(out.trim().split('\n').at(-1)!) as Measured;
  } catch (e) {
    const text = e instanceof Error && 'stderr' in e ? String(e.stderr) : String(e);
    return (
      text
        .trim()
        .split('\n')
        .findLast((line) => /error|missing|not /i.test(line))
        ?.trim() ?? 'it failed'
    );
  }
}

/** The lowest of the minima, and the lowest of the medians, over rounds. */
const better = (a: Measured | null, b: Measured): Measured =>
  a === null
    ? b
    : { ...a, minMs: Math.min(a.minMs, b.minMs), medianMs: Math.min(a.medianMs, b.medianMs), calls: a.calls + b.calls };

const difference = (got: readonly number[], want: readonly number[]): number =>
  Math.max(...want.map((w, i) => Math.abs((got[i] ?? NaN) - w) / Math.max(1e-3, Math.abs(w))));

const only = new RegExp(values.only);
const peers = new RegExp(values.peers);
const rows: Row[] = [];
const ceiling = ceilings(Number(values.seconds) / 5);
console.log(
  `one core, fused multiply-adds: ${ceiling.map((c) => `${c.name} ${c.gflops.toFixed(0)}`).join(', ')} GFLOP/s`,
);

for (const workload of [...GEMM, ...Object.keys(WORKLOADS)].filter((w) => only.test(w))) {
  for (const threads of values.threads.split(',').map(Number)) {
    const found = new Map<string, Measured | string>();
    const wanted = implementations(threads).filter((i) => peers.test(i.name) && i.takes(workload));
    for (let round = 0; round < Number(values.rounds); round++)
      for (const i of wanted) {
        const m = measure(i, workload);
        const before = found.get(i.name);
        found.set(i.name, typeof m === 'string' ? m : better(typeof before === 'object' ? before : null, m));
      }
    for (const [implementation, m] of found) {
      const measured = typeof m === 'string' ? null : m;
      const error = measured ? difference(measured.check, expected(workload)) : NaN;
      const share =
        measured &&
        shareOf(
          wanted.find((i) => i.name === implementation)!,
          workload,
          threads,
          measured,
        );
      rows.push({
        workload,
        implementation,
        threads,
        measured,
        share,
        problem: typeof m === 'string' ? m : null,
        error,
      });
    }
    print(rows.filter((r) => r.workload === workload && r.threads === threads));
  }
}

function shareOf(i: Implementation, workload: string, threads: number, m: Measured): number | null {
  const most = ceiling.find((c) => c.of === i.vectors);
  return most ? ((gflop(workload) / m.minMs) * 1e3) / (most.gflops * threads) : null;
}

function print(group: readonly Row[]): void {
  if (group.length === 0) return;
  const { workload, threads } = group[0]!;
  console.log(
    `\n${workload}  ${WORKLOADS[workload]?.title ?? 'matrix product'}, ${threads} thread${threads > 1 ? 's' : ''}, ${gflop(workload)} GFLOP`,
  );
  const best = Math.min(
    ...group.filter((r) => !r.implementation.startsWith('Netwright')).map((r) => r.measured?.minMs ?? Infinity),
  );
  const table = new Table({
    head: [
      'implementation',
      'min ms',
      'median ms',
      'GFLOP/s',
      'of the ceiling',
      'of the best peer',
      'first call ms',
      'tensors MB',
      'peak MB',
      'values',
    ],
    style: { head: [], border: [], compact: true },
  });
  const tolerance = WORKLOADS[workload]?.tolerance ?? 1e-4;
  for (const r of group) {
    if (!r.measured) table.push([r.implementation, { colSpan: 9, content: r.problem ?? '' }]);
    else
      table.push([
        r.implementation,
        r.measured.minMs.toFixed(3),
        r.measured.medianMs.toFixed(3),
        ((gflop(workload) / r.measured.minMs) * 1e3).toFixed(1),
        r.share === null ? '' : `${(100 * r.share).toFixed(0)} %`,
        Number.isFinite(best) ? `${(r.measured.minMs / best).toFixed(2)}x` : '',
        r.measured.firstCallMs.toFixed(0),
        r.measured.workMb?.toFixed(1) ?? '',
        r.measured.peakRssMb.toFixed(0),
        r.error <= tolerance ? 'agree' : `differ by ${r.error.toExponential(1)}`,
      ]);
  }
  console.log(table.toString());
}

mkdirSync(values.out, { recursive: true });
const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version, ceiling };
writeFileSync(`${values.out}/results.json`, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
writeFileSync(`${values.out}/results.svg`, await chart(rows));
console.log(`\nwritten: ${values.out}/results.json, ${values.out}/results.svg`);
