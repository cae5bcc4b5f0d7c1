/** One program's function under construction: its inputs by role, segments and the views of tensors read through them. */
import type { Elaborated, MethodFunc, MethodInfo, ValueSpec } from '../../check/elaborated.ts';
import type { Segment } from '../../runtime/artifact.ts';
import { IrBuilder, tensor, value } from '../builder.ts';
import { dim } from '../dim.ts';
import type { EntryInput, EntryOutput } from '../entry.ts';
import type { Func, TensorType, Value } from '../ir.ts';
import { bindSymbols, substituteType } from '../symbols.ts';
import type { Arena } from './arena.ts';

export class Draft {
  readonly b: IrBuilder;
  readonly inputs: EntryInput[] = [];
  readonly params: Value[] = [];
  private readonly arena: Arena;
  private readonly known: ReadonlyMap<string, Segment>;
  private readonly funcs: ReadonlyMap<string, Func>;
  private readonly segments = new Map<string, Value>();
  private readonly views = new Map<number, Value>();

  /** `known` are the segments that may be asked for. */
  constructor(block: Elaborated, arena: Arena, known: readonly Segment[], funcs: ReadonlyMap<string, Func>) {
    this.arena = arena;
    this.known = new Map(known.map((s) => [s.name, s]));
    this.funcs = funcs;
    this.b = new IrBuilder(block.origin);
  }

  input(role: EntryInput, type: TensorType, hint: string): Value {
    const v = value(type, hint.replaceAll('.', '_'));
    this.inputs.push(role);
    this.params.push(v);
    return v;
  }

  segment(name: string): Value {
    let v = this.segments.get(name);
    if (!v) {
      const s = this.known.get(name)!;
      v = this.input({ role: 'segment', segment: name }, tensor(s.elem, [s.length]), name);
      this.segments.set(name, v);
    }
    return v;
  }

  /** A segment of one element, as a scalar. */
  scalar(name: string): Value {
    return this.b.one('reshape', [this.segment(name)], { shape: [] });
  }

  /** The tensor as the program found it. */
  tensor(index: number): Value {
    let v = this.views.get(index);
    if (!v) {
      const t = this.arena.tensors[index]!;
      v = this.b.one('view', [this.segment(t.segment)], { offset: dim(t.offset), shape: t.shape.map(dim) }, t.name);
      this.views.set(index, v);
    }
    return v;
  }

  key(): Value {
    return this.input({ role: 'key' }, tensor('u32', [2]), 'key');
  }

  /** Arguments of a method's function, in its order. */
  operands(m: MethodInfo, f: MethodFunc): Value[] {
    const tensors = f.tensors.map((i) => this.tensor(i));
    const args = m.args
      .flatMap((a) => leaves(a.spec, a.name))
      .map((a) => this.input({ role: 'arg', name: a.name }, a.type, a.name));
    return [...tensors, ...args, ...(f.random ? [this.key()] : [])];
  }

  /** Calls a function of the module; symbols of its parameters are bound by the operands. */
  call(name: string, operands: readonly Value[]): readonly Value[] {
    const f = this.funcs.get(name);
    if (!f) throw new Error(`no function ${name}`);
    const env = bindSymbols(
      f.body.params.map((p) => p.type),
      operands.map((o) => o.type),
    );
    const types = f.body.results.map((r) => substituteType(r.type, env));
    return this.b.emitTyped('call', operands, { callee: name }, types);
  }

  /** The new content of every segment that holds a changed tensor: its members side by side. */
  packSegments(changed: ReadonlyMap<number, Value>): { values: Value[]; outputs: EntryOutput[] } {
    const values: Value[] = [];
    const outputs: EntryOutput[] = [];
    for (const segment of new Set([...changed.keys()].map((i) => this.arena.tensors[i]!.segment))) {
      const members = this.arena.tensors.flatMap((t, i) => (t.segment === segment ? [{ i, offset: t.offset }] : []));
      members.sort((x, y) => x.offset - y.offset);
      const parts = members.map(({ i }) => changed.get(i) ?? this.tensor(i));
      values.push(this.b.one('pack', parts, {}, segment.replaceAll('.', '_')));
      outputs.push({ role: 'segment', segment });
    }
    return { values, outputs };
  }
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
