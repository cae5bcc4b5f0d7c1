/**
 * How many instructions the main kernels execute, as C for x86-64-v3: exact where timings are not. The figures change only by
 * `UPDATE=1 REASON='why' npx ava test/native/instructions.test.ts`.
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { openProject } from '../../src/compile.ts';
import { ndarray } from '../../src/ir/ndarray.ts';
import { absent } from '../support/absent.ts';
import { folder, ROOT } from '../support/cli.ts';
import { NativeDriver } from '../support/native-driver.ts';
import { opModule } from '../support/op-func.ts';

const exec = promisify(execFile);

interface Golden {
  readonly compiler: string;
  /** Why they changed last. */
  readonly reason: string;
  readonly counts: Readonly<Record<string, number>>;
}

const GOLDEN = join(ROOT, 'test', 'native', 'instructions.json');

/** What the C library clears and copies with differs by processor. */
const SAME_COMPILER = 0.002;
/** Another compiler writes other instructions: a kernel that lost its vectors or its tile is still found. */
const OTHER_COMPILER = 0.3;

/** As the runtime compiles, for one processor that every x86 machine of these years can be. */
const FLAGS = [
  '-march=x86-64-v3',
  '-O3',
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-fno-strict-aliasing',
  '-w',
  // Functions of libraries are found before the first call, not in it.
  '-Wl,-z,now',
];

const zeros = (...shape: number[]): ReturnType<typeof ndarray> =>
  ndarray('f32', shape, new Float64Array(shape.reduce((a, b) => a * b, 1)));
const key = ndarray('u32', [2], [1, 2]);

const conv = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 };
const [image, kernel] = [zeros(2, 16, 28, 28), zeros(32, 16, 3, 3)];

const OPS: readonly (readonly [name: string, module: ReturnType<typeof opModule>])[] = [
  ['gemm_small', opModule('matmul', {}, [zeros(16, 16), zeros(16, 16)])],
  ['gemm_square', opModule('matmul', {}, [zeros(192, 192), zeros(192, 192)])],
  ['gemm_skinny', opModule('matmul', {}, [zeros(128, 256), zeros(256, 10)])],
  ['gemm_vector', opModule('matmul', {}, [zeros(1, 256), zeros(256, 256)])],
  ['conv_forward', opModule('conv2d', conv, [image, kernel])],
  ['conv_input_grad', opModule('conv2d_input_grad', { ...conv, input: [28, 28] }, [zeros(2, 32, 28, 28), kernel])],
  ['conv_weight_grad', opModule('conv2d_weight_grad', { ...conv, kernel: [3, 3] }, [image, zeros(2, 32, 28, 28)])],
  ['softmax', opModule('softmax', { axis: 1 }, [zeros(64, 200)])],
  ['random_bits', opModule('random_bits', { shape: [4096] }, [key])],
];

const NETWORKS: Readonly<Record<string, string>> = {
  layernorm: `import { LayerNorm } from "std/nn"
    export block Net { norm = LayerNorm(200)
      forward(x: f32[64, 200]) -> f32[64, 200] => norm(x) }`,
  batchnorm: `import { BatchNorm2d } from "std/nn"
    export block Net { norm = BatchNorm2d(8)
      forward(x: f32[4, 8, 14, 14]) -> f32[4, 8, 14, 14] => norm(x) }`,
  gelu: 'export block Net { forward(x: f32[64, 200]) -> f32[64, 200] => gelu(x) }',
  lstm: `import { LSTM } from "std/nn"
    export block Net { lstm = LSTM(64, 128, batch_first: true)
      forward(x: f32[16, 4, 64]) -> f32[16, 4, 128] { (y, state) = lstm(x)
        y } }`,
  adamw: `export block Net { param w: f32[4096] ~ zeros()
      forward(x: f32[4096]) -> f32[] => sum(w * x)
      loss(x: f32[4096]) -> f32[] => forward(x)
      train { loss = loss; optimizer = AdamW(lr: 0.001) } }`,
};
const PROGRAM: Readonly<Record<string, string>> = { batchnorm: 'forward.training', adamw: 'train_step' };

/** Instructions of each program of the driver: of the calls of `run_...`, with everything below. */
async function count(path: string, at: string): Promise<Map<string, number>> {
  const out = join(at, 'callgrind.out');
  const plain = ['--compress-strings=no', '--compress-pos=no', `--callgrind-out-file=${out}`];
  await exec('valgrind', ['-q', '--tool=callgrind', ...plain, path]);
  const found = new Map<string, number>();
  const lines = readFileSync(out, 'utf8').split('\n');
  let callee = '';
  lines.forEach((line, i) => {
    const name = /^cfn=(.*)$/.exec(line);
    if (name) callee = name[1]!;
    if (!line.startsWith('calls=') || !callee.startsWith('run_')) return;
    const cost = Number(lines[i + 1]!.split(' ').at(-1));
    found.set(callee, (found.get(callee) ?? 0) + cost);
  });
  return found;
}

async function version(): Promise<string | null> {
  try {
    await exec('valgrind', ['--version']);
    const { stdout } = await exec('cc', ['-dumpfullversion']);
    return process.arch === 'x64' ? `gcc ${stdout.trim()}` : null;
  } catch {
    return null;
  }
}

const compiler = await version();
const run = compiler === null ? test.skip : test.serial;
if (compiler === null) test('skipped: counting instructions needs x86, gcc and valgrind', absent);

run('the main kernels execute as many instructions as they did', async (t) => {
  t.timeout(600_000);
  const driver = new NativeDriver({ lanes: 8, registers: 16, fma: true });
  for (const [name, module] of OPS) driver.addModule(name, module);
  for (const [name, source] of Object.entries(NETWORKS)) {
    const open = openProject({ read: (p) => (p === 'main.net' ? source : null) }, 'main.net');
    t.deepEqual(open.bag.all, [], name);
    driver.add(
      name,
      open,
      (p) => p === (PROGRAM[name] ?? 'forward'),
      () => 1,
    );
  }
  const at = folder(t);
  const found = await count(await driver.build(at, FLAGS, [1]), at);
  const counts = Object.fromEntries(
    [
      ...OPS.map(([name]) => [name, `run_${name}_main`]),
      ...Object.keys(NETWORKS).map((n) => [n, `run_${n}_${(PROGRAM[n] ?? 'forward').replace('.', '_')}`]),
    ].map(([name, f]) => [name!, found.get(f!) ?? 0]),
  );
  if (process.env['UPDATE']) {
    const reason = process.env['REASON'];
    if (!reason) return t.fail("say why they change: UPDATE=1 REASON='...'");
    writeFileSync(GOLDEN, `${JSON.stringify({ compiler: compiler!, reason, counts } satisfies Golden, null, 2)}\n`);
  }
  const golden = JSON.parse(readFileSync(GOLDEN, 'utf8')) as Golden;
  t.deepEqual(Object.keys(counts), Object.keys(golden.counts));
  const band = golden.compiler === compiler ? SAME_COMPILER : OTHER_COMPILER;
  for (const [name, want] of Object.entries(golden.counts)) {
    const got = counts[name]!;
    t.true(got > 0 && Math.abs(got - want) <= band * want, `${name}: ${got}, and by ${golden.compiler} it was ${want}`);
  }
});
