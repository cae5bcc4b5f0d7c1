/** The optimizers of the library as PyTorch takes its steps (test/reference/optim and optimizers), and how a run is held to it. */
import { readFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { close } from './networks.ts';
import { readSafetensors, type Stored } from './safetensors.ts';

type Args = Readonly<Record<string, number | boolean | readonly number[]>>;

interface Run {
  readonly name: string;
  readonly optimizer: string;
  readonly args: Args;
  readonly group_b: Readonly<Record<string, number>> | null;
  readonly clip: readonly [string, number] | null;
  readonly schedule: string | null;
  readonly steps: number;
  readonly losses: readonly number[];
}

export interface Schedule {
  readonly name: string;
  readonly base_lr: number;
  readonly lrs: readonly number[];
}

/** A model with the parameters W and b. */
export interface Stepper {
  write(name: string, data: ArrayLike<number>): void;
  read(name: string): Promise<ArrayLike<number>>;
  /** A training step; the loss before it. */
  step(args: ReadonlyMap<string, Stored>): Promise<ArrayLike<number>>;
}

export type MakeStepper = (source: string) => Promise<Stepper>;

export interface OptimizerCase {
  readonly name: string;
  /** Compares every step. `noise`: what f32 loses beside the scale of a tensor. */
  readonly check: (t: ExecutionContext, make: MakeStepper, noise?: number) => Promise<void>;
}

const at = (name: string): URL => new URL(`../reference/${name}`, import.meta.url);
const { runs, schedules } = JSON.parse(readFileSync(at('optim/optim.json'), 'utf8')) as {
  runs: readonly Run[];
  schedules: readonly Schedule[];
};
const stored = readSafetensors(at('optim/optim.safetensors').pathname);
export const SCHEDULES: readonly Schedule[] = schedules;

/** PyTorch's schedules that the runs use, in the language. */
const IN_LANGUAGE: Readonly<Record<string, string>> = {
  'torch.optim.lr_scheduler.StepLR(o, 2, .5)': 'step_lr(step_size: 2, gamma: 0.5)',
};
const OPTIMIZERS = ['SGD', 'Adam', 'AdamW', 'RMSprop', 'Adagrad', 'Adadelta', 'RAdam'];

const literal = (x: number | boolean | readonly number[]): string =>
  Array.isArray(x) ? `(${x.join(', ')})` : typeof x === 'number' && Number.isInteger(x) ? `${x}.0` : String(x);
const named = (args: Args, separator: string): string =>
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
    ${run.schedule ? `schedule = ${IN_LANGUAGE[run.schedule]}` : ''}
    ${run.clip ? `clip_norm = ${run.clip[1]}` : ''}
    ${run.group_b ? `override b { ${named(run.group_b, ' = ')} }` : ''}
  }
}
`;

const vector = (shape: readonly number[], data: readonly number[]): Stored => ({
  dtype: 'F32',
  shape,
  data: Float64Array.from(data),
});

const RUNS = runs
  .filter((run) => OPTIMIZERS.includes(run.optimizer))
  .map((run): OptimizerCase => ({
    name: run.name,
    check: async (t, make, noise) => {
      const model = await make(source(run));
      for (const name of ['W', 'b']) model.write(name, stored.get(`in/${name}0`)!.data);
      for (let step = 0; step < run.steps; step++) {
        const args = new Map([
          ['X', stored.get('in/X')!],
          ['Y', stored.get('in/Y')!],
          ['absolute', vector([], [step === 3 ? 1 : 0])],
        ]);
        close(t, `loss ${step}`, await model.step(args), vector([], [run.losses[step]!]), noise);
        for (const name of ['W', 'b']) {
          const want = stored.get(`${run.name}/${step + 1}/${name}`)!;
          close(t, `${name} after step ${step + 1}`, await model.read(name), want, noise);
        }
      }
    },
  }));

/** Optimizers that the reference runs do not have (test/reference/optimizers/generate.py). */
const more = JSON.parse(readFileSync(at('optimizers/cases.json'), 'utf8')) as {
  readonly start: readonly (readonly number[])[];
  readonly scale: readonly (readonly number[])[];
  readonly cases: readonly {
    readonly optimizer: string;
    readonly args: Args;
    readonly steps: readonly (readonly (readonly number[])[])[];
  }[];
};

const MORE = more.cases.map((c): OptimizerCase => {
  const call = `${c.optimizer}(${named(c.args, ': ')})`;
  return {
    name: call,
    check: async (t, make, noise) => {
      const model = await make(`
export block Model() {
  param W: f32[4, 3] ~ zeros()
  param b: f32[3] ~ zeros()

  loss(u: f32[4, 3], v: f32[3]) -> f32[] => (sum(u * W * u * W) + sum(v * b * v * b)) / 2.0

  train { loss = loss; optimizer = ${call} }
}
`);
      const names = ['W', 'b'];
      names.forEach((name, i) => model.write(name, more.start[i]!));
      const args = new Map([
        ['u', vector([4, 3], more.scale[0]!)],
        ['v', vector([3], more.scale[1]!)],
      ]);
      for (const [step, expected] of c.steps.entries()) {
        await model.step(args);
        for (const [i, name] of names.entries())
          close(t, `${name} after step ${step + 1}`, await model.read(name), vector([], expected[i]!), noise);
      }
    },
  };
});

export const OPTIMIZER_CASES: readonly OptimizerCase[] = [...RUNS, ...MORE];
