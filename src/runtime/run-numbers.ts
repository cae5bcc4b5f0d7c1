/** The numbers of a run that are no tensors: position, hyper-parameters, settings; as text in a file and back. */
import type { TrainNumber } from './artifact.ts';
import type { Model } from './model.ts';

/** One number of a model: how it stands, and how a file's is put in its place. */
export interface RunNumber {
  readonly key: string;
  readonly value: number;
  /** A count: a whole number from 0. */
  readonly whole: boolean;
  readonly restore: (value: number) => void;
}

export function runNumbers(model: Model): RunNumber[] {
  const count = (key: string, value: number, restore: (v: number) => void): RunNumber => ({
    key,
    value,
    whole: true,
    restore,
  });
  const out = [
    count('step', model.step, (v) => (model.step = v)),
    count('microbatch', model.microbatch, (v) => (model.microbatch = v)),
    count('calls', model.calls, (v) => (model.calls = v)),
    count('model_seed', model.seed, (v) => (model.seed = v)),
  ];
  const { optimizer } = model;
  if (!optimizer) return out;
  if (model.artifact.train!.accumulate > 1)
    out.push(count('accumulate', optimizer.accumulate, (v) => (optimizer.accumulate = v)));
  const real = (key: string, value: number, restore: (v: number) => void): void =>
    void out.push({ key, value, whole: false, restore });
  optimizer.groups.forEach((group, i) => {
    for (const [k, v] of Object.entries(group)) real(`hyper.${i}.${k}`, v, (x) => (group[k] = x));
  });
  for (const [k, v] of optimizer.settings()) real(`setting.${k}`, v, (x) => optimizer.set(k as TrainNumber, x));
  const { plateau } = model;
  if (!plateau) return out;
  real('plateau.best', plateau.best, (v) => (plateau.best = v));
  out.push(count('plateau.bad_epochs', plateau.bad_epochs, (v) => (plateau.bad_epochs = v)));
  out.push(count('plateau.cooldown', plateau.cooldown, (v) => (plateau.cooldown = v)));
  return out;
}
