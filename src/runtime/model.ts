/** A model: one exported block with its parameters, on one device. Generated modules and `compile` make subclasses of it. */
import { formSuffix, type Artifact, type Elem, type MethodEntry, type ProgramInput, type Spec } from './artifact.ts';
import { bindArguments } from './arguments.ts';
import { createExecutor, type Executor } from './backend.ts';
import type { Device } from './device.ts';
import { autoDevice, device as findDevice } from './devices.ts';
import { AveragedWeights } from './ema.ts';
import { UsageError } from './errors.ts';
import { Optimizer } from './optimizer.ts';
import { checkOptions, optionsOf, type CallOptions, type CreateOptions, type StepOptions } from './options.ts';
import { Parameter } from './parameter.ts';
import { Plateau } from './plateau.ts';
import { KEY, keyBytes, keyOf } from './keys.ts';
import { evaluateNumber } from './numbers.ts';
import { foldIn, type Key } from './rng.ts';
import type { OpenOptions, ReadFrom } from './sources/open.ts';
import { loadInto, type KeyReport, type StateDict } from './state-dict.ts';
import type { Storage } from './storage.ts';
import type { Tensor } from './tensor.ts';
import { INSPECT } from './show.ts';
import { attach, buildTree, countOf, ModuleNode, ownTensors, treeText } from './tree.ts';

export type Result = Tensor | readonly Result[] | { readonly [name: string]: Result };

export class Model {
  readonly artifact: Artifact;
  readonly device: Device;
  /** Of all draws to come. A resumed run restores it. */
  seed: number;
  /** Null where the block has no `train` block. */
  readonly optimizer: Optimizer | null;
  /** The averaged weights; null where the `train` block has no `ema`. */
  readonly ema: AveragedWeights | null;
  /** The schedule that follows a metric; null where the `train` block has none. */
  readonly plateau: Plateau | null;
  /** Updates of the parameters made. */
  step = 0;
  /** Calls of `train_step` since the last update: with gradient accumulation only. */
  microbatch = 0;
  /** Direct calls made without a seed of their own: each draws its own numbers. */
  calls = 0;
  readonly #executor: Executor;
  readonly #params: readonly Parameter[];
  readonly #nodes: ReadonlyMap<string, ModuleNode>;
  readonly #methods: ReadonlyMap<string, MethodEntry>;
  #hasState = false;

