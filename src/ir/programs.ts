/**
 * From an elaborated block to its programs: `init`, `init_state`, each method in both modes, `backward`, `train_step`.
 * A program is an ordinary function over arenas: parameters are views of segments, new contents are packed back. The
 * whole training step (forward, backward, clipping, optimizer) is one function, so the passes see all of it at once.
 *
 * A segment's new content is a `pack` of one value per tensor in order of offset; what did not change is the `view` it
 * was read through, which the linker recognises as already in place.
 */
import type { Elaborated, MethodFunc, MethodInfo } from '../check/elaborated.ts';
import { formSuffix, type Segment } from '../runtime/artifact.ts';
import type { Entry, EntryOutput, Programs } from './entry.ts';
import { hashWords } from './hash.ts';
import type { Func, Value } from './ir.ts';
import { vjp } from './passes/autodiff.ts';
import { withPrecision } from './passes/precision.ts';
import { layoutArena, type Arena, type ArenaGroup } from './programs/arena.ts';
import { Draft, leaves } from './programs/draft.ts';
import { unscale } from './programs/scaler.ts';
import { initialState, layoutState, SCALE, type Contents, type TrainState } from './programs/state.ts';
import { accumulate, update } from './programs/step.ts';

/** The block's functions should have gone through `prepareMethods`: autodiff works on what it finds, function by function. */
export function buildPrograms(block: Elaborated): Programs {
  const out = new Assembly(block);
  out.init();
  for (const m of block.methods) {
    const name = m.name + formSuffix(m.given);
    out.method(m, m.eval, name);
    if (m.training.func !== m.eval.func) out.method(m, m.training, `${name}.training`);
  }
  const losses = lossForms(block);
  if (losses.length > 0 && out.arena.groups.length > 0) {
    for (const m of losses) out.backward(m);
    if (block.train) out.training(losses);
  }
  return out.finish();
}

/** The method that `backward` and `train_step` differentiate: the train block's, else one called `loss`; a float scalar. */
export function lossMethod(block: Elaborated): MethodInfo | null {
  const name = block.train?.loss ?? 'loss';
  const m = block.methods.find((x) => x.name === name);
  return m && isLoss(m) ? m : null;
}

/** The loss with every set of its optional arguments. */
const lossForms = (block: Elaborated): MethodInfo[] => {
  const name = lossMethod(block)?.name;
  return block.methods.filter((m) => m.name === name && isLoss(m));
};

export const isLoss = ({ result: r }: MethodInfo): boolean =>
  r.kind === 'tensor' && r.type.shape.length === 0 && r.type.elem === 'f32';

interface Differentiated {
  readonly loss: Value;
  /** By tensor. */
  readonly grads: ReadonlyMap<number, Value>;
  readonly updated: ReadonlyMap<number, Value>;
}

class Assembly {
  readonly arena: Arena;
  private readonly block: Elaborated;
  private readonly funcs: Map<string, Func>;
  private readonly entries: Entry[] = [];
  private readonly segments: readonly Segment[];
  private readonly state: TrainState | null;

  constructor(block: Elaborated) {
    this.block = block;
    this.arena = layoutArena(block);
    this.funcs = new Map(block.module.funcs);
    this.state = block.train && layoutState(this.arena, block.train);
    this.segments = [...this.arena.segments, ...(this.state?.segments ?? [])];
  }

  finish(): Programs {
    return {
      block: this.block,
      module: { funcs: this.funcs },
      entries: this.entries,
      segments: this.segments,
      tensors: this.arena.tensors,
      checks: [],
      state: this.state?.groups ?? [],
    };
  }

  private draft(): Draft {
    return new Draft(this.block, this.arena, this.segments, this.funcs);
  }

  private entry(
    name: string,
    d: Draft,
    results: readonly Value[],
    outputs: readonly EntryOutput[],
    more: Pick<Entry, 'infers'> = {},
  ): void {
    const func = `program.${name}`;
    const body = { params: d.params, ops: d.b.ops, results };
    this.funcs.set(func, { name: func, body, checks: [], origin: this.block.origin });
    this.entries.push({ name, func, inputs: d.inputs, outputs, ...more });
  }

  /** Draws every tensor under a key of its own path, so that no other tensor moves when one is added. */
  init(): void {
    const d = this.draft();
    const key = d.key();
    const drawn = new Map<number, Value>();
    this.block.tensors.forEach((t, i) => {
      d.b.origin = t.origin;
      let k = key;
      for (const word of hashWords(t.drawPath).slice(0, 2)) k = d.b.one('fold_in', [k], { data: word | 0 });
      drawn.set(i, d.call(t.init, [k])[0]!);
    });
    const packed = d.packSegments(drawn);
    this.entry('init', d, packed.values, packed.outputs);
  }

