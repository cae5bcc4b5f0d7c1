/**
 * Every example as a C99 file, with sizes that are arguments and with fixed ones: strict compilers take it without a warning, the
 * sanitizers find nothing, both forms print the same, and it computes what the cpu computes.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { compileProject, compileToC, openProject } from '../../src/compile.ts';
import type { StandaloneC } from '../../src/codegen/c/standalone.ts';
import { diskHost } from '../../src/cli/host.ts';
import { modelClass, tensor, Tensor, type Artifact } from '../../src/runtime/index.ts';
import { evaluateSize } from '../../src/runtime/sizes.ts';
import { folder, netwright, ROOT } from '../support/cli.ts';
import { onNative } from '../support/native.ts';

const run = await onNative();
const exec = promisify(execFile);

/** Small enough for scalars under sanitizers. */
const HYPER: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  alexnet: { width: 12, dropout: 0 },
  resnet18: { width: 10, num_classes: 10 },
  dcgan: { width: 4 },
  vae: { n: 64 },
};
const size = (symbol: string): number => (symbol === 'B' || symbol === 'N' ? 2 : symbol === 'T' ? 8 : 32);

const WARNINGS = ['-Wall', '-Wextra', '-pedantic', '-Werror'];
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];

/** What main.c gives every function, in the same float arithmetic. */
function made(elem: string, shape: readonly number[], device: Tensor['device']): Tensor {
  const n = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: n }, (_, i) => (elem === 'f32' ? ((i * 37) % 101) / 128 : i % 2));
  return tensor(values, { dtype: elem === 'f32' ? 'f32' : 'i32', shape, device });
}

/** What the example program prints. */
async function printed(
  t: ExecutionContext,
  c: StandaloneC,
  flags: readonly string[],
  sizes: readonly string[],
): Promise<string> {
  const at = written(t, c);
  await exec('cc', ['-std=c99', '-O1', '-ffp-contract=off', ...flags, 'net.c', 'main.c', '-o', 'net', '-lm'], {
    cwd: at,
  });
  return (await exec('./net', [...sizes], { cwd: at })).stdout;
}

function written(t: ExecutionContext, { code, header, main }: Pick<StandaloneC, 'code' | 'header' | 'main'>): string {
  const at = folder(t);
  for (const [f, text] of Object.entries({ 'net.c': code, 'net.h': header, 'main.c': main }))
    writeFileSync(join(at, f), text);
  return at;
}

/** In the order of the command line of the example program. */
const sizesOf = ({ main }: StandaloneC, dims: ReadonlyMap<string, number>): string[] =>
  (/\* Sizes \((.*?)\)/.exec(main)?.[1]?.split(', ') ?? []).map((s) => String(dims.get(s)));

/** The losses of main.c's five steps, on the cpu. */
async function losses(artifact: Artifact, dims: ReadonlyMap<string, number>): Promise<number[]> {
  if (!artifact.train) return [];
  const model = await modelClass(artifact).create({ seed: 0 });
  const program = artifact.programs.find((p) => p.name === 'train_step')!;
  const args = program.inputs.flatMap((i) => {
    if (i.role !== 'arg') return [];
    const shape = i.spec.shape.map((d) => evaluateSize(d, dims));
    return [made(i.spec.elem, shape, model.device)];
  });
  const out: number[] = [];
  for (let i = 0; i < 5; i++) out.push(await model.train_step(...args).loss.item());
  return out;
}

/** Batch norm over two samples of one pixel turns a last bit into another sign: only the first loss tells. */
const UNSTABLE = new Set(['resnet18']);

