/** The C printer: the C compiler takes what it prints, and the machine computes what the evaluator says. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { printC } from '../../src/codegen/c/print.ts';
import type { KernelCall } from '../../src/codegen/call.ts';
import * as D from '../../src/ir/dim.ts';
import type { Value } from '../../src/ir/ir.ts';
import { evaluateCall } from '../support/evaluate-call.ts';
import { numbers, samples, sizeOfValue } from '../support/sample-kernels.ts';

const compiler = spawnSync('cc', ['--version']).status === 0;
const withCompiler = compiler ? test : test.skip;
if (!compiler) test('skipped: no C compiler `cc` on the path (install gcc or clang)', (t) => t.pass());

/** A program that reads the inputs one after the other from a file, calls the kernel and writes the result. */
function programFor(call: KernelCall, inputs: readonly Value[], output: Value): string {
  const env = new Map<string, number>();
  const args = call.args.map((arg) => {
    if (arg.kind === 'size') return String(D.evaluate(arg.size, env));
    if (arg.kind === 'scratch') return `calloc(1, ${D.evaluate(arg.scratch.bytes, env)})`;
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

for (const lanes of [4, 8, 16])
  for (const { name, call, inputs, output } of samples({ kind: 'c', lanes, fma: false }))
    withCompiler(`${name} with ${lanes} lanes equals the evaluator bit for bit`, (t) => {
      const dir = mkdtempSync(join(tmpdir(), 'netwright-c-'));
      try {
        const source = join(dir, 'k.c');
        const program = join(dir, 'k');
        writeFileSync(source, printC([call.kernel], { fma: false }) + programFor(call, inputs, output));
        const strict = ['-std=gnu11', '-O1', '-ffp-contract=off', '-Wall', '-Wextra', '-Werror', '-Wno-psabi'];
        execFileSync('cc', [...strict, source, '-o', program, '-lm']);
        const data = new Map<Value, Float32Array>(inputs.map((v, i) => [v, numbers(sizeOfValue(v), i + 1)]));
        writeFileSync(join(dir, 'in'), Buffer.concat([...data.values()].map((d) => new Uint8Array(d.buffer))));
        execFileSync(program, [join(dir, 'in'), join(dir, 'out')]);
        const bytes = readFileSync(join(dir, 'out'));
        const got = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
        const want = new Float32Array(sizeOfValue(output)).fill(NaN);
        data.set(output, want);
        evaluateCall(call, data, 'split');
        t.deepEqual(got, want);
      } finally {
        rmSync(dir, { recursive: true });
      }
    });
