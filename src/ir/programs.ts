/**
 * From an elaborated block to its programs: `init`, `init_state`, each method in both modes, `backward`, `train_step`.
 * A program is an ordinary function over arenas: parameters are views of segments, new contents are packed back. The
 * whole training step (forward, backward, clipping, optimizer) is one function, so the passes see all of it at once.
 *
 * Results that are a segment's new content come as `pack` of one value per tensor, in order of offset; what did not
 * change is the `view` it was read through, which the linker recognises as already in place.
 */
import type { Elaborated, MethodFunc, MethodInfo, OptimizerPlan, ValueSpec } from '../check/elaborated.ts';
import type { Segment } from '../runtime/artifact.ts';
import { layoutArena, lengthOf, type Arena, type ArenaGroup } from './arena.ts';
import { IrBuilder, tensor, value } from './builder.ts';
import { dim, substitute, type Dim } from './dim.ts';
import type { Entry, EntryInput, EntryOutput, Programs } from './entry.ts';
import { hashWords } from './hash.ts';
import type { Func, Module, TensorType, Value } from './ir.ts';
import { vjp } from './passes/autodiff.ts';

/** `module` of the block must have its method functions inlined as far as wanted: autodiff works on what it gets. */
export function buildPrograms(block: Elaborated): Programs {
  const arena = layoutArena(block);
  const out = new Assembly(block, arena);
  out.init();
  for (const m of block.methods) {
    out.method(m, m.eval, m.name);
    if (m.training.func !== m.eval.func) out.method(m, m.training, `${m.name}.training`);
  }
  const loss = lossMethod(block);
  if (loss && arena.groups.length > 0) {
    out.backward(loss);
    if (block.train) out.trainStep(loss, block.train.optimizer);
  }
  return out.finish();
}

/** The method that `backward` and `train_step` differentiate: the train block's, else one called `loss` that gives a float scalar. */
export function lossMethod(block: Elaborated): MethodInfo | null {
  const name = block.train?.loss ?? 'loss';
  const m = block.methods.find((x) => x.name === name);
  if (!m || m.result.kind !== 'tensor') return null;
  return m.result.type.shape.length === 0 && m.result.type.elem === 'f32' ? m : null;
}

/** Tensors of a spec in order, with dotted names. */
export function leaves(spec: ValueSpec, name: string): { name: string; type: TensorType }[] {
  switch (spec.kind) {
    case 'tensor':
      return [{ name, type: spec.type }];
    case 'tuple':
      return spec.items.flatMap((s, i) => leaves(s, `${name}.${i}`));
    case 'record':
      return spec.fields.flatMap((f) => leaves(f.spec, `${name}.${f.name}`));
  }
}

/** One function under construction: its inputs, with the views of the tensors it has read. */
class Draft {
  readonly b: IrBuilder;
  readonly inputs: EntryInput[] = [];
  readonly params: Value[] = [];
  private readonly segmentValues = new Map<string, Value>();
  private readonly views = new Map<number, Value>();
  private readonly block: Elaborated;
  private readonly arena: Arena;

  constructor(block: Elaborated, arena: Arena) {
    this.block = block;
    this.arena = arena;
    this.b = new IrBuilder(block.origin);
  }

  input(role: EntryInput, type: TensorType, hint: string): Value {
    const v = value(type, hint);
    this.inputs.push(role);
    this.params.push(v);
    return v;
  }

  segment(name: string): Value {
    let v = this.segmentValues.get(name);
    if (!v) {
      const s = this.arena.segments.find((x) => x.name === name)!;
      v = this.input({ role: 'segment', segment: name }, tensor(s.elem, [s.length]), name.replaceAll('.', '_'));
      this.segmentValues.set(name, v);
    }
    return v;
  }

  tensor(index: number): Value {
    let v = this.views.get(index);
    if (!v) {
      const t = this.arena.tensors[index]!;
      v = this.b.one('view', [this.segment(t.segment)], { offset: dim(t.offset), shape: t.shape.map(dim) }, t.name);
      this.views.set(index, v);
    }
    return v;
  }

  /** Arguments of a method function, in its order. */
  operands(m: MethodInfo, f: MethodFunc, key: () => Value): Value[] {
    const args = m.args.flatMap((a) => leaves(a.spec, a.name));
    return [
      ...f.tensors.map((i) => this.tensor(i)),
      ...args.map((a) => this.input({ role: 'arg', name: a.name }, a.type, a.name)),
      ...(f.random ? [key()] : []),
    ];
  }

