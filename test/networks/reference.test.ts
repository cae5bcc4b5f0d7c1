/** The reference networks written in the language, against PyTorch: names, outputs, loss, gradients, buffers, steps of SGD and AdamW. */
import test, { type ExecutionContext } from 'ava';
import { elaborated } from '../support/elaborated.ts';
import { Interpreted } from '../support/interpreted.ts';
import { close, EVALUATED, NETWORKS, reference, withAdamW, type Reference } from '../support/networks.ts';
import type { Stored } from '../support/safetensors.ts';

/** A loaded model, whatever runs it. */
interface Machine {
  readonly names: readonly string[];
  write(name: string, data: Float64Array): void;
  read(name: string): ArrayLike<number>;
  grad(name: string): ArrayLike<number>;
  run(
    program: string,
    training: boolean,
    args: ReadonlyMap<string, Stored>,
  ): ReadonlyMap<string, { readonly data: ArrayLike<number> }>;
}

function interpreted(source: string): Machine {
  const programs = elaborated(source);
  const model = new Interpreted(programs);
  return {
    names: programs.block.stateDict.map((e) => e.name),
    write: (name, data) => model.write(name, data),
    read: (name) => model.read(name),
    grad: (name) => model.grad(name),
    run: (program, training, args) =>
      model.run(training && model.has(`${program}.training`) ? `${program}.training` : program, args),
  };
}

function load(machine: Machine, r: Reference): void {
  for (const [name, x] of r.params) machine.write(name, x.data);
  for (const [name, x] of r.constants) machine.write(name, x.data);
}

/** Results come in the order of the reference's names: `train.out`, `train.out.0`, `train.out.logits`. */
function outputs(t: ExecutionContext, machine: Machine, r: Reference, mode: 'eval' | 'train'): void {
  const expected = [...r.outputs].filter(([name]) => name.startsWith(`${mode}.out`));
  const made = [...machine.run('forward', mode === 'train', r.inputs).values()];
  t.is(made.length, expected.length);
  expected.forEach(([name, x], i) => close(t, name, made[i]!.data, x, r.noise['outputs']![name]));
}

function buffers(t: ExecutionContext, machine: Machine, r: Reference): void {
  for (const [key, x] of r.outputs) {
    if (!key.startsWith('after_forward.')) continue;
    close(t, key, machine.read(key.slice('after_forward.'.length)), x, r.noise['outputs']![key]);
  }
}

for (const name of NETWORKS) {
  test(`${name}: the state dict has PyTorch's names in PyTorch's order`, (t) => {
    const r = reference(name);
    t.deepEqual(interpreted(r.source).names, r.names);
  });

  test(`${name}: outputs, loss, buffers and gradients`, (t) => {
    const r = reference(name);
    const machine = interpreted(r.source);
    load(machine, r);
    outputs(t, machine, r, 'eval');
    outputs(t, machine, r, 'train');
    buffers(t, machine, r);
    load(machine, r);
    const { data } = machine.run('backward', true, r.inputs).get('loss')!;
    close(t, 'loss', data, r.outputs.get('train.loss')!, r.noise['outputs']!['train.loss']);
    buffers(t, machine, r);
    for (const [key, x] of r.grads) {
      if (!key.startsWith('input.')) close(t, `gradient of ${key}`, machine.grad(key), x, r.noise['grads']![key]);
    }
  });

  for (const optimizer of ['sgd', 'adamw'] as const) {
    test(`${name}: ${optimizer} steps`, (t) => {
      const r = reference(name);
      const machine = interpreted(optimizer === 'sgd' ? r.source : withAdamW(r.source));
      load(machine, r);
      const noise = r.noise[`${optimizer}${r.steps}`]!;
      for (let step = 0; step < r.steps; step++) {
        const { data } = machine.run('train_step', true, r.inputs).get('loss')!;
        const loss = r.losses[optimizer][step]!;
        close(t, `loss before step ${step + 1}`, data, { dtype: 'F32', shape: [], data: Float64Array.of(loss) });
      }
      for (const [key, x] of r.after[optimizer]) {
        if (optimizer === 'adamw' && r.noisyUnderAdam.includes(key)) continue;
        close(t, `${key} after ${r.steps} steps`, machine.read(key), x, noise[key]);
      }
    });
  }
}

for (const name of EVALUATED) {
  test(`${name}: outputs`, (t) => {
    const r = reference(name);
    const machine = interpreted(r.source);
    load(machine, r);
    outputs(t, machine, r, 'eval');
  });
}
