/**
 * The reference networks written in the language, against PyTorch: names, outputs, loss, gradients, buffers, steps of SGD and
 * AdamW.
 */
import test, { type ExecutionContext } from 'ava';
import type { Machine, Maker } from './machines.ts';
import { close, NETWORKS, reference, withAdamW, type Reference } from './networks.ts';

/** A GPU in software compiles the kernels of a large network for minutes when a machine is busy. */
const SLOW = 15 * 60_000;

/** Results come in the order of the reference's names: `train.out`, `train.out.0`, `train.out.logits`. */
async function outputs(t: ExecutionContext, machine: Machine, r: Reference, mode: 'eval' | 'train'): Promise<void> {
  const expected = [...r.outputs].filter(([name]) => name.startsWith(`${mode}.out`));
  const made = await machine.forward(r.inputs, mode === 'train');
  t.is(made.length, expected.length);
  expected.forEach(([name, x], i) => close(t, name, made[i]!, x, r.noise['outputs']![name]));
}

async function buffers(t: ExecutionContext, machine: Machine, r: Reference): Promise<void> {
  for (const [key, x] of r.outputs) {
    if (!key.startsWith('after_forward.')) continue;
    close(t, key, await machine.read(key.slice('after_forward.'.length)), x, r.noise['outputs']![key]);
  }
}

/** The tests of one way to run networks; `run` is `test`, or `test.serial` for a device that works on one thing at a time. */
export function referenceTests(
  kind: string,
  make: Maker,
  run: typeof test | typeof test.serial | typeof test.skip = test,
): void {
  for (const name of NETWORKS) {
    run(`${name}, ${kind}: names, outputs, loss, buffers and gradients`, async (t) => {
      t.timeout(SLOW);
      const r = reference(name);
      const machine = await make(r.source);
      t.deepEqual(machine.names, r.names);
      await machine.load(r);
      await outputs(t, machine, r, 'eval');
      await outputs(t, machine, r, 'train');
      await buffers(t, machine, r);
      await machine.load(r);
      close(
        t,
        'loss',
        await machine.backward(r.inputs),
        r.outputs.get('train.loss')!,
        r.noise['outputs']!['train.loss'],
      );
      await buffers(t, machine, r);
      for (const [key, x] of r.grads) {
        const input = key.startsWith('input.') ? key.slice('input.'.length) : null;
        const made = await (input === null ? machine.grad(key) : machine.inputGrad(input, r.inputs));
        if (made) close(t, `gradient of ${key}`, made, x, r.noise['grads']![key]);
      }
    });

    for (const optimizer of ['sgd', 'adamw'] as const) {
      run(`${name}, ${kind}: steps of ${optimizer}`, async (t) => {
        t.timeout(SLOW);
        const r = reference(name);
        const machine = await make(optimizer === 'sgd' ? r.source : withAdamW(r.source));
        await machine.load(r);
        for (let step = 0; step < r.steps; step++) {
          const expected = { dtype: 'F32', shape: [], data: Float64Array.of(r.losses[optimizer][step]!) };
          const noise = r.lossNoise[optimizer]?.[step];
          close(t, `loss before step ${step + 1}`, await machine.train_step(r.inputs), expected, noise);
        }
        for (const [key, x] of r.after[optimizer]) {
          if (optimizer === 'adamw' && r.noisyUnderAdam.includes(key)) continue;
          close(
            t,
            `${key} after ${r.steps} steps`,
            await machine.read(key),
            x,
            r.noise[`${optimizer}${r.steps}`]![key],
          );
        }
      });
    }
  }
}
