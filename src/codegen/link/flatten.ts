/**
 * Flattens one program: calls are replaced by the callee's items over the caller's memory, aliases by places, packs by
 * copies (which coalescing turns into direct writes), regions by loops over carried buffers.
 */
import { add, dim, mul, product, substitute, type Dim } from '../../ir/dim.ts';
import type { Entry } from '../../ir/entry.ts';
import type { DimCheck, TensorType, Value } from '../../ir/ir.ts';
import { widthOf } from '../../runtime/elem.ts';
import { bindSymbols, substituteCheck, type SymbolEnv } from '../../ir/symbols.ts';
import type { CallArg, Scratch } from '../call.ts';
import type { Kernel } from '../kernel.ts';
import type { Lowered, LoweredBlock, LoweredItem } from '../lowered.ts';
import type { Access, Buffer, Copy, FlatProgram, InPlace, Instr, Place, Region } from './flat.ts';

/** Gives each kernel its index in the artifact; equal kernels share one. */
export type KernelIndex = (kernel: Kernel) => number;

export function flatten(
  entry: Entry,
  lowered: ReadonlyMap<string, Lowered>,
  indexOf: KernelIndex,
): FlatProgram & { checks: readonly DimCheck[] } {
  const f = new Flattener(lowered, indexOf);
  return f.run(entry, lowered.get(entry.func)!);
}

/** Values of one instance of a block with where they are; symbols of its function by the program's. */
interface Scope {
  readonly places: Map<Value | Scratch, Place>;
  readonly env: SymbolEnv;
}

class Flattener {
  private readonly lowered: ReadonlyMap<string, Lowered>;
  private readonly indexOf: KernelIndex;
  private readonly buffers: Buffer[] = [];
  private readonly inPlace: InPlace[] = [];
  private readonly wishes: Copy[] = [];
  private readonly unwritten = new Set<Buffer>();
  private readonly checks: DimCheck[] = [];
  private instrs: Instr[] = [];
  private region: Region = { parent: null, count: null };
  private time = 0;

  constructor(lowered: ReadonlyMap<string, Lowered>, indexOf: KernelIndex) {
    this.lowered = lowered;
    this.indexOf = indexOf;
  }

  run(entry: Entry, program: Lowered): FlatProgram & { checks: readonly DimCheck[] } {
    const scope: Scope = { places: new Map(), env: new Map() };
    const segments = new Map<string, Buffer>();
    const inputs = program.body.params.map((p, i) => {
      const role = entry.inputs[i]!;
      const bytes = this.bytes(p.type, scope);
      const b = role.role === 'segment' ? this.buffer(bytes, 'segment', role.segment) : this.buffer(bytes, 'input');
      if (role.role === 'segment') segments.set(role.segment, b);
      scope.places.set(p, whole(b));
      return b;
    });
    this.checks.push(...program.checks);
    this.time = 1;
    this.items(program.body.items, scope);
    const outputs = this.outputs(
      entry,
      program.body.results.map((v) => this.place(v, scope)),
      segments,
    );
    const { buffers, instrs, inPlace, wishes, time, checks } = this;
    // Outer wishes first: the parts of a pack can only move into an arena where the pack has.
    return { buffers, instrs, inPlace, wishes: [...wishes].reverse(), inputs, outputs, end: time, checks };
  }

  /** Puts each result where it is to be found: in its arena, or in memory that is no argument, arena or other result. */
  private outputs(entry: Entry, values: readonly Place[], segments: Map<string, Buffer>): Place[] {
    const taken = new Set<Buffer>();
    const outputs = values.map((value, i): Place => {
      const role = entry.outputs[i]!;
      if (role.role === 'segment') {
        let target = segments.get(role.segment);
        if (!target) segments.set(role.segment, (target = this.buffer(value.bytes, 'segment', role.segment)));
        return this.deliver(samePlace(value, whole(target)) ? value : this.saved(value), whole(target));
      }
      const from = this.saved(value);
      const own = from.buffer.kind === 'temp' && from.offset.value === 0 && from.bytes.key === from.buffer.bytes.key;
      const out = own && !taken.has(from.buffer) ? from.buffer : this.buffer(from.bytes, 'temp');
      taken.add(out);
      return this.deliver(from, whole(out));
    });
    for (const b of taken) b.kind = 'output';
    for (const o of outputs) this.touch(o, false, this.time);
    // An arena that gets no new content keeps the old one.
    const renewed = new Set(outputs.map((o) => o.buffer));
    for (const s of segments.values()) if (!renewed.has(s)) this.touch(whole(s), false, this.time);
    return outputs;
  }