  key(): Value {
    return this.input({ role: 'key' }, tensor('u32', [2]), 'key');
  }
}

class Assembly {
  private readonly block: Elaborated;
  private readonly arena: Arena;
  private readonly funcs: Map<string, Func>;
  private readonly entries: Entry[] = [];
  private readonly segments: Segment[];
  private state: string[][] = [];

  constructor(block: Elaborated, arena: Arena) {
    this.block = block;
    this.arena = arena;
    this.funcs = new Map(block.module.funcs);
    this.segments = [...arena.segments];
  }

  finish(): Programs {
    return {
      block: this.block,
      module: { funcs: this.funcs },
      entries: this.entries,
      segments: this.segments,
      tensors: this.arena.tensors,
      checks: [],
      state: this.state,
    };
  }

  private get module(): Module {
    return { funcs: this.funcs };
  }

  private draft(): Draft {
    return new Draft(this.block, this.arena);
  }

  private entry(name: string, d: Draft, results: readonly Value[], outputs: readonly EntryOutput[]): void {
    const func = `program.${name}`;
    const body = { params: d.params, ops: d.b.ops, results };
    this.funcs.set(func, { name: func, body, checks: [], origin: this.block.origin });
    this.entries.push({ name, func, inputs: d.inputs, outputs });
  }

  /** Calls a function of the module; symbols of its parameters are bound by the operands. */
  private call(b: IrBuilder, name: string, operands: readonly Value[]): readonly Value[] {
    const f = this.funcs.get(name);
    if (!f) throw new Error(`no function ${name}`);
    const env = bindSymbols(f.body.params.map((p) => p.type), operands.map((o) => o.type));
    const types = f.body.results.map((r) => ({
      elem: r.type.elem,
      shape: r.type.shape.map((d) => substitute(d, env)),
    }));
    return b.emitTyped('call', operands, { callee: name }, types);
  }

