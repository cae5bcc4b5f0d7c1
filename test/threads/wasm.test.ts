/** Threads of WebAssembly: results have the same bits whatever their number, and no worker outlives its use. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { WasmMemory } from '../../src/runtime/memory.ts';
import { printWasm } from '../../src/codegen/wasm/print.ts';
import { compile } from '../../src/compile.ts';
import { cpuDevice } from '../../src/runtime/devices.ts';
import { UsageError } from '../../src/runtime/index.ts';
import { Threads, withSharedMemory } from '../../src/runtime/threads.ts';
import { NETWORKS } from '../support/networks.ts';
import { COUNTS, sameTraining, sameUneven, type On } from '../support/thread-bits.ts';

const CPU: On = { targets: ['wasm'], device: 'cpu' };

for (const name of NETWORKS)
  test.serial(`${name}: training steps have the same bits on ${COUNTS.join(', ')} threads`, async (t) => {
    await sameTraining(t, name, CPU);
  });

test.serial('sizes that no number of threads divides', async (t) => {
  const before = cpuDevice().threads().tasks;
  await sameUneven(t, CPU);
  t.true(cpuDevice().threads().tasks > before, 'the second thread took part');
});

test('threads is a whole number from 1', async (t) => {
  const { blocks } = compile('export block Double { forward(x: f32[B]) -> f32[B] => x * 2.0 }');
  for (const threads of [0, -1, 1.5, NaN])
    await t.throwsAsync(blocks['Double']!.create({ threads }), { instanceOf: UsageError });
});

test('workers end with the last module, and start again', async (t) => {
  const memory = new WasmMemory();
  t.true(memory.shared);
  const before = memory.used;
  const threads = new Threads(memory);
  const bytes = withSharedMemory(printWasm({ kernels: [], programs: [] }).plain);
  const module = await WebAssembly.compile(bytes);
  for (let round = 0; round < 2; round++) {
    const first = await threads.add(module, 3);
    const second = await threads.add(module, 2);
    await threads.ready();
    t.is(threads.workers, 2);
    first.release();
    t.is(threads.workers, 2, 'somebody needs them');
    second.release();
    t.is(threads.workers, 0);
    t.is(memory.used, before);
  }
});

const run = promisify(execFile);

test('a process that used threads ends by itself, and computes before they are there', async (t) => {
  const program = `
    import { compile, tensor } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url))};
    const { blocks } = compile('export block Net { forward(x: f32[N, N]) -> f32[N, N] => softmax(x @ x, dim: -1) }');
    const results = [];
    for (const threads of [1, 3]) {
      const model = await blocks.Net.create({ threads });
      const x = tensor(Array.from({ length: 256 }, (_, i) => Array.from({ length: 256 }, (_, j) => Math.sin(i * j))));
      // Workers come while this computes: on fewer threads at first.
      for (let i = 0; i < 50; i++) results.push(String(model.forward(x).readSync().slice(0, 999)));
    }
    console.log(new Set(results).size);`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program]);
  t.is(stdout.trim(), '1');
});