  /** What an arena held at the start, copied then: the arena may have new content when it is delivered. */
  private saved(from: Place): Place {
    if (from.buffer.kind !== 'segment') return from;
    const temp = whole(this.buffer(from.bytes, 'temp'));
    this.touch(from, false, 0);
    this.touch(temp, true, 0);
    this.instrs.unshift({ kind: 'copy', time: 0, from, to: temp });
    return temp;
  }

  private buffer(bytes: Dim, kind: Buffer['kind'], segment: string | null = null): Buffer {
    const b: Buffer = { bytes, kind, segment, accesses: [] };
    this.buffers.push(b);
    return b;
  }

  private bytes(t: TensorType, scope: Scope): Dim {
    return substitute(mul(product(t.shape), widthOf(t.elem)), scope.env);
  }

  private touch(p: Place, write: boolean, time: number, copy: Copy | null = null): void {
    const { region } = this;
    p.buffer.accesses.push({ time, write, offset: p.offset, bytes: p.bytes, region, copy } satisfies Access);
  }

  /** Copies unless they are the same place already; coalescing may make them so. */
  private copy(from: Place, to: Place): void {
    if (samePlace(from, to)) return;
    const copy = { from, to };
    this.touch(from, false, this.time, copy);
    this.touch(to, true, this.time, copy);
    this.instrs.push({ kind: 'copy', time: this.time++, from, to });
  }

  /** A copy that should turn out to be none. */
  private deliver(from: Place, to: Place): Place {
    if (!samePlace(from, to)) this.wishes.push({ from, to });
    this.copy(from, to);
    return to;
  }

  private place(v: Value, scope: Scope): Place {
    let p = scope.places.get(v);
    if (!p) scope.places.set(v, (p = whole(this.buffer(this.bytes(v.type, scope), 'temp'))));
    return p;
  }

  private items(items: readonly LoweredItem[], scope: Scope): void {
    for (const item of items) this.item(item, scope);
  }

  private item(item: LoweredItem, scope: Scope): void {
    switch (item.kind) {
      case 'kernel':
        return this.kernel(item, scope);
      case 'alias': {
        const source = this.place(item.source, scope);
        const unit = widthOf(item.source.type.elem);
        const offset = substitute(mul(item.offset, unit), scope.env);
        scope.places.set(item.result, {
          buffer: source.buffer,
          offset: add(source.offset, offset),
          bytes: this.bytes(item.result.type, scope),
        });
        return;
      }
      case 'copy':
        this.deliver(this.place(item.source, scope), this.place(item.result, scope));
        return;
      case 'unwritten':
        this.unwritten.add(this.place(item.result, scope).buffer);
        return;
      case 'pack': {
        const target = this.place(item.result, scope);
        const unit = widthOf(item.result.type.elem);
        for (const part of item.parts) {
          const offset = add(target.offset, substitute(mul(part.offset, unit), scope.env));
          const from = this.place(part.value, scope);
          this.deliver(from, { buffer: target.buffer, offset, bytes: from.bytes });
        }
        return;
      }
      case 'call': {
        const callee = this.lowered.get(item.callee)!;
        const actual = item.operands.map((o) => ({
          elem: o.type.elem,
          shape: o.type.shape.map((d) => substitute(d, scope.env)),
        }));
        const env = bindSymbols(
          callee.body.params.map((p) => p.type),
          actual,
        );
        const inner: Scope = { places: new Map(), env };
        callee.body.params.forEach((p, i) => inner.places.set(p, this.place(item.operands[i]!, scope)));
        this.checks.push(...callee.checks.map((c) => substituteCheck(c, env)));
        this.items(callee.body.items, inner);
        item.results.forEach((r, i) => scope.places.set(r, this.place(callee.body.results[i]!, inner)));
        return;
      }
      case 'if':
        return this.branch(item, scope);
      case 'for':
      case 'while':
        return this.loop(item, scope);
    }
  }

