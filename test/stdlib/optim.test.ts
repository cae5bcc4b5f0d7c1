/** The optimizers and schedules of the library against PyTorch's, step by step with their state. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { elaborated } from '../support/elaborated.ts';
import { Interpreted } from '../support/interpreted.ts';
import { close } from '../support/networks.ts';
import { readSafetensors, type Stored } from '../support/safetensors.ts';

interface Run {
  readonly name: string;
  readonly optimizer: string;
  readonly args: Readonly<Record<string, number | boolean | readonly number[]>>;
  readonly group_b: Readonly<Record<string, number>> | null;
  readonly clip: readonly [string, number] | null;
  readonly schedule: string | null;
  readonly steps: number;
  readonly losses: readonly number[];
}

const at = (name: string): URL => new URL(`../reference/optim/${name}`, import.meta.url);
interface Schedule {
  readonly name: string;
  readonly base_lr: number;
  readonly lrs: readonly number[];
}

const { runs, schedules } = JSON.parse(readFileSync(at('optim.json'), 'utf8')) as {
  runs: readonly Run[];
  schedules: readonly Schedule[];
};
const stored = readSafetensors(at('optim.safetensors').pathname);

/** PyTorch's schedules that the runs use, in the language. */
const SCHEDULES: Readonly<Record<string, string>> = {
  'torch.optim.lr_scheduler.StepLR(o, 2, .5)': 'step_lr(step_size: 2, gamma: 0.5)',
};
const OPTIMIZERS = ['SGD', 'Adam', 'AdamW', 'RMSprop', 'Adagrad', 'Adadelta', 'RAdam'];

const literal = (x: number | boolean | readonly number[]): string =>
  Array.isArray(x) ? `(${x.join(', ')})` : typeof x === 'number' && Number.isInteger(x) ? `${x}.0` : String(x);
const named = (args: Run['args'], separator: string): string =>
  Object.entries(args)
    .map(([k, v]) => `${k}${separator}${literal(v)}`)
    .join(separator === ': ' ? ', ' : '; ');

const source = (run: Run): string => `
export block Model() {
  param W: f32[4, 3] ~ zeros()
  param b: f32[3] ~ zeros()

  loss(X: f32[N, 4], Y: f32[N, 3], absolute: f32[]) -> f32[] {
    y = X @ W + b
    absolute * l1_loss(y, Y) + (1.0 - absolute) * mse_loss(y, Y)
  }

  train {
    loss = loss
    optimizer = ${run.optimizer}(${named(run.args, ': ')})
    ${run.schedule ? `schedule = ${SCHEDULES[run.schedule]}` : ''}
    ${run.clip ? `clip_norm = ${run.clip[1]}` : ''}
    ${run.group_b ? `override b { ${named(run.group_b, ' = ')} }` : ''}
  }
}
`;

for (const run of runs) {
  if (!OPTIMIZERS.includes(run.optimizer)) continue;
  test(run.name, (t) => {
    const model = new Interpreted(elaborated(source(run)));
    for (const name of ['W', 'b']) model.write(name, stored.get(`in/${name}0`)!.data);
    for (let step = 0; step < run.steps; step++) {
      const scalar = (x: number): Stored => ({ dtype: 'F32', shape: [], data: Float64Array.of(x) });
      const args = new Map([
        ['X', stored.get('in/X')!],
        ['Y', stored.get('in/Y')!],
        ['absolute', scalar(step === 3 ? 1 : 0)],
      ]);
      const loss = model.run('train_step', args).get('loss')!.data;
      close(t, `loss ${step}`, loss, scalar(run.losses[step]!));
      for (const name of ['W', 'b']) {
        close(t, `${name} after step ${step + 1}`, model.read(name), stored.get(`${run.name}/${step + 1}/${name}`)!);
      }
    }
  });
}

/** Optimizers that the reference runs do not have (test/reference/optimizers/generate.py). */
const more = JSON.parse(readFileSync(new URL('../reference/optimizers/cases.json', import.meta.url), 'utf8')) as {
  readonly start: readonly (readonly number[])[];
  readonly scale: readonly (readonly number[])[];
  readonly cases: readonly {
    readonly optimizer: string;
    readonly args: Run['args'];
    readonly steps: readonly (readonly (readonly number[])[])[];
  }[];
};

for (const c of more.cases) {
  const call = `${c.optimizer}(${named(c.args, ': ')})`;
  test(call, (t) => {
    const model = new Interpreted(
      elaborated(`
export block Model() {
  param W: f32[4, 3] ~ zeros()
  param b: f32[3] ~ zeros()

  loss(u: f32[4, 3], v: f32[3]) -> f32[] => (sum(u * W * u * W) + sum(v * b * v * b)) / 2.0

  train { loss = loss; optimizer = ${call} }
}
`),
    );
    const names = ['W', 'b'];
    names.forEach((name, i) => model.write(name, more.start[i]!));
    const vector = (shape: number[], data: readonly number[]): Stored => ({
      dtype: 'F32',
      shape,
      data: Float64Array.from(data),
    });
    const args = new Map([
      ['u', vector([4, 3], more.scale[0]!)],
      ['v', vector([3], more.scale[1]!)],
    ]);
    c.steps.forEach((expected, step) => {
      model.run('train_step', args);
      names.forEach((name, i) =>
        close(t, `${name} after step ${step + 1}`, model.read(name), vector([], expected[i]!)),
      );
    });
  });
}

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

for (const schedule of schedules) {
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