  /** Use `create`. */
  constructor(executor: Executor, artifact: Artifact, seed: number) {
    if (!artifact) throw new UsageError(`a model is made by \`await ${new.target.name}.create({ seed: 0 })\``);
    this.artifact = artifact;
    this.#executor = executor;
    this.device = executor.device;
    this.seed = seed;
    this.#params = artifact.tensors.map((t) => new Parameter(executor, t));
    const flipped = new Map<number, Parameter>();
    const parameter = (i: number, transposed: boolean): Parameter => {
      if (!transposed) return this.#params[i]!;
      if (!flipped.has(i)) flipped.set(i, this.#params[i]!.transpose());
      return flipped.get(i)!;
    };
    this.#nodes = buildTree(artifact, parameter);
    this.#methods = new Map(artifact.methods.map((m) => [m.name, m]));
    this.optimizer = artifact.train ? new Optimizer(artifact.train) : null;
    const plateau = artifact.train?.plateau;
    this.plateau = plateau ? new Plateau(plateau, this.optimizer!) : null;
    this.ema =
      this.optimizer && artifact.train?.settings.ema !== undefined
        ? new AveragedWeights(executor, artifact, this.optimizer, this.#params, () => this.#prepareState())
        : null;
    const root = this.#nodes.get('')!;
    attach(this, artifact.tree, ModuleNode.children(root), ownTensors(artifact.tree, parameter));
  }

  /** Compiles the kernels and draws the initial values. The same seed gives the same bits on every device. */
  static async build<M extends Model>(
    make: new (executor: Executor, artifact: Artifact, seed: number) => M,
    artifact: Artifact,
    options: CreateOptions = {},
  ): Promise<M> {
    checkOptions(`${artifact.name}.create`, options, ['seed', 'device', 'progress', 'threads', 'while_limit']);
    const executor = await createExecutor(artifact, await chosenDevice(artifact, options.device ?? 'cpu'), {
      progress: options.progress,
      threads: options.threads,
      while_limit: options.while_limit,
    });
    const seed = options.seed ?? 0;
    const model = new make(executor, artifact, seed);
    if (artifact.tensors.length > 0) executor.run('init', new Map(), () => keyBytes(foldIn(keyOf(seed), KEY.init)));
    return model;
  }

  // ------------------------------------------------------------------------------------------------ running

  /** Calls a method by name. Subclasses have it as a typed method of its own. */
  call(name: string, args: readonly unknown[], options: CallOptions = {}): Result {
    const method = this.#methods.get(name);
    if (!method) {
      throw new UsageError(
        `${this.artifact.name} has no method ${name}; it has ${[...this.#methods.keys()].join(', ')}`,
      );
    }
    checkOptions(`${this.artifact.name}.${name}`, options, ['training', 'seed', 'ema']);
    if (options.ema && !this.ema)
      throw new UsageError(`${this.artifact.name} has no averaged weights: its train block has no \`ema\``);
    if (options.ema) this.#prepareState();
    const { form, binding, tensors } = bindArguments(this.artifact.name, method, args, this.device);
    const key = foldIn(
      foldIn(keyOf(options.seed ?? this.seed), KEY.call),
      options.seed === undefined ? this.calls++ : 0,
    );
    const results = this.#executor.run(
      options.training ? form.training : form.eval,
      binding,
      this.#inputs(tensors, key, {}),
      options.ema ? this.ema!.segments : undefined,
    );
    let next = 0;
    const rebuild = (s: Spec): Result => {
      if (s.kind === 'tensor') return results[next++]!;
      if (s.kind === 'tuple') return s.items.map(rebuild);
      return Object.fromEntries(s.fields.map((f) => [f.name, rebuild(f.spec)]));
    };
    return rebuild(form.result);
  }

  /**
   * One step of the block's `train` block: forward, backward, update, in one program. Arguments are the loss method's.
   * With gradient accumulation only every `accumulate`-th call updates, by the mean over the calls since the last update.
   * Returns the loss before the update: f32[].
   */
  train_step(...args: readonly [...unknown[]]): { readonly loss: Tensor<'f32', []> } {
    const { train } = this.artifact;
    if (!train || !this.optimizer)
      throw new UsageError(`${this.artifact.name} has no train block: there is no train_step`);
    const method = this.#methods.get(train.loss)!;
    const options: StepOptions = optionsOf(`${this.artifact.name}.train_step`, method, args);
    checkOptions(`${this.artifact.name}.train_step`, options, ['lr', 'update']);
    if (options.lr !== undefined && !Number.isFinite(options.lr))
      throw new UsageError(`${this.artifact.name}.train_step: lr is ${options.lr}, no finite number`);
    const { form, binding, tensors } = bindArguments(
      this.artifact.name,
      method,
      args.slice(0, method.signature.length),
      this.device,
    );
    const due = options.update ?? this.microbatch + 1 >= this.optimizer.accumulate;
    if (!due && train.accumulate === 1)
      throw new UsageError(`${this.artifact.name} was compiled without \`accumulate\`: every train_step updates`);
    this.#prepareState();
    const program = (due ? 'train_step' : 'train_step.accumulate') + formSuffix(form.given);
    const [loss] = this.#executor.run(program, binding, this.#inputs(tensors, this.#stepKey(), options));
    if (due) this.step++;
    this.microbatch = due ? 0 : this.microbatch + 1;
    return { loss: loss as Tensor<'f32', []> };
  }

  /** Fills `.grad` of every trained parameter with d loss / d parameter (training mode). Returns the loss: f32[]. */
  backward(...args: readonly unknown[]): { readonly loss: Tensor<'f32', []> } {
    const name = this.artifact.train?.loss ?? 'loss';
    const method = this.#methods.get(name);
    if (!method || !this.#executor.hasProgram('backward'))
      throw new UsageError(`${this.artifact.name} has no loss method to differentiate`);
    const { form, binding, tensors } = bindArguments(this.artifact.name, method, args, this.device);
    if (this.#scaled()) this.#prepareState();
    const [loss] = this.#executor.run(
      `backward${formSuffix(form.given)}`,
      binding,
      this.#inputs(tensors, this.#stepKey(), {}),
    );
    return { loss: loss as Tensor<'f32', []> };
  }

  /** Every microbatch draws its own numbers. */
  #stepKey(): Key {
    const key = foldIn(foldIn(keyOf(this.seed), KEY.step), this.step);
    return (this.artifact.train?.accumulate ?? 1) > 1 ? foldIn(key, this.microbatch) : key;
  }

  #scaled(): boolean {
    return this.artifact.segments.some((s) => s.name === 'run.scale');
  }