  /** The new content of every segment that holds one of the changed tensors. */
  private packSegments(d: Draft, changed: ReadonlyMap<number, Value>): { values: Value[]; outputs: EntryOutput[] } {
    const values: Value[] = [];
    const outputs: EntryOutput[] = [];
    const names = new Set([...changed.keys()].map((i) => this.arena.tensors[i]!.segment));
    for (const name of names) {
      const members = this.arena.tensors.flatMap((t, i) => (t.segment === name ? [i] : []));
      members.sort((x, y) => this.arena.tensors[x]!.offset - this.arena.tensors[y]!.offset);
      values.push(d.b.one('pack', members.map((i) => changed.get(i) ?? d.tensor(i)), {}, name.replaceAll('.', '_')));
      outputs.push({ role: 'segment', segment: name });
    }
    return { values, outputs };
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
      drawn.set(i, this.call(d.b, t.init, [k])[0]!);
    });
    const packed = this.packSegments(d, drawn);
    this.entry('init', d, packed.values, packed.outputs);
  }

  method(m: MethodInfo, f: MethodFunc, name: string): void {
    const d = this.draft();
    d.b.origin = m.origin;
    const results = this.call(d.b, f.func, d.operands(m, f, () => d.key()));
    const named = leaves(m.result, 'result');
    const updated = new Map(f.updates.map((t, i) => [t, results[named.length + i]!]));
    const packed = this.packSegments(d, updated);
    this.entry(
      name,
      d,
      [...results.slice(0, named.length), ...packed.values],
      [...named.map((r): EntryOutput => ({ role: 'result', name: r.name })), ...packed.outputs],
    );
  }

  /** Runs the loss in training mode with its gradients: (loss, gradients by tensor, updated buffers). */
  private differentiate(d: Draft, m: MethodInfo): { loss: Value; grads: Map<number, Value>; updated: Map<number, Value> } {
    const f = m.training;
    const trained = new Set(this.arena.groups.flatMap((g) => g.tensors));
    const wrt = f.tensors.flatMap((t, i) => (trained.has(t) ? [i] : []));
    const made = vjp(this.module, f.func, wrt);
    for (const [name, func] of made.module.funcs) this.funcs.set(name, func);
    d.b.origin = m.origin;
    const results = this.call(d.b, made.func, d.operands(m, f, () => d.key()));
    const updates = f.updates.length;
    return {
      loss: results[0]!,
      updated: new Map(f.updates.map((t, i) => [t, results[1 + i]!])),
      grads: new Map(wrt.map((w, i) => [f.tensors[w]!, results[1 + updates + i]!])),
    };
  }

  /** The gradient of a group as one flat value; parameters that the loss does not reach have none: zeros. */
  private packGrads(d: Draft, group: ArenaGroup, grads: ReadonlyMap<number, Value>): Value {
    const parts = group.tensors.map((i) => {
      const g = grads.get(i);
      if (g) return g;
      const t = this.block.tensors[i]!;
      return d.b.one('constant', [], { value: 0, elem: t.type.elem, shape: t.type.shape });
    });
    return d.b.one('pack', parts, {}, group.grads.replaceAll('.', '_'));
  }

  backward(m: MethodInfo): void {
    const d = this.draft();
    const { loss, grads, updated } = this.differentiate(d, m);
    const packed = this.packSegments(d, updated);
    this.entry(
      'backward',
      d,
      [loss, ...this.arena.groups.map((g) => this.packGrads(d, g, grads)), ...packed.values],
      [
        { role: 'result', name: 'loss' },
        ...this.arena.groups.map((g): EntryOutput => ({ role: 'segment', segment: g.grads })),
        ...packed.outputs,
      ],
    );
  }

  /** One program: forward, backward, clipping, the update of every group, the buffers. */
  trainStep(m: MethodInfo, optimizer: OptimizerPlan): void {
    const train = this.block.train!;
    this.state = this.arena.groups.map((g, i) => this.stateSegments(g, i, optimizer));
    this.initState(optimizer);

    const d = this.draft();
    const { loss, grads, updated } = this.differentiate(d, m);
    const b = d.b;
    b.origin = train.origin;
    let flat = this.arena.groups.map((g) => this.packGrads(d, g, grads));
    if (train.clipValue !== null) flat = flat.map((g) => clipByValue(b, g, train.clipValue!));
    if (train.clipNorm !== null) flat = clipByNorm(b, flat, train.clipNorm);

    let factor: Value | null = null;
    if (train.schedule) {
      const step = d.input({ role: 'step' }, tensor('i32', []), 'step');
      factor = this.call(b, train.schedule, [step])[0]!;
    }
    const values: Value[] = [];
    const outputs: EntryOutput[] = [];
    this.arena.groups.forEach((group, g) => {
      const floats = optimizer.floats.map((f) => {
        const v = d.input({ role: 'hyper', group: g, name: f.name }, tensor('f32', []), `${f.name}_${g}`);
        return f.name === 'lr' && factor ? b.one('mul', [v, factor]) : v;
      });
      const state = optimizer.state.map((s, i) => {
        const length = s.like === 'param' ? group.length : 1;
        const name = this.state[g]![i]!;
        const seg = d.input({ role: 'segment', segment: name }, tensor(s.elem, [length]), name.replaceAll('.', '_'));
        return s.like === 'param' ? seg : b.one('reshape', [seg], { shape: [] });
      });
      const next = this.update(d, optimizer, group, flat[g]!, state, floats);
      [group.params, ...this.state[g]!].forEach((segment, i) => {
        const v = next[i]!;
        values.push(v.type.shape.length === 0 ? b.one('reshape', [v], { shape: [dim(1)] }) : v);
        outputs.push({ role: 'segment', segment });
      });
    });
    const packed = this.packSegments(d, updated);
    this.entry(
      'train_step',
      d,
      [loss, ...values, ...packed.values],
      [{ role: 'result', name: 'loss' }, ...outputs, ...packed.outputs],
    );
  }

  /** (p', state'...) of a whole group: flat where the optimizer is elementwise, else tensor by tensor. */
  private update(d: Draft, o: OptimizerPlan, group: ArenaGroup, g: Value, state: Value[], floats: Value[]): Value[] {
    const b = d.b;
    if (o.flat) return [...this.call(b, o.flat, [d.segment(group.params), g, ...state, ...floats])];
    const parts: Value[][] = [];
    let offset = 0;
    for (const index of group.tensors) {
      const shape = this.block.tensors[index]!.type.shape;
      const at = (v: Value): Value => b.one('view', [v], { offset: dim(offset), shape });
      const own = state.map((s, i) => (o.state[i]!.like === 'param' ? at(s) : s));
      const func = o.byShape[shape.map((s) => s.key).join('x')];
      if (!func) throw new Error(`${o.name} has no step for the shape [${shape.join(', ')}]`);
      parts.push([...this.call(b, func, [d.tensor(index), at(g), ...own, ...floats])]);
      offset += lengthOf(this.block.tensors[index]!);
    }
    return parts[0]!.map((first, i) =>
      i > 0 && o.state[i - 1]!.like === 'scalar' ? first : b.one('pack', parts.map((p) => p[i]!)),
    );
  }

  private stateSegments(group: ArenaGroup, g: number, o: OptimizerPlan): string[] {
    return o.state.map((s) => {
      const name = `state.${g}.${s.name}`;
      this.segments.push({ name, role: 'state', elem: s.elem, length: s.like === 'param' ? group.length : 1 });
      return name;
    });
  }

  /** Apart from `init`: a model that only infers never pays for optimizer state. */
  private initState(o: OptimizerPlan): void {
    const d = this.draft();
    const values: Value[] = [];
    const outputs: EntryOutput[] = [];
    this.arena.groups.forEach((group, g) => {
      o.state.forEach((s, i) => {
        const made = this.inlineInit(d.b, s.init, s.like === 'param' ? group.length : null);
        values.push(s.like === 'param' ? made : d.b.one('reshape', [made], { shape: [dim(1)] }));
        outputs.push({ role: 'segment', segment: this.state[g]![i]! });
      });
    });
    this.entry('init_state', d, values, outputs);
  }

  /** A state initialiser has no operand that could bind its length N: it is bound here by the result. */
  private inlineInit(b: IrBuilder, name: string, length: number | null): Value {
    const f = this.funcs.get(name)!;
    const type = f.body.results[0]!.type;
    const env = new Map<string, Dim>();
    if (length !== null) for (const [k, v] of bindSymbols([type], [tensor(type.elem, [length])])) env.set(k, v);
    if (env.size === 0) return this.call(b, name, [])[0]!;
    const bound = `${name}.${length}`;
    if (!this.funcs.has(bound)) this.funcs.set(bound, bindFunc(f, bound, env));
    return this.call(b, bound, [])[0]!;
  }
}