  private kernel(item: LoweredItem & { kind: 'kernel' }, scope: Scope): void {
    const { call } = item;
    const arg = (a: CallArg): Place | Dim => {
      if (a.kind === 'size') return substitute(a.size, scope.env);
      if (a.kind === 'value') return this.place(a.value, scope);
      // Kernels of one op share scratch: it is found again by its object.
      let p = scope.places.get(a.scratch);
      if (!p) scope.places.set(a.scratch, (p = whole(this.buffer(substitute(a.scratch.bytes, scope.env), 'temp'))));
      return p;
    };
    const args = call.args.map(arg);
    const access = args.map((a, i) => {
      const param = call.kernel.params[i]!;
      if (!('buffer' in a) || param.kind !== 'buffer') return null;
      if (param.access !== 'write') this.touch(a, false, this.time);
      if (param.access !== 'read') this.touch(a, true, this.time);
      return param.access;
    });
    for (const pair of call.inPlace) {
      this.inPlace.push({
        time: this.time,
        result: this.place(pair.result, scope),
        operand: this.place(pair.operand, scope),
      });
    }
    const flops = substitute(call.flops ?? dim(0), scope.env);
    const rows = call.prepares?.rows ? substitute(call.prepares.rows, scope.env) : null;
    const kernel = this.indexOf(call.kernel);
    const { origin } = call;
    this.instrs.push({ kind: 'kernel', time: this.time++, kernel, args, access, origin, flops, rows });
  }

  /** Runs `body` into an instruction list and a region of their own. */
  private nested(body: () => void, count: Dim | null = null): Instr[] {
    const { instrs, region } = this;
    const inner: Instr[] = [];
    this.instrs = inner;
    this.region = { parent: region, count };
    body();
    this.instrs = instrs;
    this.region = region;
    return inner;
  }

  private branch(item: LoweredItem & { kind: 'if' }, scope: Scope): void {
    const flag = this.place(item.cond, scope);
    this.touch(flag, false, this.time);
    const results = item.results.map((r) => this.place(r, scope));
    const arm = (b: LoweredBlock): Instr[] =>
      this.nested(() => {
        this.items(b.items, scope);
        b.results.forEach((v, i) => this.copy(this.place(v, scope), results[i]!));
      });
    this.instrs.push({ kind: 'if', flag, then: arm(item.then), else: arm(item.else), origin: item.origin });
  }

  /** Carries live in one buffer each: copied in, rewritten at the end of every iteration. */
  private loop(item: LoweredItem & { kind: 'for' | 'while' }, scope: Scope): void {
    const carries = item.results.map((r) => this.place(r, scope));
    item.init.forEach((v, i) => {
      const from = this.place(v, scope);
      // Its life begins here all the same: no iteration may lend its memory to others.
      if (this.unwritten.has(from.buffer)) this.touch(carries[i]!, true, this.time++);
      else this.copy(from, carries[i]!);
    });
    const start = this.time;
    const before = this.buffers.length;
    const bind = (b: LoweredBlock, params: readonly Place[]): void =>
      b.params.forEach((p, i) => scope.places.set(p, params[i]!));
    const round = (b: LoweredBlock): void => {
      this.items(b.items, scope);
      const next = b.results.map((v) => this.place(v, scope));
      // A result that is another carry must be saved before that carry is overwritten.
      const saved = next.map((p, i) => {
        if (!carries.some((c, j) => j !== i && c.buffer === p.buffer)) return p;
        const temp = whole(this.buffer(p.bytes, 'temp'));
        this.copy(p, temp);
        return temp;
      });
      saved.forEach((p, i) => this.deliver(p, carries[i]!));
    };
    if (item.kind === 'for') {
      const counter = whole(this.buffer(dim(4), 'temp'));
      this.touch(counter, true, start);
      bind(item.body, [counter, ...carries]);
      const count = substitute(item.count, scope.env);
      const body = this.nested(() => round(item.body), count);
      this.touch(counter, false, this.time);
      this.instrs.push({ kind: 'for', count, counter, body, origin: item.origin });
    } else {
      bind(item.cond, carries);
      bind(item.body, carries);
      const cond = this.nested(() => this.items(item.cond.items, scope));
      const flag = this.place(item.cond.results[0]!, scope);
      this.touch(flag, false, this.time);
      const body = this.nested(() => round(item.body));
      this.instrs.push({ kind: 'while', cond, flag, body, origin: item.origin });
    }
    // What exists outside and is used inside must survive every iteration.
    for (const b of this.buffers.slice(0, before)) {
      if (b.accesses.some((a) => a.time >= start)) this.touch(whole(b), false, this.time);
    }
    for (const c of carries) this.touch(c, false, this.time);
    this.time++;
  }
}

export const whole = (buffer: Buffer): Place => ({ buffer, offset: dim(0), bytes: buffer.bytes });

export const samePlace = (a: Place, b: Place): boolean => a.buffer === b.buffer && a.offset.key === b.offset.key;
