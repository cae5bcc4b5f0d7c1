/**
 * Runs the programs of one model on a device in the host's memory. For each binding of a program's sizes it plans memory and
 * writes a frame once; a call then copies arguments in (or points at them), updates what moved, and enters the code once.
 */
import {
  kernelExport,
  taskExport,
  THREADS,
  type Artifact,
  type KernelEntry,
  type Prepared,
  type Program,
} from './artifact.ts';
import type { Executor, ExecutorOptions, InputSource } from './backend.ts';
import type { CpuDevice, HostDevice } from './device.ts';
import { widthOf } from './elem.ts';
import { wasmFor } from './fma.ts';
import { endless, whileLimit } from './loops.ts';
import { aligned, checkSizes, plan, type Plan } from './plan.ts';
import { Preparations, type Seen } from './prepared.ts';
import { evaluateSize, type Binding } from './sizes.ts';
import { runStepwise } from './stepwise.ts';
import type { Storage } from './storage.ts';
import { Tensor } from './tensor.ts';
import { MOST_THREADS, ONE_THREAD, withSharedMemory } from './threads.ts';

/** Bindings of sizes that keep their plan and memory; a text that grows word by word has one for each length. */
const MAX_BINDINGS = 64;

interface Bound {
  readonly plan: Plan;
  readonly frame: number;
  /** Address of each buffer as it stands in the frame. */
  readonly addresses: Float64Array;
  readonly outputs: ResultStorage[];
  /** The program's own memory for inputs and outputs. */
  readonly regions: ReadonlyMap<number, { at: number; bytes: number }>;
  seen: Seen | null;
}

const NO_SIZES: Binding = new Map();

const segmentBytes = ({ segments }: Artifact, name: string): number => {
  const { length, elem } = segments.find((s) => s.name === name)!;
  return length * widthOf(elem);
};

/** Compiled programs and kernels. */
export interface HostCode {
  readonly programs: readonly Program[];
  readonly kernels: readonly KernelEntry[];
  readonly prepared: readonly Prepared[];
  /** How many threads may share a kernel. */
  readonly threads: number;
  /** Takes the address of a frame. Gives 0, or 1 and the number of the `while` that did not end. */
  readonly program: (name: string) => (frame: number) => number;
  /** Takes what a frame has in the kernel's slots. */
  readonly kernel: (index: number) => (...args: readonly number[]) => void;
  /** Called when nobody can call it any more. */
  readonly release?: (() => void) | undefined;
}

export class HostExecutor implements Executor {
  readonly device: HostDevice;
  readonly options: ExecutorOptions;
  private readonly limit: number;
  private readonly artifact: Artifact;
  private readonly code: HostCode;
  private readonly segments = new Map<string, { at: number; bytes: number }>();
  private readonly preparations: Preparations;
  private readonly programs: ReadonlyMap<string, Program>;
  private readonly bound = new Map<string, Bound>();
  /** Bytes of the device's memory that are this model's, by address. */
  private readonly owned = new Map<number, number>();

  /** Memory and threads of a model that is collected go back to the device. */
  constructor(artifact: Artifact, on: HostDevice, code: HostCode, options: ExecutorOptions) {
    this.limit = whileLimit(options.while_limit);
    this.options = options;
    this.artifact = artifact;
    this.device = on;
    this.code = code;
    this.programs = new Map(code.programs.map((p) => [p.name, p]));
    this.preparations = new Preparations(code.prepared);
    REGISTRY.register(this, { on, owned: this.owned, release: code.release });
  }

  program(name: string): Program {
    const p = this.programs.get(name);
    if (!p) throw new Error(`no program ${name}`);
    return p;
  }

  hasProgram(name: string): boolean {
    return this.programs.has(name);
  }

  /** Address of a segment, allocated (zeroed) when first asked for. */
  segment(name: string): number {
    let s = this.segments.get(name);
    if (!s) {
      const bytes = this.preparations.bytesOf(name) ?? segmentBytes(this.artifact, name);
      s = { at: this.alloc(bytes), bytes };
      this.segments.set(name, s);
    }
    return s.at;
  }

  hasSegment(name: string): boolean {
    return this.segments.has(name);
  }

  /** Gives all segments back: their content is gone. */
  private forget(): void {
    for (const [name, s] of this.segments) {
      this.preparations.changed(name);
      this.release(s.at);
    }
    this.segments.clear();
  }

  private alloc(bytes: number): number {
    const at = this.device.memory.alloc(bytes);
    this.owned.set(at, bytes);
    return at;
  }

  private release(at: number): void {
    this.device.memory.release(at, this.owned.get(at)!);
    this.owned.delete(at);
  }

