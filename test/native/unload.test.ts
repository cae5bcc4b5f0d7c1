/** The code of a model that is gone stays mapped: threads of its pool sleep in it. */
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { compile } from '../../src/compile.ts';
import { tensor, thisMachine } from '../../src/runtime/index.ts';
import { onNative } from '../support/native.ts';

const run = await onNative();
const machine = await thisMachine();
const SIZE = 1 << 18; // enough for threads to share

async function used(expression: string): Promise<number> {
  const { blocks } = compile(`export block Gone { f(x: f32[N]) -> f32[N] => ${expression} }`, {
    targets: ['wasm', 'native'],
    ...(machine && { machine }),
  });
  const model = await blocks['Gone']!.create({ device: 'native', threads: 2 });
  const x = tensor(new Float32Array(SIZE).fill(2), { device: model.device });
  const y = model.call('f', [x]) as unknown as typeof x;
  return (await y.read())[SIZE - 1]!;
}

const mapped = (): number =>
  new Set(readFileSync('/proc/self/maps', 'utf8').match(/\/[^ ]*\/[0-9a-f]{40}\.so/g) ?? []).size;

run('objects with sleeping threads are not unmapped', async (t) => {
  t.timeout(300_000);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (const [i, [expression, want]] of (
    [
      ['x * 3.0', 6],
      ['x + 5.0', 7],
      ['x * x - 1.0', 3],
    ] as const
  ).entries()) {
    // prettier-ignore
    t.is(await used(expression), want);
    // Finalizers run in turns of their own.
    for (let k = 0; k < 3; k++) {
      collect();
      await new Promise((done) => setTimeout(done, 20));
    }
    if (process.platform === 'linux') t.is(mapped(), i + 1);
  }
});
