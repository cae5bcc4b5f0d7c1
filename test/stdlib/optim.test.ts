/** The optimizers and schedules of the library against PyTorch's, step by step with their state. */
import test from 'ava';
import { elaborated } from '../support/elaborated.ts';
import { Interpreted } from '../support/interpreted.ts';
import { close } from '../support/networks.ts';
import { OPTIMIZER_CASES, SCHEDULES, type Stepper } from '../support/optimizer-cases.ts';
import type { Stored } from '../support/safetensors.ts';

async function interpreted(source: string): Promise<Stepper> {
  const model = new Interpreted(elaborated(source));
  return {
    write: (name, data) => model.write(name, data),
    read: async (name) => model.read(name),
    step: async (args) => model.run('train_step', args).get('loss')!.data,
  };
}

for (const c of OPTIMIZER_CASES) test(c.name, (t) => c.check(t, interpreted));

/** PyTorch's schedules as factors; torch's cosine rises again after its end, ours stays: `until` is how far they agree. */
const FACTORS: Readonly<Record<string, { readonly factor: string; readonly until?: number }>> = {
  step: { factor: 'step_lr(step, 5, 0.5)' },
  multistep: { factor: 'multistep_lr(step, [3, 8, 8, 15], 0.1)' },
  exp: { factor: 'exponential_lr(step, 0.9)' },
  cosine: { factor: 'cosine_lr(step, 10, min_factor: 0.01)', until: 11 },
  linear: { factor: 'linear_lr(step, 6, start_factor: 0.1)' },
  const: { factor: 'constant_lr(step, 0.3, 4)' },
  onecycle: { factor: 'one_cycle_lr(step, 30) / 0.1' },
  cosine_restart: { factor: 'cosine_restarts_lr(step, 5, 2, min_factor: 0.01)' },
  cyclic: { factor: 'cyclic_lr(step, 4)' },
  lamb: { factor: 'inverse_sqrt_lr(step)' },
  poly: { factor: 'polynomial_lr(step, 10, 2.0)' },
};

for (const schedule of SCHEDULES) {
  const ours = FACTORS[schedule.name];
  if (!ours) continue;
  test(`schedule ${schedule.name}`, (t) => {
    const model = new Interpreted(
      elaborated(`
export block Schedule() {
  param lr: f32[] ~ zeros()

  forward(step: i32[]) -> f32[] => lr * ${ours.factor}
}
`),
    );
    model.write('lr', [schedule.base_lr]);
    const lrs = schedule.lrs.slice(0, ours.until);
    const made = lrs.map((_, i) => {
      const step: Stored = { dtype: 'I32', shape: [], data: Float64Array.of(i) };
      return model.run('forward', new Map([['step', step]])).get('result')!.data[0]!;
    });
    close(t, schedule.name, made, { dtype: 'F32', shape: [lrs.length], data: Float64Array.from(lrs) });
  });
}
