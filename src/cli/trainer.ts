/** The training loop of the command line: epochs over shuffled batches, held-out metric, checkpoints, a clean stop. */
import { NonFiniteError } from '../runtime/errors.ts';
import { tensor, type Device, type Model, type Tensor } from '../runtime/index.ts';
import type { Elem, MethodEntry, Spec } from '../runtime/artifact.ts';
import { BatchLoader, matchColumns, permutation } from './data/loader.ts';
import type { Column, DataSet } from './data/dataset.ts';
import type { Progress } from './progress.ts';

/** From 2^16 the scale of the loss has then come down to 2^-9: it is not the scale. */
const MAX_OVERFLOWS = 25;

/** Samples per call of a metric. */
const EVALUATED = 250;

export interface TrainerOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly seed: number;
  /** Where to go on: the first epoch (from 0) and batch to do. */
  readonly start: { readonly epoch: number; readonly batch: number };
  /** Called after each epoch with the position that comes next and the metric (else the mean loss); null inside an epoch. */
  readonly checkpoint: (epoch: number, batch: number, value: number | null) => Promise<void>;
  readonly stopped: () => boolean;
}

export interface TrainerResult {
  readonly seconds: number;
  readonly metric: { readonly name: string; readonly value: number } | null;
  readonly loss: number;
  readonly stopped: boolean;
}

export async function train(
  model: Model,
  data: DataSet,
  heldOut: DataSet | null,
  options: TrainerOptions,
  progress: Progress,
): Promise<TrainerResult> {
  const entry = model.artifact.train!;
  const method = (name: string): MethodEntry => model.artifact.methods.find((m) => m.name === name)!;
  const loader = new BatchLoader(matchColumns(data, method(entry.loss)), options.batchSize);
  // Without a metric it is the loss that tells what was learned from what was learned by heart; it may compare the samples of a batch.
  const name = entry.metric ?? entry.loss;
  const evaluate =
    heldOut && new Evaluation(model, method(name), heldOut, entry.metric === null ? options.batchSize : EVALUATED);
  const inputs = new InputTensors(method(entry.loss), model.device);
  let seconds = 0;
  let metric: TrainerResult['metric'] = null;
  let mean = NaN;
  let overflows = 0;

  for (let epoch = options.start.epoch; epoch < options.epochs; epoch++) {
    const order = permutation(data.count, options.seed, epoch);
    const first = epoch === options.start.epoch ? options.start.batch : 0;
    let total = 0;
    let samples = 0;
    const began = performance.now();
    for (let batch = first; batch < loader.batches; batch++) {
      const columns = loader.batch(batch, order);
      // What an epoch has begun to accumulate does not wait for the next one.
      const update = batch === loader.batches - 1 ? [{ update: true }] : [];
      const { loss } = model.train_step(...inputs.fill(columns), ...update);
      const value = await loss.item();
      // Under loss scaling a step may overflow and be left out; not many in a row.
      overflows = Number.isFinite(value) ? 0 : overflows + 1;
      if (overflows > (model.loss_scale ? MAX_OVERFLOWS : 0)) {
        throw new NonFiniteError(
          `the loss is ${value} at step ${model.step} (epoch ${epoch + 1}, batch ${batch + 1}): try a smaller --lr or clip_norm in the train block, or look for NaN in the data`,
        );
      }
      const n = columns[0]!.shape[0]!;
      if (overflows === 0) {
        total += value * n;
        samples += n;
      }
      progress.step({ epoch: epoch + 1, step: epoch * loader.batches + batch + 1, loss: value, samples: n });
      // Lets signals and the terminal have their turn.
      if (batch % 16 === 15) await new Promise((done) => setImmediate(done));
      if (options.stopped()) {
        await options.checkpoint(epoch, batch + 1, null);
        return { seconds: seconds + (performance.now() - began) / 1000, metric, loss: total / samples, stopped: true };
      }
    }
    const took = (performance.now() - began) / 1000;
    seconds += took;
    mean = total / samples;
    metric = evaluate ? { name, value: await evaluate.run() } : null;
    model.plateau?.step(metric?.value ?? mean);
    progress.epoch({ epoch: epoch + 1, loss: mean, metric, samplesPerSecond: samples / took, seconds: took });
    await options.checkpoint(epoch + 1, 0, metric?.value ?? mean);
  }
  return { seconds, metric, loss: mean, stopped: false };
}

/** Tensors that batches are copied into: one set per batch size, so that a step makes no new ones. */
export class InputTensors {
  private readonly elems: readonly Elem[];
  private readonly device: Device;
  private readonly bySize = new Map<string, Tensor[]>();

  constructor(method: MethodEntry, device: Device) {
    this.device = device;
    this.elems = method.args.map((a) => elemOf(a.spec));
  }

  fill(columns: readonly Column[]): Tensor[] {
    const key = columns.map((c) => c.shape.join('x')).join(' ');
    const known = this.bySize.get(key);
    if (known) {
      columns.forEach((c, i) => known[i]!.copy_(c.data));
      return known;
    }
    const made = columns.map((c, i) =>
      tensor<Elem>(c.data as ArrayLike<number>, { dtype: this.elems[i]!, shape: c.shape, device: this.device }),
    );
    this.bySize.set(key, made);
    return made;
  }
}

const elemOf = (s: Spec): Elem => (s.kind === 'tensor' ? s.elem : 'f32');

/** A metric over the held-out samples: the mean over batches, weighted by their size. */
class Evaluation {
  private readonly model: Model;
  private readonly method: MethodEntry;
  private readonly loader: BatchLoader;
  private readonly inputs: InputTensors;

  constructor(model: Model, method: MethodEntry, data: DataSet, batchSize: number) {
    this.model = model;
    this.method = method;
    this.loader = new BatchLoader(matchColumns(data, method), batchSize);
    this.inputs = new InputTensors(method, model.device);
  }

  async run(): Promise<number> {
    let total = 0;
    let samples = 0;
    for (let b = 0; b < this.loader.batches; b++) {
      const columns = this.loader.batch(b, null);
      const n = columns[0]!.shape[0]!;
      const value = this.model.call(this.method.name, this.inputs.fill(columns)) as Tensor;
      total += (await value.item()) * n;
      samples += n;
    }
    return total / samples;
  }
}
