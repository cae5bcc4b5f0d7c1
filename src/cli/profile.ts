/** `--profile [trace.json]`: starts a profile, and tells at the end where the time went: as tables, and as a trace for Chrome. */
import Table from 'cli-table3';
import pc from 'picocolors';
import { count } from '../diagnostics/words.ts';
import type { Device, Profile, ProfileRow } from '../runtime/index.ts';
import { writeFileAtomic } from '../runtime/node/files.ts';

export const PROFILE_HELP =
  'print the time of every kernel with its line; with a file, also a trace that chrome://tracing and ui.perfetto.dev open';

/** Kernels of one program that are printed. */
const MAX_ROWS = 25;

export interface Profiling {
  /** Ends the profile, prints it, writes the trace. */
  finish(): Promise<void>;
}

/** `wanted` as the option gives it: a file for the trace, or true for tables alone. */
export function startProfile(device: Device, wanted: string | true): Profiling {
  const profile = device.profile();
  return {
    async finish() {
      await profile.stop();
      process.stdout.write(`\n${profileText(profile)}\n`);
      if (wanted === true) return;
      await writeFileAtomic(wanted, [new TextEncoder().encode(JSON.stringify(profile.trace()))]);
      process.stdout.write(`trace: ${wanted} (open it in chrome://tracing or ui.perfetto.dev)\n`);
    },
  };
}

export function profileText(profile: Profile): string {
  const runs = profile.runs().sort((a, b) => b.ms - a.ms);
  const rows = profile.rows();
  const parts = runs.map(({ program, calls, ms }) => {
    const own = rows.filter((r) => r.program === program);
    const inKernels = own.reduce((n, r) => n + r.ms, 0);
    const head = `${pc.bold(program)}: ${count(calls, 'run')}, ${ms.toFixed(1)} ms, ${percent(inKernels, ms)} of it in ${count(own.length, 'kernel')}`;
    return `${head}\n${tableOf(own, ms)}`;
  });
  return [`profile of ${profile.device}, by ${profile.clock}`, ...parts].join('\n\n');
}

function tableOf(rows: readonly ProfileRow[], total: number): string {
  const table = new Table({
    head: ['kernel', 'line and layer', 'calls', 'ms', 'share', 'us each', 'rate'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const r of rows.slice(0, MAX_ROWS)) {
    table.push([
      r.kernel,
      r.origin,
      String(r.calls),
      r.ms.toFixed(2),
      percent(r.ms, total),
      ((1000 * r.ms) / r.calls).toFixed(1),
      rate(r),
    ]);
  }
  const rest = rows.slice(MAX_ROWS);
  const more = `and ${count(rest.length, 'more kernel')}: ${rest.reduce((n, r) => n + r.ms, 0).toFixed(2)} ms`;
  return rest.length === 0 ? table.toString() : `${table.toString()}\n${more}`;
}

const percent = (part: number, whole: number): string => (whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : '--');

/** Arithmetic where a product is computed, memory traffic elsewhere. */
function rate(r: ProfileRow): string {
  if (r.ms === 0) return '--';
  if (r.flops > 0) return `${(r.flops / r.ms / 1e6).toFixed(1)} GFLOP/s`;
  return r.bytes > 0 ? `${(r.bytes / r.ms / 1e6).toFixed(1)} GB/s` : '--';
}
