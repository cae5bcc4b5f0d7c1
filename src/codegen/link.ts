/**
 * Links programs: flattens them, takes out what can be made beforehand, lets values share memory, and writes the result down as the
 * runtime's data.
 */
import { add, dim, mul, type Dim } from '../ir/dim.ts';
import type { Entry } from '../ir/entry.ts';
import type { DimCheck, Func, Module, Origin, TensorType } from '../ir/ir.ts';
import { mergeChecks, symbolsOfTypes } from '../ir/symbols.ts';
import type {
  BufferEntry,
  Prepared,
  Program,
  ProgramInput,
  ProgramOutput,
  Slot,
  Step,
  StepInfo,
  TensorSpec,
} from '../runtime/artifact.ts';
import { apart, coalesce, type Home } from './link/coalesce.ts';
import type { Buffer, FlatProgram, Instr, Place } from './link/flat.ts';
import { flatten, samePlace, whole, type KernelIndex } from './link/flatten.ts';
import { lifetimes, type Lifetime } from './link/lifetimes.ts';
import { prepare, type Preparation, type Rest } from './link/prepare.ts';
import type { Lowered } from './lowered.ts';
import { sizeExpr } from './sizes.ts';

export interface LinkOptions {
  /** false: every value has memory of its own from start to end, every copy stays. What sharing is tested against. */
  readonly share?: boolean;
  /** Names the line of an origin. Without it no call of a kernel says where it comes from. */
  readonly lineOf?: (o: Origin) => string;
  /** By input of an entry: a segment that stays as it is, and what is made of it may be kept. Default: none. */
  readonly constant?: (e: Entry) => readonly boolean[];
}

export interface Linked {
  /** Those of the entries in their order, then those that prepare what they read. */
  readonly programs: readonly Program[];
  readonly prepared: readonly Prepared[];
}

export function link(
  entries: readonly Entry[],
  module: Module,
  lowered: ReadonlyMap<string, Lowered>,
  indexOf: KernelIndex,
  options: LinkOptions = {},
): Linked {
  const flats = entries.map((e) => flatten(e, lowered, indexOf));
  const constants = entries.map(options.constant ?? (() => []));
  const { rests, preparations } = prepare(
    flats.map((flat, i) => ({ flat, constants: flat.inputs.filter((_, k) => constants[i]![k]) })),
  );
  const programs = entries.map((e, i) => linkOne(e, module.funcs.get(e.func)!, flats[i]!.checks, rests[i]!, options));
  return {
    programs: [...programs, ...preparations.map((p) => linkPreparation(p, options))],
    prepared: preparations.map(({ name, bytes, from }) => ({ name, bytes, from })),
  };
}

function linkOne(
  entry: Entry,
  func: Func,
  checks: readonly DimCheck[],
  { flat: own, prepared, homes }: Rest,
  options: LinkOptions,
): Program {
  const { lineOf, share } = options;
  const flat = { ...own, buffers: [...own.buffers, ...prepared.map((p) => p.buffer)] };
  const shared = share === false ? apart(flat) : coalesce(flat);
  const out = new Writer(new Map([...shared, ...homes]), flat, lineOf, share === false);
  const steps = out.steps(flat.instrs);
  const params = func.body.params;
  return {
    name: entry.name,
    symbols: [...symbolsOfTypes(params.map((p) => p.type))],
    inputs: entry.inputs.map((role, i): ProgramInput => {
      const buffer = out.place(whole(flat.inputs[i]!)).buffer;
      return role.role === 'arg' ? { ...role, spec: tensorSpec(params[i]!.type), buffer } : { ...role, buffer };
    }),
    outputs: entry.outputs.map((role, i): ProgramOutput => {
      const at = out.place(flat.outputs[i]!);
      const offset = sizeExpr(at.offset);
      return role.role === 'result'
        ? { ...role, spec: tensorSpec(func.body.results[i]!.type), buffer: at.buffer, offset }
        : { ...role, buffer: at.buffer, offset };
    }),
    ...(prepared.length > 0 && {
      prepared: prepared.map(({ name, rows }) => ({ name, ...(rows && { rows: sizeExpr(rows) }) })),
    }),
    buffers: out.buffers(),
    slots: out.slots,
    steps,
    regions: out.regions,
    checks: mergeChecks([checks]).map((c) => ({
      kind: c.kind,
      left: sizeExpr(c.left),
      right: sizeExpr(c.right),
      origin: lineOf?.(c.origin) ?? '',
      message: c.message,
    })),
  };
}