for (const file of readdirSync(join(ROOT, 'examples'))) {
  if (!file.endsWith('.net')) continue;
  const name = file.replace('.net', '');
  run(`${name}: clean, and trains as on the cpu`, async (t) => {
    t.timeout(600_000);
    const open = openProject(diskHost(join(ROOT, 'examples')), file);
    const [block] = open.exports as [string];
    const hyper = HYPER[name] ?? {};
    const { artifact } = compileProject(open, block, { hyper })!;
    const dims = new Map(artifact.programs.flatMap((p) => p.symbols).map((s) => [s, size(s)]));
    const c = (given: ReadonlyMap<string, number>): StandaloneC =>
      compileToC(open, block, { hyper, dims: given, header: 'net.h' })!;
    const [fixed, free] = [c(dims), c(new Map())];
    t.is(fixed.violated, null);
    t.is(fixed.sized.length, 0);
    // The kernels are the same. In memory from `malloc` the sanitizer also sees who reaches past a function's workspace.
    const stdout = await printed(t, free, [...WARNINGS, ...SANITIZERS], sizesOf(free, dims));
    t.is(await printed(t, fixed, [...WARNINGS, ...(name === 'lenet' ? SANITIZERS : [])], []), stdout);
    const got = [...stdout.matchAll(/_train_step (\S+)$/gm)].map((m) => Number(m[1]));
    const want = await losses(artifact, dims);
    t.is(got.length, want.length);
    // The same program with sums in another order: what is rounded differently grows over the steps.
    const near = (i: number, tolerance: number): void => {
      t.true(Math.abs(got[i]! - want[i]!) <= tolerance * Math.max(1, Math.abs(want[i]!)), `${got} for ${want}`);
    };
    if (want.length > 0) near(0, 1e-5);
    if (!UNSTABLE.has(name)) want.forEach((_, i) => near(i, 2e-3));
  });
}

run('the command line writes three files; sizes that --dim fixes are no arguments', async (t) => {
  const cwd = folder(t);
  const lenet = join(ROOT, 'examples', 'lenet.net');
  const out = join(cwd, 'lenet.c');
  const free = await netwright(['build', lenet, '--target', 'c', '-o', out]);
  t.is(free.code, 0, free.err);
  t.regex(free.out, /memory is the caller's: see LeNet_forward_workspace_bytes/);
  t.deepEqual(readdirSync(cwd).sort(), ['lenet.c', 'lenet.h', 'lenet_main.c']);
  t.regex(readFileSync(join(cwd, 'lenet.h'), 'utf8'), /^int LeNet_forward\(int64_t B, const float \*x,/m);
  const built = await netwright(['build', lenet, '--target', 'c', '--dim', 'B=4', '-o', out]);
  t.is(built.code, 0, built.err);
  t.notRegex(built.out, /caller/);
  t.regex(readFileSync(join(cwd, 'lenet.h'), 'utf8'), /^void LeNet_forward\(const float \*x,/m);
});

run('a `while` that does not end is named, and gives no results', async (t) => {
  const source = 'export block L {\n  forward(x: f32[]) -> f32[] {\n    while x > 1.0 { x = x / 2.0 }\n    x\n  }\n}';
  const open = openProject({ read: (p) => (p === 'main.net' ? source : null) }, 'main.net');
  const c = compileToC(open, 'L', { dims: new Map(), header: 'net.h' })!;
  const main = `#include "net.h"
#include <math.h>
#include <stdio.h>
int main(void) {
  const float in[3] = {1024.0f, INFINITY, 3.0f};
  L_init(0);
  for (int i = 0; i < 3; i++) {
    float out = -1.0f;
    L_forward(&in[i], &out);
    printf("%g %s\\n", (double)out, L_fault ? L_fault : "ended");
  }
  return 0;
}
`;
  const at = written(t, { ...c, main });
  await exec('cc', ['-std=c99', ...WARNINGS, '-DNETWRIGHT_WHILE_LIMIT=10', 'net.c', 'main.c', '-o', 'net', '-lm'], {
    cwd: at,
  });
  const { stdout } = await exec('./net', [], { cwd: at });
  t.is(stdout, '1 ended\n-1 main.net:3\n0.75 ended\n');
});
