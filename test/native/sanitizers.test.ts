/**
 * The native C of every example under the sanitizers: forward and a training step, on one thread and on two, every buffer in memory of
 * its own, so that whoever reaches past one is found. And the pool of threads under the thread sanitizer.
 */
import { execFile } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openProject } from '../../src/compile.ts';
import { diskHost } from '../../src/cli/host.ts';
import { thisMachine } from '../../src/runtime/index.ts';
import { folder, ROOT } from '../support/cli.ts';
import { NativeDriver } from '../support/native-driver.ts';
import { onNative } from '../support/native.ts';

const run = await onNative();
const exec = promisify(execFile);

const EXAMPLES = readdirSync(join(ROOT, 'examples')).flatMap((f) =>
  f.endsWith('.net') ? [f.replace('.net', '')] : [],
);

/** Small enough for instrumented code; widths that fill no vector are part of the point. */
const HYPER: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  alexnet: { width: 12 },
  resnet18: { width: 10, num_classes: 10 },
  dcgan: { width: 4 },
};
const size = (symbol: string): number => (symbol === 'B' || symbol === 'N' ? 2 : symbol === 'T' ? 8 : 32);

const wanted = (program: string): boolean => program === 'forward' || program === 'train_step';

const machine = await thisMachine();
const wide = machine !== null && machine.lanes >= 8;
const MACHINE = wide ? { lanes: 8, registers: 16, fma: true } : machine!;
const ARCH = wide ? ['-march=x86-64-v3'] : [];
/** As the runtime compiles, but for the level. Without optimisation the compiler takes a third of the time and the checks are the same. */
const FLAGS = [...ARCH, '-O0', '-g1', '-ffp-contract=off', '-fno-math-errno', '-fno-strict-aliasing', '-w'];

function driver(names: readonly string[]): NativeDriver {
  const made = new NativeDriver(MACHINE);
  for (const name of names) {
    const open = openProject(diskHost(join(ROOT, 'examples')), `${name}.net`);
    made.add(name, open, wanted, size, HYPER[name] ?? {});
  }
  return made;
}

/** Of each line, the hash; by what was run. Each is there once for each number of threads. */
function hashes(stdout: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of stdout.trim().split('\n')) {
    const [name, hash] = line.split(' ') as [string, string];
    found.set(name, [...(found.get(name) ?? []), hash]);
  }
  return found;
}

run('addresses and arithmetic: nothing found in any example, and two threads leave the bits of one', async (t) => {
  t.timeout(900_000);
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const path = await driver(EXAMPLES).build(folder(t), [...FLAGS, ...sanitizers], [1, 2], 0);
  const found = hashes((await exec(path)).stdout);
  for (const name of EXAMPLES) t.true(found.has(`${name}.forward`) || found.has(`${name}.train_step`), name);
  for (const [name, [one, two]] of found) t.is(one, two, name);
});

/** A size of 0 that is known only at run time, along an axis that no vector runs along. */
const EMPTY = `
export block Empty() {
  joined(x: f32[L, 5], y: f32[M, 5]) => cat([x, y, x], dim: 0)
  summed(x: f32[L, 5], y: f32[M, 5]) => sum(cat([x, y], dim: 0), dim: 1)
  padded(x: f32[L, 5]) => pad(x, [1, 2, 3, 4], value: 1.5)
  looked(x: f32[L, 5], i: i32[M]) => index_select(x, 0, i)
}
`;

run('an operand without elements is not read: its address is that of no memory', async (t) => {
  const at = folder(t);
  writeFileSync(join(at, 'empty.net'), EMPTY);
  const made = new NativeDriver(MACHINE);
  const open = openProject(diskHost(at), 'empty.net');
  t.deepEqual(open.bag.all, []);
  const methods = ['joined', 'summed', 'padded', 'looked'];
  made.add(
    'empty',
    open,
    (program) => methods.includes(program),
    (symbol) => (symbol === 'L' ? 0 : 3),
  );
  const path = await made.build(at, [...FLAGS, '-fsanitize=address,undefined', '-fno-sanitize-recover=all'], [1], 0);
  t.deepEqual(
    [...hashes((await exec(path)).stdout).keys()],
    methods.map((m) => `empty.${m}`),
  );
});

run('threads: no race in the pool or between kernels', async (t) => {
  t.timeout(900_000);
  const path = await driver(['lenet', 'char_lstm']).build(folder(t), [...FLAGS, '-fsanitize=thread'], [2], 0);
  await t.notThrowsAsync(exec(path, [], { env: { ...process.env, TSAN_OPTIONS: 'halt_on_error=1' } }));
});
