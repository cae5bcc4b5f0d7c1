/** What the JavaScript peers share: the workload's data, its timing and the line of JSON that `bench/run.ts` reads. */
import { parseArgs } from 'node:util';
import { dataOf, uniform, WORKLOADS } from '../spec.ts';
import { timed, timedAsync } from '../timing.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '2.5' },
    backend: { type: 'string', default: 'wasm' },
  },
});
export const name = positionals[0] ?? '';
export const threads = Number(values.threads);
export const backend = values.backend;
export const workload = WORKLOADS[name];
export const data = workload ? dataOf(workload) : null;
/** Side of the matrix product, or null. */
export const side = name.startsWith('W1_') ? Number(name.slice(3)) : null;
export const factors = side === null ? null : [100, 101].map((seed) => uniform([side, side], seed, 1));

/**
 * Runs and reports: `call` gives the loss of a training step, the logits of an inference or the product, on the host, or
 * a promise of it. `product` does the same product without bringing it to the host.
 */
export async function report(call, product = null) {
  const seen = [];
  const started = performance.now();
  const first = await call();
  const firstCallMs = performance.now() - started;
  if (side !== null) seen.push(first[0], first.at(-1));
  else if (typeof first === 'number') {
    seen.push(first);
    for (let i = 1; i < 6; i++) seen.push(await call());
  } else seen.push(first[0], first[1], first.at(-1));
  const repeated = product ?? call;
  const probe = repeated();
  const times =
    probe instanceof Promise
      ? (await probe, await timedAsync(Number(values.seconds), repeated))
      : timed(Number(values.seconds), repeated);
  const peakRssMb = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ ...times, firstCallMs, check: [...seen], peakRssMb, workMb: null }));
}
