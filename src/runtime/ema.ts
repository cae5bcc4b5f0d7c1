/** The averaged weights of a model: what `ema` in its train block keeps. They have the names of the weights. */
import type { Artifact } from './artifact.ts';
import type { Executor } from './backend.ts';
import type { Optimizer } from './optimizer.ts';
import { Parameter } from './parameter.ts';
import type { Tensor } from './tensor.ts';

/** What a file of weights is written from: a model, or its averaged weights. */
export interface Weights {
  readonly artifact: Artifact;
  state_dict(): Map<string, Tensor>;
  named_parameters(): Iterable<[string, Parameter]>;
  named_buffers(): Iterable<[string, Parameter]>;
}

export class AveragedWeights implements Weights {
  readonly artifact: Artifact;
  /** Segments of parameters to those of their averages: what a method reads instead. */
  readonly segments: ReadonlyMap<string, string>;
  readonly #optimizer: Optimizer;
  readonly #tensors: readonly Parameter[];
  readonly #prepare: () => void;

  /** `live` are the model's tensors; what is not averaged (buffers, frozen parameters) is the model's own. */
  constructor(
    executor: Executor,
    artifact: Artifact,
    optimizer: Optimizer,
    live: readonly Parameter[],
    prepare: () => void,
  ) {
    this.artifact = artifact;
    this.#optimizer = optimizer;
    this.#prepare = prepare;
    this.segments = new Map(artifact.train!.groups.map((g) => [g.segment, g.ema!]));
    this.#tensors = artifact.tensors.map((t, i) => {
      const segment = this.segments.get(t.segment);
      return segment === undefined ? live[i]! : new Parameter(executor, { ...t, segment, grad: null });
    });
  }

  /** How much of the average an update keeps. */
  get decay(): number {
    return this.#optimizer.settings().get('ema')!;
  }

  set decay(value: number) {
    this.#optimizer.set('ema', value);
  }

  *named_parameters(): Generator<[string, Parameter]> {
    this.#prepare();
    for (const p of this.#tensors) if (p.kind === 'param') yield [p.name, p];
  }

  *named_buffers(): Generator<[string, Parameter]> {
    for (const p of this.#tensors) if (p.kind === 'buffer') yield [p.name, p];
  }

  /** Every name with its averaged tensor, as the model's own. */
  state_dict(): Map<string, Tensor> {
    this.#prepare();
    return new Map(
      this.artifact.stateDict.map((e) => {
        const p = this.#tensors[e.tensor]!;
        return [e.name, (e.transposed ? p.transpose() : p).data];
      }),
    );
  }

  /** Writes the averaged weights as `Model.save` writes the weights. Node only. */
  async save(path: string): Promise<void> {
    const { saveWeights } = await import('./node/checkpoints.ts');
    await saveWeights(this, path);
  }
}
