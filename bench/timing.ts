/** Times one function: 0.7 s of warm-up, then calls timed one by one. */
export function timed(seconds: number, call: () => void): { minMs: number; medianMs: number; calls: number } {
  const until = (end: number, each: () => void): void => {
    while (performance.now() < end) each();
  };
  until(performance.now() + 700, call);
  const times: number[] = [];
  until(performance.now() + seconds * 1000, () => {
    const t = performance.now();
    call();
    times.push(performance.now() - t);
  });
  times.sort((a, b) => a - b);
  return { minMs: times[0] ?? NaN, medianMs: times[times.length >> 1] ?? NaN, calls: times.length };
}
