/** A program with its sizes bound: its memory, its arguments and bind groups, made once, and a run of it. */
import type { Program, ProgramOutput, WebGpuKernel } from '../artifact.ts';
import type { InputSource } from '../backend.ts';
import { widthOf } from '../elem.ts';
import type { Plan } from '../plan.ts';
import { evaluateSize, type Binding } from '../sizes.ts';
import type { WebGpuDevice, Write } from './device.ts';
import type { Region } from './memory.ts';
import { Runner } from './runner.ts';
import { schedule, type Schedule } from './schedule.ts';
import { GpuStorage, SegmentStorage } from './storage.ts';

type ResultOutput = ProgramOutput & { role: 'result' };

/** Where a result is: its own memory, which changes hands when somebody still holds the one before. */
interface Result {
  readonly output: ResultOutput;
  /** Number of the memory among buffers: the program's own, or one past them for what has to be copied out. */
  readonly buffer: number;
  readonly start: number;
  readonly bytes: number;
}

export class BoundProgram {
  private readonly schedule: Schedule;
  private readonly device: WebGpuDevice;
  private readonly program: Program;
  private readonly plan: Plan;
  private readonly segment: (name: string) => number;
  /** Memory of inputs and outputs, by number of buffer. */
  private readonly regions = new Map<number, Region>();
  /** Who may still hold what lies in a region of results. */
  private readonly holders = new Map<number, WeakRef<GpuStorage>[]>();
  private readonly results: readonly Result[];
  /** What small inputs were the last time: a learning rate seldom changes. */
  private readonly written = new Map<number, Uint8Array>();
  /** Addresses of buffers as they stand in the arguments. */
  private addresses: readonly number[] = [];
  private readonly runner: Runner;
  private readonly decisions: Region[] = [];

  constructor(
    device: WebGpuDevice,
    program: Program,
    kernels: readonly WebGpuKernel[],
    binding: Binding,
    planned: Plan,
    segment: (name: string) => number,
    limit: number,
  ) {
    this.device = device;
    this.program = program;
    this.plan = planned;
    this.segment = segment;
    program.buffers.forEach((b, i) => {
      if (b.kind === 'input' || b.kind === 'output') this.regions.set(i, device.memory.take(planned.sizes[i]!));
    });
    const copies: {
      from: { buffer: number; offset: number };
      to: { buffer: number; offset: number };
      bytes: number;
    }[] = [];
    let extra = program.buffers.length;
    this.results = program.outputs.flatMap((output): Result[] => {
      if (output.role !== 'result') return [];
      const bytes =
        output.spec.shape.reduce<number>((n, s) => n * evaluateSize(s, binding), 1) * widthOf(output.spec.elem);
      const start = evaluateSize(output.offset, binding);
      if (program.buffers[output.buffer]!.kind === 'output') return [{ output, buffer: output.buffer, start, bytes }];
      // It lies in an arena or an argument, which others write.
      const own = extra++;
      this.regions.set(own, device.memory.take(bytes));
      copies.push({ from: { buffer: output.buffer, offset: start }, to: { buffer: own, offset: 0 }, bytes });
      return [{ output, buffer: own, start: 0, bytes }];
    });
    this.schedule = schedule({
      program,
      kernels,
      binding,
      alignment: device.gpu.limits.minUniformBufferOffsetAlignment,
      decision: () => {
        const region = device.memory.zeroed(4);
        this.decisions.push(region);
        return region.at / 4;
      },
      copies,
    });
    this.runner = new Runner(device, this.schedule, program, limit);
  }

  run(
    source: InputSource,
    instead?: ReadonlyMap<string, string>,
  ): { spec: ResultOutput['spec']; storage: GpuStorage }[] {
    const { device } = this;
    this.leaveResults();
    const workspace = device.workspace(this.plan.workspace);
    const addresses = this.program.buffers.map((b, i) => {
      if (b.kind === 'temp') return workspace + this.plan.offsets[i]!;
      if (b.kind === 'segment') return this.segment(instead?.get(b.segment!) ?? b.segment!);
      return this.regions.get(i)!.at;
    });
    for (let i = addresses.length; this.regions.has(i); i++) addresses.push(this.regions.get(i)!.at);
    const writes: Write[] = [];
    for (const input of this.program.inputs) {
      if (input.role === 'segment') continue;
      const from = source(input);
      const here = this.regions.get(input.buffer)!;
      if (from instanceof Uint8Array) {
        if (this.changed(input.buffer, from)) writes.push({ to: null, at: here.at, bytes: from });
        continue;
      }
      const at = from.address();
      if (at !== null) addresses[input.buffer] = at;
      else if (from.visible) writes.push({ to: null, at: here.at, bytes: from.read(0, here.bytes) });
      else {
        const { storage, ...matrix } = from.transposeOf ?? { storage: from };
        if (!(storage instanceof SegmentStorage)) throw new Error('an argument that lies nowhere');
        const bytes = here.bytes;
        writes.push({ to: null, at: here.at, from: storage.at, bytes, ...('rows' in matrix && { matrix }) });
      }
    }
    const moved = this.moved(addresses);
    if (moved) writes.push(moved);
    device.perform(writes, () => this.runner.run());
    return this.results.map(({ output, buffer, start, bytes }) => {
      const storage = new GpuStorage(device, this.regions.get(buffer)!, start, bytes);
      this.holders.get(buffer)!.push(new WeakRef(storage));
      return { spec: output.spec, storage };
    });
  }

  /** Memory of results that somebody still holds becomes theirs, for as long as the backlog lasts; other memory takes its place. */
  private leaveResults(): void {
    for (const { buffer } of this.results) {
      const holders = this.holders.get(buffer) ?? [];
      this.holders.set(buffer, []);
      const held = holders.filter((h) => h.deref()?.retire() === false);
      if (held.length === 0) continue;
      const region = this.regions.get(buffer)!;
      this.device.backlog.leave(region, held);
      this.regions.set(buffer, this.device.memory.take(region.bytes));
    }
  }

  /** Whether an input of a few bytes differs from what is there. */
  private changed(buffer: number, bytes: Uint8Array): boolean {
    const before = this.written.get(buffer);
    if (before?.length === bytes.length && before.every((b, i) => b === bytes[i])) return false;
    this.written.set(buffer, bytes.slice());
    return true;
  }

  /** The arguments that name buffers which are elsewhere since the last run. */
  private moved(addresses: readonly number[]): Write | null {
    const { words, patches } = this.schedule;
    let [first, end] = [words.length, 0];
    for (const p of patches) {
      if (addresses[p.buffer] === this.addresses[p.buffer]) continue;
      words[p.word] = (addresses[p.buffer]! + p.offset) / p.unit;
      first = Math.min(first, p.word);
      end = Math.max(end, p.word + 1);
    }
    this.addresses = addresses;
    if (first >= end) return null;
    const bytes = new Uint8Array(words.buffer, 4 * first, 4 * (end - first));
    return { to: this.runner.arguments, at: 4 * first, bytes };
  }

  destroy(): void {
    this.runner.destroy();
  }
}