function linkPreparation({ name, flat, result }: Preparation, { lineOf }: LinkOptions): Program {
  const out = new Writer(apart(flat), flat, lineOf, false);
  const steps = out.steps(flat.instrs);
  const numberOf = (b: Buffer): number => out.place(whole(b)).buffer;
  return {
    name,
    symbols: [],
    inputs: flat.inputs.map((b) => ({ role: 'segment', segment: b.segment!, buffer: numberOf(b) })),
    outputs: [{ role: 'segment', segment: name, buffer: numberOf(result), offset: 0 }],
    buffers: out.buffers(),
    slots: out.slots,
    steps,
    regions: [],
    checks: [],
  };
}

export const tensorSpec = (t: TensorType): TensorSpec => ({ elem: t.elem, shape: t.shape.map(sizeExpr) });

class Writer {
  readonly slots: Slot[] = [];
  readonly regions: string[] = [];
  private readonly homes: ReadonlyMap<Buffer, Home>;
  private readonly lineOf: LinkOptions['lineOf'];
  private readonly roots: readonly Buffer[];
  private readonly numbers: ReadonlyMap<Buffer, number>;
  private readonly lives: ReadonlyMap<Buffer, Lifetime>;
  private readonly slotNumbers = new Map<string, number>();

  constructor(
    homes: ReadonlyMap<Buffer, Home>,
    { buffers, end }: FlatProgram,
    lineOf: LinkOptions['lineOf'],
    always: boolean,
  ) {
    this.homes = homes;
    this.lineOf = lineOf;
    this.roots = buffers.filter((b) => homes.get(b)!.root === b && (b.kind !== 'temp' || b.accesses.length > 0));
    this.numbers = new Map(this.roots.map((b, i) => [b, i]));
    this.lives = always
      ? new Map(this.roots.map((b) => [b, { live: [0, end], wanted: dim(1), parts: null }]))
      : lifetimes(buffers, homes, end);
  }

  place(p: Place): { buffer: number; offset: Dim; root: Buffer } {
    const home = this.homes.get(p.buffer)!;
    return { buffer: this.numbers.get(home.root)!, offset: add(home.shift, p.offset), root: home.root };
  }

  buffers(): BufferEntry[] {
    return this.roots.map((b) => {
      const { live, wanted, parts } = this.lives.get(b)!;
      const bytes = sizeExpr(mul(wanted, b.bytes));
      return { kind: b.kind, bytes, live, ...(parts && { parts }), segment: b.segment };
    });
  }

  steps(instrs: readonly Instr[]): Step[] {
    return instrs.flatMap((i): Step[] => {
      switch (i.kind) {
        case 'kernel':
          return [
            {
              kind: 'kernel',
              kernel: i.kernel,
              slots: i.args.map((a) => ('buffer' in a ? this.address(a) : this.size(a))),
              ...(this.lineOf && { info: stepInfo(i, this.lineOf) }),
            },
          ];
        case 'copy': {
          const from = this.place(i.from);
          const to = this.place(i.to);
          if (
            samePlace(
              { ...i.from, buffer: from.root, offset: from.offset },
              { ...i.to, buffer: to.root, offset: to.offset },
            )
          )
            return [];
          return [{ kind: 'copy', from: this.address(i.from), to: this.address(i.to), bytes: this.size(i.from.bytes) }];
        }
        case 'for':
          return [
            {
              kind: 'for',
              region: this.region(i.origin),
              count: this.size(i.count),
              counter: this.address(i.counter),
              body: this.steps(i.body),
            },
          ];
        case 'while':
          return [
            {
              kind: 'while',
              region: this.region(i.origin),
              cond: this.steps(i.cond),
              flag: this.address(i.flag),
              body: this.steps(i.body),
              limit: this.slot('limit', { kind: 'limit' }),
            },
          ];
        case 'if':
          return [
            {
              kind: 'if',
              region: this.region(i.origin),
              flag: this.address(i.flag),
              then: this.steps(i.then),
              else: this.steps(i.else),
            },
          ];
      }
    });
  }

  private region(origin: Origin): number {
    return this.regions.push(this.lineOf?.(origin) ?? '') - 1;
  }

  private address(p: Place): number {
    const { buffer, offset } = this.place(p);
    return this.slot(`@${buffer}+${offset.key}`, { kind: 'address', buffer, offset: sizeExpr(offset) });
  }

  private size(d: Dim): number {
    return this.slot(d.key, { kind: 'size', value: sizeExpr(dim(d)) });
  }

  private slot(key: string, slot: Slot): number {
    let n = this.slotNumbers.get(key);
    if (n === undefined) {
      n = this.slots.length;
      this.slotNumbers.set(key, n);
      this.slots.push(slot);
    }
    return n;
  }
}

function stepInfo(i: Instr & { kind: 'kernel' }, lineOf: (o: Origin) => string): StepInfo {
  const bytes = i.args.reduce<Dim>((n, a) => ('buffer' in a ? add(n, a.bytes) : n), dim(0));
  return { origin: lineOf(i.origin), flops: sizeExpr(i.flops), bytes: sizeExpr(bytes) };
}
