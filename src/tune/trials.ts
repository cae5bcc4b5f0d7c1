/** One program for every way to compute what a question asks: its kernels alone, repeated as often as the caller wishes. */
import type { KernelCall } from '../codegen/call.ts';
import { printUnits } from '../codegen/c/program.ts';
import { kernelKey } from '../codegen/dedupe.ts';
import type { Kernel } from '../codegen/kernel.ts';
import { link } from '../codegen/link.ts';
import type { Lowered } from '../codegen/lowered.ts';
import { printWasm } from '../codegen/wasm/print.ts';
import type { Entry } from '../ir/entry.ts';
import * as D from '../ir/dim.ts';
import type { Value } from '../ir/ir.ts';
import type { Artifact, Elem, Machine, Program, Segment } from '../runtime/artifact.ts';
import type { Question } from './questions.ts';

/** How often a program repeats its kernels. No symbol of a network has such a name. */
export const TIMES = '#times';

export interface Trials {
  readonly artifact: Artifact;
  /** The name of the program of a question's way. */
  readonly programOf: (question: number, way: number) => string;
  /** Segments that programs read. */
  readonly inputs: readonly Segment[];
}

/** `sizes` gives every symbol. */
export function trialsOf(
  questions: readonly Question[],
  sizes: ReadonlyMap<string, number>,
  machine: Machine | null,
): Trials {
  const pool = new Pool();
  const memory = new Memory(sizes);
  const programOf = (question: number, way: number): string => `q${question}w${way}`;
  const programs = questions.flatMap((q, i) =>
    q.names.map((name, way) => trial(programOf(i, way), q, q.kernels(name), pool, memory)),
  );
  const code = { kernels: pool.kernels, programs };
  const entries = pool.kernels.map((k) => ({ name: k.name, origins: [] }));
  const own = machine && printUnits(code, { fma: machine.fma });
  const native = own && {
    ...{ machine, programs, prepared: [], units: own.units, functions: own.functions },
    kernels: entries.map((e, i) => ({ ...e, declaration: own.declarations[i]! })),
  };
  const artifact: Artifact = {
    ...EMPTY,
    segments: memory.segments,
    programs: native ? [] : programs,
    kernels: native ? [] : entries,
    wasm: printWasm(native ? { kernels: [], programs: [] } : code),
    native,
  };
  return { artifact, programOf, inputs: memory.inputs };
}

const EMPTY: Omit<Artifact, 'segments' | 'programs' | 'kernels' | 'wasm' | 'native'> = {
  ...{ format: 1, name: 'tune', doc: '', hash: '', hyper: {}, tensors: [], stateDict: [], methods: [], train: null },
  tree: { name: '', path: '', id: 0, type: '', kind: 'block', doc: '', hyper: {}, children: [], own: [] },
  prepared: [],
  webgpu: null,
};

/** Equal kernels once, under names that differ. */
class Pool {
  readonly kernels: Kernel[] = [];
  private readonly known = new Map<string, number>();

  indexOf(kernel: Kernel): number {
    const key = kernelKey(kernel);
    const index = this.known.get(key) ?? this.kernels.length;
    if (index === this.kernels.length) this.kernels.push({ ...kernel, name: `k${index}` });
    this.known.set(key, index);
    return index;
  }
}

/** All trials read and write the same segments, the n-th operand and result of each element type, as large as any needs. */
class Memory {
  private readonly lengths = new Map<string, { elem: Elem; length: number; input: boolean }>();
  private readonly sizes: ReadonlyMap<string, number>;

  constructor(sizes: ReadonlyMap<string, number>) {
    this.sizes = sizes;
  }

  place({ type }: Value, role: 'in' | 'out', index: number): string {
    const name = `${role}${index}.${type.elem}`;
    const length = type.shape.reduce((n, d) => n * D.evaluate(d, this.sizes), 1);
    const before = this.lengths.get(name)?.length ?? 0;
    this.lengths.set(name, { elem: type.elem, length: Math.max(length, before), input: role === 'in' });
    return name;
  }

  get segments(): Segment[] {
    return [...this.lengths].map(([name, { elem, length }]) => ({ name, role: 'buffers', elem, length }));
  }

  get inputs(): Segment[] {
    return this.segments.filter((s) => this.lengths.get(s.name)!.input);
  }
}

function trial(name: string, { op }: Question, calls: readonly KernelCall[], pool: Pool, memory: Memory): Program {
  const { origin, results } = op;
  const params = [...new Set(op.operands)];
  const items = calls.map((call) => ({ kind: 'kernel', call }) as const);
  const lowered: Lowered = { name, body: { params, items, results }, checks: [], notes: [], origin };
  const segment = (role: 'in' | 'out') => (v: Value, i: number) =>
    ({ role: 'segment', segment: memory.place(v, role, i) }) as const;
  const entry: Entry = { name, func: name, inputs: params.map(segment('in')), outputs: results.map(segment('out')) };
  const func = { name, body: { params, ops: [op], results }, checks: [], origin };
  const module = { funcs: new Map([[name, func]]) };
  const program = link([entry], module, new Map([[name, lowered]]), (k) => pool.indexOf(k)).programs[0]!;
  // What makes operands ready runs once, as it does before a loop.
  const ready = calls.filter((c) => c.prepares).length;
  const count = program.slots.length;
  return {
    ...program,
    symbols: [...program.symbols, TIMES],
    slots: [...program.slots, { kind: 'size', value: TIMES }],
    steps: [
      ...program.steps.slice(0, ready),
      { kind: 'for', count, counter: null, body: program.steps.slice(ready), region: 0 },
    ],
    regions: [''],
  };
}
