/** The C printer: the C compiler takes what it prints, and the machine computes what the evaluator says. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { absent } from '../support/absent.ts';
import { printKernel } from '../../src/codegen/print.ts';
import { printC } from '../../src/codegen/c/print.ts';
import type { KernelCall } from '../../src/codegen/call.ts';
import { THREADS } from '../../src/runtime/artifact.ts';
import * as D from '../../src/ir/dim.ts';
import type { Value } from '../../src/ir/ir.ts';
import { runKernel } from '../../src/codegen/evaluate.ts';
import { evaluateCall } from '../support/evaluate-call.ts';
import { readElements, writeElements } from '../support/elements.ts';
import { LENGTH, RandomKernels, STORAGE } from '../support/random-kernels.ts';
import { numbers, samples, sizeOfValue } from '../support/sample-kernels.ts';

const compiler = spawnSync('cc', ['--version']).status === 0;
const withCompiler = compiler ? test : test.skip;
if (!compiler) test('skipped: no C compiler `cc` on the path (install gcc or clang)', absent);

/** A program that reads the inputs one after the other from a file, calls the kernel and writes the result. */
function programFor(call: KernelCall, inputs: readonly Value[], output: Value): string {
  const env = new Map<string, number>();
  const args = call.args.map((arg) => {
    if (arg.kind === 'size') return String(D.evaluate(arg.size, env));
    if (arg.kind === 'scratch') return `calloc(1, ${D.evaluate(arg.scratch.bytes, new Map([...env, [THREADS, 1]]))})`;
    return arg.value === output ? 'out' : `in${inputs.indexOf(arg.value)}`;
  });
  const read = inputs.map((v, i) => `static float in${i}[${sizeOfValue(v)}]; read_all(f, in${i}, sizeof in${i});`);
  return `#include <stdio.h>
#include <stdlib.h>
static void read_all(FILE *f, void *to, size_t n) { if (fread(to, 1, n, f) != n) exit(2); }
int main(int argc, char **argv) {
  if (argc != 3) return 3;
  FILE *f = fopen(argv[1], "rb");
  ${read.join('\n  ')}
  static float out[${sizeOfValue(output)}];
  ${call.kernel.name}(${args.join(', ')});
  FILE *g = fopen(argv[2], "wb");
  fwrite(out, sizeof out, 1, g);
  return fclose(g);
}
`;
}

/** Compiles strictly, runs on the bytes of a file, gives the bytes that it writes. */
function compileAndRun(source: string, input: Uint8Array, flags: readonly string[] = []): Uint8Array<ArrayBuffer> {
  const dir = mkdtempSync(join(tmpdir(), 'netwright-c-'));
  try {
    const path = (name: string): string => join(dir, name);
    writeFileSync(path('k.c'), source);
    const strict = ['-std=gnu11', '-O1', '-ffp-contract=off', '-Wall', '-Wextra', '-Werror', '-Wno-psabi', ...flags];
    execFileSync('cc', [...strict, path('k.c'), '-o', path('k'), '-lm'], { encoding: 'utf8' });
    writeFileSync(path('in'), input);
    execFileSync(path('k'), [path('in'), path('out')]);
    return new Uint8Array(readFileSync(path('out')));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

for (const lanes of [4, 8, 16])
  for (const { name, call, inputs, output } of samples({ kind: 'c', lanes, registers: 2 * lanes, fma: false }))
    withCompiler(`${name} with ${lanes} lanes equals the evaluator bit for bit`, (t) => {
      const data = new Map<Value, Float32Array>(inputs.map((v, i) => [v, numbers(sizeOfValue(v), i + 1)]));
      const input = Buffer.concat([...data.values()].map((d) => new Uint8Array(d.buffer)));
      const source = printC([call.kernel], { fma: false }) + programFor(call, inputs, output);
      const want = new Float32Array(sizeOfValue(output)).fill(NaN);
      data.set(output, want);
      evaluateCall(call, data, 'split');
      t.deepEqual(new Float32Array(compileAndRun(source, input).buffer), want);
    });

/** Room for a buffer of any format. */
const BYTES = 4 * LENGTH;

for (const lanes of [4, 8])
  withCompiler(`random kernels with ${lanes} lanes equal the evaluator bit for bit`, (t) => {
    const random = new RandomKernels(20 + lanes, lanes, true);
    const kernels = Array.from({ length: 25 }, (_, i) => random.kernel(`k${i}`));
    const formats = [...STORAGE, ...STORAGE];
    const calls = kernels.map((k, i) => {
      const args = formats.map((_, j) => `(void *)(data + ${(i * formats.length + j) * BYTES})`);
      return `${k.name}(${args.join(', ')});`;
    });
    const size = kernels.length * formats.length * BYTES;
    const main = `#include <stdio.h>
int main(int argc, char **argv) {
  static unsigned char data[${size}] __attribute__((aligned(64)));
  FILE *f = fopen(argv[argc - 2], "rb");
  if (fread(data, 1, sizeof data, f) != sizeof data) return 2;
  ${calls.join('\n  ')}
  FILE *g = fopen(argv[argc - 1], "wb");
  fwrite(data, sizeof data, 1, g);
  return fclose(g);
}
`;
    const memory = new DataView(new ArrayBuffer(size));
    const at = (kernel: number, buffer: number): number => (kernel * formats.length + buffer) * BYTES;
    const expected = kernels.map((k, i) => {
      const buffers = formats.map((e, j) => {
        const values = random.contents(e);
        writeElements(memory, at(i, j), e, values);
        return values;
      });
      runKernel(k, buffers, { fma: 'split' });
      return buffers;
    });
    const out = compileAndRun(printC(kernels, { fma: false }) + main, new Uint8Array(memory.buffer), [
      '-Wno-tautological-compare', // random code compares things with themselves
    ]);
    const view = new DataView(out.buffer);
    kernels.forEach((k, i) =>
      formats.forEach((e, j) =>
        t.deepEqual(readElements(view, at(i, j), e, LENGTH), expected[i]![j], `${k.name} ${j}\n${printKernel(k)}`),
      ),
    );
  });