  /** Forgets the binding that was not used for the longest time. Results that are still held move to the host. */
  private evict(): void {
    const [key, oldest] = this.bound.entries().next().value!;
    this.bound.delete(key);
    for (const r of oldest.outputs) r.retire();
    for (const region of oldest.regions.values()) this.release(region.at);
    this.release(oldest.frame);
  }

  /** Runs a program that fills segments, hands their content over and forgets it: initial values for another device. */
  drain(name: string, source: InputSource, take: (segment: string, bytes: Uint8Array) => void): void {
    this.run(name, new Map(), source);
    for (const [segment, { at, bytes }] of this.segments) take(segment, this.device.memory.bytes(at, bytes));
    this.forget();
  }

  /** Runs a program and gives a tensor for each of its results. */
  run(name: string, binding: Binding, source: InputSource, instead?: ReadonlyMap<string, string>): Tensor[] {
    const program = this.program(name);
    let bound = this.bind(program, binding);
    const prepare = (own: string): void => void this.run(own, NO_SIZES, source, instead);
    const seen = this.preparations.ensure(program, binding, instead, bound.seen, prepare);
    if (seen !== bound.seen) {
      bound = this.bind(program, binding); // what was prepared has a place among the bindings, too
      bound.seen = seen;
    }
    const { memory } = this.device;
    // Results of the previous run that are still held move out before their memory is written again.
    for (const r of bound.outputs) r.retire();
    const workspace = this.device.workspace(bound.plan.workspace);
    const addresses = program.buffers.map((b, i) => {
      if (b.kind === 'temp') return workspace + bound.plan.offsets[i]!;
      if (b.kind === 'segment') {
        const segment = instead?.get(b.segment!) ?? b.segment!;
        const unread = program.prepared !== undefined && !this.segments.has(segment) && this.preparations.has(segment);
        return unread ? workspace : this.segment(segment);
      }
      return bound.regions.get(i)!.at;
    });
    for (const input of program.inputs) {
      if (input.role === 'segment') continue;
      const from = source(input);
      const here = bound.regions.get(input.buffer)!;
      if (from instanceof Uint8Array) memory.bytes(here.at, from.length).set(from);
      else {
        const at = from.address();
        if (at !== null) addresses[input.buffer] = at;
        else memory.bytes(here.at, here.bytes).set(from.read(0, here.bytes));
      }
    }
    this.writeFrame(program, bound, addresses, binding);
    for (const o of program.outputs) if (o.role === 'segment') this.preparations.changed(o.segment);
    const stopped = this.enter(program, bound.frame, binding);
    if (stopped > 0) throw endless(program, stopped - 1, this.limit);
    let next = 0;
    return program.outputs.flatMap((o) => {
      if (o.role !== 'result') return [];
      const shape = o.spec.shape.map((s) => evaluateSize(s, binding));
      const bytes = shape.reduce((a, b) => a * b, 1) * widthOf(o.spec.elem);
      const storage = new ResultStorage(this, addresses[o.buffer]! + evaluateSize(o.offset, binding), bytes);
      bound.outputs[next++] = storage;
      return [new Tensor(o.spec.elem, shape, storage, this.device)];
    });
  }

  private enter(program: Program, frame: number, binding: Binding): number {
    const { code, device } = this;
    if (!device.profiling) return code.program(program.name)(device.memory.base + frame);
    const { kernels, kernel } = code;
    return runStepwise({ program, kernels, code: kernel, memory: device.memory, frame, binding }, device.profiling);
  }

  private bind(program: Program, binding: Binding): Bound {
    const key = `${program.name} ${program.symbols.map((s) => binding.get(s)).join(' ')}`;
    let bound = this.bound.get(key);
    if (bound) {
      this.bound.delete(key);
      this.bound.set(key, bound); // now the last to be evicted
      return bound;
    }
    checkSizes(this.artifact.name, program, binding);
    const sizes = new Map([...binding, [THREADS, this.code.threads]]);
    const planned = plan(program, sizes);
    const wanted =
      planned.workspace +
      planned.sizes.reduce((n, s, i) => n + (program.buffers[i]!.kind === 'temp' ? 0 : aligned(s)), 0);
    const { memory } = this.device;
    memory.check(`${this.artifact.name}.${program.name}`, wanted);
    const regions = new Map<number, { at: number; bytes: number }>();
    program.buffers.forEach((b, i) => {
      const bytes = planned.sizes[i]!;
      if (b.kind === 'input' || b.kind === 'output') regions.set(i, { at: this.alloc(bytes), bytes });
    });
    const frame = this.alloc(memory.slotBytes * program.slots.length);
    bound = {
      plan: planned,
      frame,
      addresses: new Float64Array(program.buffers.length).fill(-1),
      outputs: [],
      regions,
      seen: null,
    };
    const words = memory.frame(frame, program.slots.length);
    program.slots.forEach((s, i) => {
      if (s.kind === 'size') words[i] = evaluateSize(s.value, sizes);
      else if (s.kind === 'limit') words[i] = this.limit;
    });
    this.bound.set(key, bound);
    if (this.bound.size > MAX_BINDINGS) this.evict();
    return bound;
  }

