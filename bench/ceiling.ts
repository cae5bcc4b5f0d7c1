/** The most that one core can do, measured in the same run: chains of fused multiply-adds in WebAssembly and, with `cc`, at full width. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wasmCeiling } from './gemm.ts';

export interface Ceiling {
  readonly name: string;
  readonly gflops: number;
  /** Whose share of it is printed: vectors of 128 bits, pairs of them, the widest that the processor has. */
  readonly of: Vectors;
}

export type Vectors = 'wasm' | 'paired' | 'native';

const C = `
#include <stdio.h>
#include <time.h>
#ifdef __AVX512F__
#define W 16
#elif defined(__AVX2__)
#define W 8
#else
#define W 4
#endif
typedef float v __attribute__((vector_size(4 * W)));
int main(void) {
  v c[12], a = {0}, b = {0};
  for (int i = 0; i < W; i++) { a[i] = 1.0f - 1e-7f * i; b[i] = 1e-7f; }
  for (int i = 0; i < 12; i++) c[i] = a;
  double best = 0;
  for (int r = 0; r < 40; r++) {
    struct timespec s, e;
    clock_gettime(CLOCK_MONOTONIC, &s);
    for (int n = 0; n < 1000000; n++)
      for (int i = 0; i < 12; i++) { c[i] = c[i] * a + b; __asm__ volatile("" : "+x"(c[i])); }
    clock_gettime(CLOCK_MONOTONIC, &e);
    double g = 2.0 * W * 12e6 / ((e.tv_sec - s.tv_sec) * 1e9 + (e.tv_nsec - s.tv_nsec));
    if (g > best) best = g;
  }
  printf("%d %f", W, best);
  return 0;
}`;

export function ceilings(seconds: number): Ceiling[] {
  const gflops = wasmCeiling(seconds);
  return [
    { name: 'WebAssembly (128 bits)', gflops, of: 'wasm' },
    { name: 'in pairs', gflops: 2 * gflops, of: 'paired' },
    ...native(),
  ];
}

function native(): Ceiling[] {
  const dir = mkdtempSync(join(tmpdir(), 'netwright-bench-'));
  try {
    writeFileSync(join(dir, 'c.c'), C);
    execFileSync(
      process.env['CC'] ?? 'cc',
      ['-O3', '-march=native', '-ffp-contract=fast', '-o', join(dir, 'c'), join(dir, 'c.c')],
      { stdio: 'ignore' },
    );
    const [lanes, gflops] = execFileSync(join(dir, 'c'), { encoding: 'utf8' }).split(' ').map(Number);
    return [{ name: `native (${32 * lanes!} bits)`, gflops: gflops!, of: 'native' }];
  } catch {
    return [];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
