/** Times one function: 0.7 s of warm-up, then calls timed one by one, at least five of them. */

/** Milliseconds of warm-up. */
const WARM = 700;

export interface Times {
  readonly minMs: number;
  readonly medianMs: number;
  readonly p90Ms: number;
  readonly calls: number;
}

export function timed(seconds: number, call: () => unknown): Times {
  const warm = performance.now() + WARM;
  while (performance.now() < warm) call();
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end || times.length < 5) {
    const t = performance.now();
    call();
    times.push(performance.now() - t);
  }
  return summary(times);
}

/** The same of a function that gives a promise. */
export async function timedAsync(seconds: number, call: () => Promise<unknown>): Promise<Times> {
  const warm = performance.now() + WARM;
  while (performance.now() < warm) await call();
  const times: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end || times.length < 5) {
    const t = performance.now();
    await call();
    times.push(performance.now() - t);
  }
  return summary(times);
}

function summary(times: number[]): Times {
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(share * (times.length - 1))]!;
  return { minMs: at(0), medianMs: at(0.5), p90Ms: at(0.9), calls: times.length };
}