  method(m: MethodInfo, f: MethodFunc, name: string): void {
    const d = this.draft();
    d.b.origin = m.origin;
    const values = d.call(f.func, d.operands(m, f));
    const results = leaves(m.result, 'result');
    const packed = d.packSegments(new Map(f.updates.map((t, i) => [t, values[results.length + i]!])));
    this.entry(
      name,
      d,
      [...values.slice(0, results.length), ...packed.values],
      [...results.map((r): EntryOutput => ({ role: 'result', name: r.name })), ...packed.outputs],
      f === m.eval ? { infers: true } : {},
    );
  }

  /** The loss in training mode with its gradients, all multiplied by the loss scale where there is one. */
  private differentiate(d: Draft, m: MethodInfo): Differentiated {
    const f = m.training;
    const trained = new Set(this.arena.groups.flatMap((g) => g.tensors));
    const wrt = f.tensors.flatMap((t, i) => (trained.has(t) ? [i] : []));
    const scaled = this.block.train?.scaler != null;
    const func = this.trainedFunc(f.checkpointed ?? f.func);
    const name = `${func}.vjp`;
    if (!this.funcs.has(name)) {
      const made = vjp({ funcs: this.funcs }, func, wrt, { scaled });
      for (const [n, func] of made.module.funcs) this.funcs.set(n, func);
      if (made.func !== name) throw new Error(`the derivative of ${func} is called ${made.func}`);
    }
    d.b.origin = m.origin;
    const values = d.call(name, [...d.operands(m, f), ...(scaled ? [d.scalar(SCALE)] : [])]);
    const updates = f.updates.length;
    return {
      loss: values[0]!,
      updated: new Map(f.updates.map((t, i) => [t, values[1 + i]!])),
      grads: new Map(wrt.map((w, i) => [f.tensors[w]!, values[1 + updates + i]!])),
    };
  }

  /** The loss with the precision that the train block asks for. */
  private trainedFunc(name: string): string {
    const precision = this.block.train?.precision ?? 'f32';
    if (precision === 'f32') return name;
    const made = withPrecision({ funcs: this.funcs }, name, precision);
    for (const [n, func] of made.module.funcs) this.funcs.set(n, func);
    return made.func;
  }

  /** The gradient of a group as one flat value; a parameter that the loss does not use has zeros. */
  private packGrads(d: Draft, group: ArenaGroup, grads: Differentiated['grads']): Value {
    const parts = group.tensors.map((i) => {
      const { elem, shape } = this.block.tensors[i]!.type;
      return grads.get(i) ?? d.b.one('constant', [], { value: 0, elem, shape });
    });
    return d.b.one('pack', parts, {}, group.grads.replaceAll('.', '_'));
  }

  backward(m: MethodInfo): void {
    const d = this.draft();
    const { loss, grads, updated } = this.differentiate(d, m);
    const packed = d.packSegments(updated);
    const { groups } = this.arena;
    const flat = groups.map((g) => this.packGrads(d, g, grads));
    this.entry(
      `backward${formSuffix(m.given)}`,
      d,
      [loss, ...(this.block.train?.scaler ? unscale(d, flat).grads : flat), ...packed.values],
      [
        { role: 'result', name: 'loss' },
        ...groups.map((g): EntryOutput => ({ role: 'segment', segment: g.grads })),
        ...packed.outputs,
      ],
    );
  }

  /**
   * `train_step`, one program: forward, backward, clipping, the update of every group, the buffers. With gradient
   * accumulation `train_step.accumulate` runs in its place until an update is due.
   */
  training(losses: readonly MethodInfo[]): void {
    const train = this.block.train!;
    const state = this.state!;
    const first = this.draft();
    const initial = initialState(first, this.arena, train, state, this.funcs);
    this.entry('init_state', first, initial.values, initial.outputs);
    if (train.limits.ema !== undefined) this.initAverages(state);
    for (const m of losses) {
      if (train.accumulate > 1) this.step('train_step.accumulate', m, (d, grads) => accumulate(d, state, grads));
      this.step('train_step', m, (d, grads) => update(d, this.block, this.arena, state, grads));
    }
  }

  /** The averaged weights begin as the weights. Not in `init_state`, which runs on the cpu, where they need not be. */
  private initAverages(state: TrainState): void {
    const d = this.draft();
    const values = this.arena.groups.map((g) => d.segment(g.params));
    this.entry(
      'init_ema',
      d,
      values,
      state.groups.map((g) => ({ role: 'segment', segment: g.ema! })),
    );
  }

  /** The loss, what is made of its gradients, and the buffers. */
  private step(name: string, m: MethodInfo, use: (d: Draft, grads: readonly Value[]) => Contents): void {
    const d = this.draft();
    const { loss, grads, updated } = this.differentiate(d, m);
    d.b.origin = this.block.train!.origin;
    const next = use(
      d,
      this.arena.groups.map((g) => this.packGrads(d, g, grads)),
    );
    const packed = d.packSegments(updated);
    this.entry(
      name + formSuffix(m.given),
      d,
      [loss, ...next.values, ...packed.values],
      [{ role: 'result', name: 'loss' }, ...next.outputs, ...packed.outputs],
    );
  }
}
