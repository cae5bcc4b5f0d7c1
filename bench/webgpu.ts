/**
 * Speed on a GPU: `npm run bench -- --device webgpu [--small] [--peak-gflops N] [--peak-gbs N]`. Calls are queued and waited
 * for together, so that the device is timed and not the way to it. PyTorch runs the same on the same card where it has CUDA.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import Table from 'cli-table3';
import { compile } from '../src/compile.ts';
import { device, OutOfMemoryError, type Device, type Tensor } from '../src/runtime/index.ts';
import { works, type Work } from './gpu-works.ts';

export interface GpuOptions {
  readonly device: string;
  readonly seconds: number;
  readonly small: boolean;
  /** Of the card, as its maker states them; shares are printed where they are given. */
  readonly peakGflops: number | null;
  readonly peakGbs: number | null;
}

export async function benchGpu(options: GpuOptions): Promise<void> {
  const on = await device(options.device);
  const list = works(options.small);
  const torch = torchTimes(list, options.seconds);
  console.log(`${on.name}: ${on.description}`);
  console.log(`PyTorch: ${torch?.device ?? 'absent (no NETWRIGHT_PYTHON whose torch has CUDA)'}`);
  const table = new Table({ head: ['workload', 'ms', 'rate', 'share of peak', 'PyTorch ms', 'ratio'] });
  const rows = [];
  for (const [i, w] of list.entries()) {
    const theirs = torch?.ms[i] ?? null;
    const ms = await measured(w, on, options.seconds);
    const row = typeof ms === 'string' ? { refused: ms } : { ms, ...rateOf(w, ms, options) };
    rows.push({ workload: w.name, ...row, torchMs: theirs });
    const known = typeof ms === 'string' ? null : ms;
    const { rate = '', share = null } = 'rate' in row ? row : {};
    table.push([
      w.name,
      known?.toFixed(3) ?? 'too large',
      rate,
      share === null ? '' : `${(100 * share).toFixed(0)} %`,
      theirs?.toFixed(3) ?? '',
      known && theirs ? `${(known / theirs).toFixed(2)}x` : '',
    ]);
  }
  console.log(table.toString());
  mkdirSync('bench/out', { recursive: true });
  const report = { device: on.description, torch: torch?.device ?? null, node: process.version, rows };
  writeFileSync('bench/out/webgpu.json', `${JSON.stringify(report, null, 2)}\n`);
}

function rateOf(w: Work, ms: number, o: GpuOptions): { rate: string; share: number | null } {
  const giga = (w.flops || w.bytes) / ms / 1e6;
  const peak = w.flops > 0 ? o.peakGflops : o.peakGbs;
  if (giga === 0) return { rate: '', share: null };
  return { rate: `${giga.toFixed(1)} ${w.flops > 0 ? 'GFLOP/s' : 'GB/s'}`, share: peak && giga / peak };
}

/** Milliseconds of one call, the best of several series; the device's own words where it has no room. */
async function measured(w: Work, on: Device, seconds: number): Promise<number | string> {
  const { blocks, diagnostics } = compile(w.source, { targets: ['wasm', 'webgpu'] });
  const [Block] = Object.values(blocks);
  if (!Block) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  try {
    const model = await Block.create({ device: on });
    const inputs = await Promise.all(w.inputs().map((x) => x.to(on)));
    const series = async (calls: number): Promise<number> => {
      const began = performance.now();
      let last: Tensor | null = null;
      for (let i = 0; i < calls; i++) last = w.step ? model.train_step(...inputs).loss : model.forward(...inputs);
      await last!.storage.fetch(0, 4); // comes after all that was queued
      return (performance.now() - began) / calls;
    };
    await series(1);
    // About a tenth of the time for each series.
    const calls = Math.max(1, Math.min(1000, Math.round((100 * seconds) / (await series(2)))));
    let best = Infinity;
    const end = performance.now() + 1000 * seconds;
    do best = Math.min(best, await series(calls));
    while (performance.now() < end);
    return best;
  } catch (e) {
    if (e instanceof OutOfMemoryError) return e.message;
    throw e;
  }
}

function torchTimes(list: readonly Work[], seconds: number): { device: string; ms: (number | null)[] } | null {
  const python = process.env['NETWRIGHT_PYTHON'] ?? 'python3';
  const args = ['bench/torch_gpu.py', String(seconds), JSON.stringify(list.map((w) => w.torch))];
  try {
    const out = execFileSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return JSON.parse(out) as { device: string; ms: (number | null)[] } | null;
  } catch {
    return null;
  }
}