/** Matches single-symbol dims of the parameters with the operands' dims. */
function bindSymbols(params: readonly TensorType[], operands: readonly TensorType[]): Map<string, Dim> {
  const env = new Map<string, Dim>();
  params.forEach((p, i) =>
    p.shape.forEach((d, j) => {
      const atom = d.terms.length === 1 && d.terms[0]!.coef === 1 && d.terms[0]!.atoms.length === 1 ? d.terms[0]!.atoms[0]! : null;
      const actual = operands[i]?.shape[j];
      if (atom?.kind === 'sym' && actual && !env.has(atom.name)) env.set(atom.name, actual);
    }),
  );
  return env;
}

/** A copy with symbols replaced, in types and attributes. Only for functions without regions (initialisers). */
function bindFunc(f: Func, name: string, env: ReadonlyMap<string, Dim>): Func {
  const b = new IrBuilder(f.origin);
  const map = new Map<Value, Value>();
  for (const op of f.body.ops) {
    b.origin = op.origin;
    const attrs = Object.fromEntries(
      Object.entries(op.attrs).map(([k, v]) => [k, Array.isArray(v) ? v.map((x) => bindAttr(x, env)) : bindAttr(v, env)]),
    ) as typeof op.attrs;
    const types = op.results.map((r) => ({ elem: r.type.elem, shape: r.type.shape.map((s) => substitute(s, env)) }));
    const made = b.emitTyped(op.kind, op.operands.map((o) => map.get(o) ?? o), attrs, types);
    op.results.forEach((r, i) => map.set(r, made[i]!));
  }
  return { ...f, name, body: { params: f.body.params, ops: b.ops, results: f.body.results.map((r) => map.get(r)!) } };
}

const bindAttr = (x: unknown, env: ReadonlyMap<string, Dim>): unknown =>
  x !== null && typeof x === 'object' && 'terms' in x ? substitute(x as Dim, env) : x;

function clipByValue(b: IrBuilder, g: Value, limit: number): Value {
  return b.one('minimum', [b.one('maximum', [g, b.constant(-limit)]), b.constant(limit)]);
}

/** torch.nn.utils.clip_grad_norm_: scale by min(1, limit / (norm + 1e-6)), one norm over all groups. */
function clipByNorm(b: IrBuilder, grads: readonly Value[], limit: number): Value[] {
  const squares = grads.map((g) => b.one('sum', [b.one('mul', [g, g])], { axes: [0], keepdims: false }));
  const norm = b.one('sqrt', [squares.reduce((x, y) => b.one('add', [x, y]))]);
  const scale = b.one('div', [b.constant(limit), b.one('add', [norm, b.constant(1e-6)])]);
  const coef = b.one('minimum', [scale, b.constant(1)]);
  return grads.map((g) => b.one('mul', [g, coef]));
}
