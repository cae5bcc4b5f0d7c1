/**
 * Speed beside the peers, in one run on one machine: `npm run bench [-- --only W3 --seconds 2.5]`.
 * Reports the fastest and the median step and their ratio; figures of different runs are never compared.
 * PyTorch is used where `NETWRIGHT_PYTHON` (or python3) has torch installed; without it only our own figures are printed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { gemmRows } from './gemm.ts';
import { nativeGemmRows } from './gemm-native.ts';
import { lenetTrainStep } from './w3.ts';
import { benchGpu } from './webgpu.ts';

export interface Row {
  readonly workload: string;
  readonly peer: string;
  readonly minMs: number;
  readonly medianMs: number;
  readonly note: string;
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '2.5' },
    device: { type: 'string', default: 'cpu' },
    small: { type: 'boolean', default: false },
    'peak-gflops': { type: 'string' },
    'peak-gbs': { type: 'string' },
    help: { type: 'boolean' },
  },
});
if (values.help) {
  console.log('npm run bench -- [--only W1|W3] [--seconds 2.5] [--device cpu|native]');
  console.log('npm run bench -- --device webgpu [--small] [--peak-gflops N] [--peak-gbs N] [--seconds 2.5]');
  process.exit(0);
}
const seconds = Number(values.seconds);
const onHost = values.device === 'cpu' || values.device === 'native' ? values.device : null;
if (onHost === null) {
  const peak = (text: string | undefined): number | null => (text === undefined ? null : Number(text));
  const { device, small } = values;
  const [peakGflops, peakGbs] = [peak(values['peak-gflops']), peak(values['peak-gbs'])];
  await benchGpu({ device, seconds, small, peakGflops, peakGbs });
  process.exit(0);
}
const wanted = (name: string): boolean => values.only === undefined || new RegExp(values.only).test(name);

const rows: Row[] = [];
if (wanted('W1')) rows.push(...(await (onHost === 'native' ? nativeGemmRows(seconds) : gemmRows(seconds))));
if (wanted('W3')) {
  rows.push(await lenetTrainStep(seconds, onHost));
  const torch = torchRow('W3', 'bench/torch_w3.py', [String(seconds), '1']);
  if (torch) rows.push(torch);
}

const table = new Table({ head: ['workload', 'implementation', 'min ms', 'median ms', 'ratio of minima', 'note'] });
for (const r of rows) {
  const peer = rows.find((x) => x.workload === r.workload && x.peer.startsWith('PyTorch'));
  const ratio = peer && peer !== r ? `${(r.minMs / peer.minMs).toFixed(2)}x` : '';
  table.push([r.workload, r.peer, r.minMs.toFixed(2), r.medianMs.toFixed(2), ratio, r.note]);
}
console.log(table.toString());
mkdirSync('bench/out', { recursive: true });
writeFileSync('bench/out/results.json', `${JSON.stringify({ node: process.version, rows }, null, 2)}\n`);

function torchRow(workload: string, script: string, args: readonly string[]): Row | null {
  const python = process.env['NETWRIGHT_PYTHON'] ?? 'python3';
  try {
    const out = execFileSync(python, [script, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const r = JSON.parse(out) as { min_ms: number; median_ms: number; losses: number[] };
    return {
      workload,
      peer: 'PyTorch eager, 1 thread',
      minMs: r.min_ms,
      medianMs: r.median_ms,
      note: `losses ${r.losses.map((l) => l.toFixed(5)).join(' ')}`,
    };
  } catch {
    console.error(
      `PyTorch is not there: set NETWRIGHT_PYTHON to a Python with torch (pip install torch==2.13.0) to compare ${workload}.`,
    );
    return null;
  }
}
