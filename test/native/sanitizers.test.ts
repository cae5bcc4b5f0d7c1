/**
 * The native C of every example under the sanitizers: forward and a training step, on one thread and on two, every buffer in memory of
 * its own, so that whoever reaches past one is found. And the pool of threads under the thread sanitizer.
 */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
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

run('threads: no race in the pool or between kernels', async (t) => {
  t.timeout(900_000);
  const path = await driver(['lenet', 'char_lstm']).build(folder(t), [...FLAGS, '-fsanitize=thread'], [2], 0);
  await t.notThrowsAsync(exec(path, [], { env: { ...process.env, TSAN_OPTIONS: 'halt_on_error=1' } }));
});
