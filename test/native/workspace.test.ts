/** C functions whose sizes are arguments: their plan of memory is the runtime's to the byte, and what does not fit is refused and named. */
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { printStandalone } from '../../src/codegen/c/standalone.ts';
import { compileProject, compileToC, openProject } from '../../src/compile.ts';
import { diskHost } from '../../src/cli/host.ts';
import type { Program } from '../../src/runtime/artifact.ts';
import { plan } from '../../src/runtime/plan.ts';
import { evaluateSize, type Binding } from '../../src/runtime/sizes.ts';
import { folder, ROOT } from '../support/cli.ts';
import { onNative } from '../support/native.ts';

const run = await onNative();
const exec = promisify(execFile);

/** Sizes of a program's symbols, in turn from one list: equal and different ones, one, and many. */
const SIZES = [
  [1, 1, 1, 1],
  [2, 32, 32, 5],
  [7, 40, 33, 3],
  [64, 48, 96, 16],
];

const fits = (p: Program, dims: Binding): boolean =>
  p.checks.every((c) => {
    const [l, r] = [evaluateSize(c.left, dims), evaluateSize(c.right, dims)];
    return c.kind === 'equal' ? l === r : l >= r;
  });

async function output(
  t: ExecutionContext,
  files: Readonly<Record<string, string>>,
  ...flags: string[]
): Promise<string> {
  const at = folder(t);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(at, name), text);
  await exec('cc', ['-std=c99', ...flags, 'main.c', '-o', 'main', '-lm'], { cwd: at });
  return (await exec('./main', [], { cwd: at })).stdout;
}

for (const file of readdirSync(join(ROOT, 'examples')).filter((f) => f.endsWith('.net'))) {
  run(`${file}: the same places as in the runtime`, async (t) => {
    const open = openProject(diskHost(join(ROOT, 'examples')), file);
    const { artifact, kernels } = compileProject(open, open.exports[0]!, { prepare: false })!;
    const programs = artifact.programs.filter((p) => p.symbols.length > 0);
    // Places do not depend on what kernels do.
    const { code, header } = printStandalone({
      artifact,
      programs: artifact.programs,
      kernels: kernels.map((k) => ({ ...k, body: [] })),
      dims: new Map(),
      source: file,
      header: 'net.h',
    });
    const calls: string[] = [];
    const want: string[] = [];
    for (const p of programs) {
      const name = new RegExp(`static size_t plan_(${p.name.replace(/\W/g, '_')})\\(`).exec(code)![1]!;
      const temps = p.buffers.flatMap((b, i) => (b.kind === 'temp' ? [i] : []));
      for (const sizes of SIZES) {
        const dims = new Map(p.symbols.map((s, i) => [s, sizes[i]!]));
        const list = [...dims.values()].join(', ');
        calls.push(`printf("${p.name} ${list}:"); if (plan_${name}(${list}))`);
        calls.push(`  for (int i = 0; i < ${temps.length}; i++) printf(" %ld", (long)places_${name}[i].at);`);
        calls.push('printf("\\n");');
        const planned = fits(p, dims) ? plan(p, dims) : null;
        want.push(`${p.name} ${list}:${planned ? temps.map((i) => ` ${planned.offsets[i]}`).join('') : ''}`);
      }
    }
    const main = `#include "net.c"\n#include <stdio.h>\nint main(void) {\n${calls.join('\n')}\nreturn 0;\n}\n`;
    const got = await output(t, { 'net.c': code, 'net.h': header, 'main.c': main });
    t.deepEqual(got.trimEnd().split('\n'), want);
    t.true(programs.length === 0 || want.some((line) => !line.endsWith(':')));
  });
}

run('sizes and buffers that do not fit are refused with a code and a message', async (t) => {
  const source = `export block Net {
    forward(x: f32[B, T]) -> f32[B, T / 4] {
      require T % 4 == 0, "groups of four"
      sum(reshape(x, [B, T / 4, 4]), dim: -1)
    }
    pairs(x: f32[B, T]) -> f32[B, T, T] => reshape(x, [B, T, 1]) * reshape(x, [B, 1, T])
  }`;
  const open = openProject({ read: (p) => (p === 'main.net' ? source : null) }, 'main.net');
  const c = compileToC(open, 'Net', { dims: new Map(), header: 'net.h' });
  if (!c) return t.fail(open.bag.all.map((d) => d.message).join('\n'));
  const main = `#include "net.c"
#include <stdio.h>
static double room[100];
static float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, out[8];
static void said(int code) { printf("%d %s\\n", code, Net_fault ? Net_fault : "fine"); }
int main(void) {
  const size_t bytes = Net_forward_workspace_bytes(2, 4);
  Net_init(0);
  said(bytes <= sizeof room ? Net_forward(2, 4, x, out, room, bytes) : -1);
  printf("%g %g\\n", (double)out[0], (double)out[1]);
  said(Net_forward(2, 3, x, out, room, sizeof room));
  said(Net_forward(-1, 4, x, out, room, sizeof room));
  said(Net_forward((int64_t)1 << 40, 4, x, out, room, sizeof room));
  said(Net_forward(2, 4, x, out, room, bytes - 1));
  said(Net_forward(2, 4, x, out, (char *)room + 4, bytes));
  said(Net_forward(2, 4, x, out, 0, bytes));
  said(Net_pairs(1000000, 100000, x, out, room, sizeof room));
  said(Net_pairs(INT32_MAX, INT32_MAX, x, out, room, sizeof room));
  printf("%d\\n", (int)Net_forward_workspace_bytes(2, 6));
  said(Net_forward(0, 4, x, out, room, Net_forward_workspace_bytes(0, 4)));
  said(Net_forward(2, 4, x, out, room, bytes));
  return 0;
}
`;
  const got = await output(t, { 'net.c': c.code, 'net.h': c.header, 'main.c': main }, '-fsanitize=address,undefined');
  t.is(
    got,
    `0 fine
10 26
1 Net.forward: T % 4 must be 0; groups of four
1 Net.forward: B is not from 0 to 2^31 - 1
1 Net.forward: B is not from 0 to 2^31 - 1
2 the workspace is smaller than its size function says
2 the workspace is not aligned to 8 bytes
2 there is no workspace
1 these sizes need more memory than there can be
1 these sizes need more memory than there can be
0
0 fine
0 fine
`,
  );
});