  /** Rewrites the addresses only of buffers that moved since the last call of this binding. */
  private writeFrame(program: Program, bound: Bound, addresses: readonly number[], binding: Binding): void {
    const moved = addresses.some((a, i) => a !== bound.addresses[i]);
    if (!moved) return;
    const { memory } = this.device;
    const words = memory.frame(bound.frame, program.slots.length);
    program.slots.forEach((s, i) => {
      if (s.kind === 'address') words[i] = memory.base + addresses[s.buffer]! + evaluateSize(s.offset, binding);
    });
    bound.addresses.set(addresses);
  }

  /** A storage over part of a segment: what parameters and their gradients are. */
  slice(segment: string, start: number, bytes: number): Storage {
    const base = (): number => this.segment(segment) + start;
    const { memory } = this.device;
    return {
      visible: true,
      fetch: async (at, length) => memory.bytes(base() + at, length).slice(),
      read: (at, length) => memory.bytes(base() + at, length),
      live: () => {
        this.preparations.changed(segment);
        return memory.bytes(base(), bytes);
      },
      write: (at, data) => {
        if (at + data.length > bytes) throw new RangeError('write past the end of a parameter');
        this.preparations.changed(segment);
        memory.bytes(base() + at, data.length).set(data);
      },
      // A call that is given a parameter copies it: the program may update the arena while it reads its argument.
      address: () => null,
    };
  }
}

/** Compiles the kernels for WebAssembly. */
export async function cpuExecutor(
  artifact: Artifact,
  on: CpuDevice,
  options: ExecutorOptions = {},
): Promise<HostExecutor> {
  const threads = Math.min(options.threads ?? 1, MOST_THREADS);
  const plain = wasmFor(artifact.wasm, on.variant);
  const { wasm: memory, shared } = on.memory;
  const module = await WebAssembly.compile(shared ? withSharedMemory(plain) : plain);
  const hands = shared && threads > 1 ? await on.threads().add(module, threads) : null;
  const sharing = hands && {
    share: (kernel: number): void => hands.share(kernel, found(taskExport(kernel))),
    barrier: hands.barrier,
  };
  const { exports } = await WebAssembly.instantiate(module, { env: { memory, ...(sharing ?? ONE_THREAD) } });
  const found = <F>(name: string): F => exports[name] as F;
  if (hands) found<WebAssembly.Global>('threads').value = threads;
  const { programs, kernels, prepared } = artifact;
  const kernel: HostCode['kernel'] = (i) => found(kernelExport(i));
  const code: HostCode = {
    programs,
    kernels,
    prepared,
    threads: hands ? threads : 1,
    program: found,
    kernel,
    release: hands?.release,
  };
  return new HostExecutor(artifact, on, code, options);
}

/** A result: in the device's memory until the same program runs again, then in the host's if somebody still holds it. */
class ResultStorage implements Storage {
  readonly visible = true;
  private readonly owner: HostExecutor;
  private readonly at: number;
  private readonly length: number;
  private host: Uint8Array | null = null;

  constructor(owner: HostExecutor, at: number, length: number) {
    this.owner = owner;
    this.at = at;
    this.length = length;
  }

  retire(): void {
    this.host ??= this.owner.device.memory.bytes(this.at, this.length).slice();
  }

  read(start: number, length: number): Uint8Array {
    if (this.host) return this.host.subarray(start, start + length);
    return this.owner.device.memory.bytes(this.at + start, length);
  }

  async fetch(start: number, length: number): Promise<Uint8Array> {
    return this.read(start, length).slice();
  }

  write(start: number, bytes: Uint8Array): void {
    if (this.host) this.host.set(bytes, start);
    else this.owner.device.memory.bytes(this.at + start, bytes.length).set(bytes);
  }

  address(): number | null {
    return this.host ? null : this.at;
  }
}

interface Owned {
  readonly on: HostDevice;
  readonly owned: ReadonlyMap<number, number>;
  readonly release: (() => void) | undefined;
}

const REGISTRY = new FinalizationRegistry<Owned>(({ on, owned, release }) => {
  for (const [at, bytes] of owned) on.memory.release(at, bytes);
  release?.();
});