  /** What losses are multiplied by now, f32[1]; null where the `train` block has no loss scaling. */
  get loss_scale(): Tensor | null {
    return this.#scaled() ? this.trainState().get('run.scale')! : null;
  }

  /** What training keeps is made when the first step, or a file, needs it. */
  #prepareState(): void {
    if (this.#hasState) return;
    this.#hasState = true;
    for (const name of ['init_state', 'init_ema'])
      if (name === 'init_state' || this.#executor.hasProgram(name))
        this.#executor.run(name, new Map(), () => new Uint8Array(8));
  }

  #inputs(tensors: readonly Tensor[], key: Key, options: StepOptions): (input: ProgramInput) => Uint8Array | Storage {
    let next = 0;
    return (input) => {
      switch (input.role) {
        case 'arg':
          return tensors[next++]!.storage;
        case 'key':
          return keyBytes(key);
        case 'step':
          return new Uint8Array(new Int32Array([this.step]).buffer);
        case 'microbatch':
          return new Uint8Array(new Int32Array([this.microbatch]).buffer);
        case 'setting': {
          const value = this.optimizer!.settings().get(input.name)!;
          return new Uint8Array(new Float32Array([input.name === 'ema' ? 1 - value : value]).buffer);
        }
        case 'hyper': {
          const group = this.optimizer!.groups[input.group]!;
          const value = evaluateNumber(
            input.number,
            (name) => (name === 'lr' ? options.lr : undefined) ?? group[name] ?? NaN,
          );
          return new Uint8Array(new Float32Array([value]).buffer);
        }
        case 'segment':
          throw new Error('segments are bound by the executor');
      }
    };
  }

  // ------------------------------------------------------------------------------------------------ parameters

  /** Each parameter once, in PyTorch's order. */
  *parameters(): Generator<Parameter> {
    for (const [, p] of this.named_parameters()) yield p;
  }

  /** Parameters under their first name, as `torch.nn.Module.named_parameters`. */
  *named_parameters(): Generator<[string, Parameter]> {
    for (const p of this.#params) if (p.kind === 'param') yield [p.name, p];
  }

  /** How many numbers the parameters hold; a tied one counts once. */
  num_parameters(options: { readonly only_trainable?: boolean } = {}): number {
    return countOf(this.parameters(), options);
  }

  *named_buffers(): Generator<[string, Parameter]> {
    for (const p of this.#params) if (p.kind === 'buffer') yield [p.name, p];
  }

  /** Values fixed at creation (`const w ~ ...`): not in the state dict. */
  *named_constants(): Generator<[string, Parameter]> {
    for (const p of this.#params) if (p.kind === 'const') yield [p.name, p];
  }

  /** Layers by path, the model itself under ''. A shared layer occurs once. */
  *named_modules(): Generator<[string, ModuleNode]> {
    yield* this.get_submodule('').named_modules();
  }

  *modules(): Generator<ModuleNode> {
    for (const [, m] of this.named_modules()) yield m;
  }

  /** A layer by its path, such as `layers.2.attn`. */
  get_submodule(path: string): ModuleNode {
    const node = this.#nodes.get(path);
    if (!node) throw new UsageError(`${this.artifact.name} has no layer "${path}"`);
    return node;
  }

  /** Every name with its live tensor, in PyTorch's order; tied names see one tensor. Constants are not in it. */
  state_dict(): Map<string, Tensor> {
    return new Map(
      this.artifact.stateDict.map((e) => {
        const p = this.#params[e.tensor]!;
        return [e.name, (e.transposed ? p.transpose() : p).data];
      }),
    );
  }

  /**
   * Copies values in by name. With `strict` (default) missing and unexpected names are an error, before anything is
   * changed; otherwise they are returned. Shapes must agree always.
   */
  load_state_dict(state: StateDict, options: { readonly strict?: boolean } = {}): KeyReport {
    return loadInto(this.artifact.name, this.state_dict(), state, options.strict ?? true);
  }

  /**
   * The model on another device: this same object where it is there already, else a new one with equal values, optimizer
   * state, step and seed. Throws DeviceError for a device that is not there.
   */
  async to(where: string | Device): Promise<this> {
    const on = await chosenDevice(this.artifact, where);
    if (on === this.device) return this;
    const make = this.constructor as new (executor: Executor, artifact: Artifact, seed: number) => this;
    const moved = new make(await createExecutor(this.artifact, on, this.#executor.options), this.artifact, this.seed);
    const pairs = this.#params.map((p, i): [Tensor, Tensor] => [p.data, moved.#params[i]!.data]);
    if (this.#hasState) {
      const state = moved.trainState();
      for (const [name, t] of this.trainState()) pairs.push([t, state.get(name)!]);
    }
    await Promise.all(pairs.map(async ([from, to]) => to.storage.write(0, await from.storage.fetch(0, from.nbytes))));
    moved.step = this.step;
    moved.microbatch = this.microbatch;
    moved.calls = this.calls;
    moved.optimizer?.assign(this.optimizer!);
    moved.plateau?.assign(this.plateau!);
    return moved;
  }

  /**
   * Writes the weights with PyTorch's keys, whole or not at all: `.pt` and `.pth` as PyTorch does, `.npz` as NumPy, anything
   * else as safetensors. Node only.
   */
  async save(path: string): Promise<void> {
    const { saveWeights } = await import('./node/checkpoints.ts');
    await saveWeights(this, path);
  }

  /**
   * Reads weights by name from a path, an address, a Blob, bytes, or several Files of a sharded model, in any format that is
   * known (safetensors, PyTorch, NumPy, GGUF), by the content. Of a large file only the tensors that the model has are read.
   * See `load_state_dict` for `strict`, `openWeights` for the rest.
   */
  async load(from: ReadFrom, options: OpenOptions & { readonly strict?: boolean } = {}): Promise<KeyReport> {
    const { loadWeights } = await import('./weights.ts');
    return loadWeights(this, from, options);
  }

  /** All that training keeps beside the parameters, by segment: for checkpoints of a run. */
  trainState(): Map<string, Tensor> {
    if (this.artifact.train) this.#prepareState();
    const kept = this.artifact.segments.filter((s) => s.role === 'state');
    return new Map(kept.map((s) => [s.name, this.#segmentTensor(s.name)]));
  }

  [INSPECT](): string {
    const count = this.num_parameters().toLocaleString('en-US');
    return treeText(this.get_submodule(''), `${this.artifact.name}(${count} parameters, ${this.device.name})`);
  }

  #segmentTensor(name: string): Tensor {
    const s = this.artifact.segments.find((x) => x.name === name)!;
    return new Parameter<Elem>(this.#executor, {
      name,
      role: 'buffer',
      elem: s.elem,
      shape: [s.length],
      stored: null,
      trainable: false,
      segment: name,
      offset: 0,
      grad: null,
    }).data;
  }
}

async function chosenDevice(artifact: Artifact, where: string | Device): Promise<Device> {
  if (typeof where === 'object') return where;
  if (where !== 'auto') return findDevice(where);
  return (await autoDevice(artifact)).device;
}
