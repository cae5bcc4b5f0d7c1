/** Encodes and submits the dispatches of a bound program: one command buffer, but for the iterations of a `while`. */
import type { Program } from '../artifact.ts';
import { endless } from '../loops.ts';
import { ARGUMENT_BYTES, BUFFER, MAX_CHUNK } from './constants.ts';
import type { WebGpuDevice } from './device.ts';
import { PREDICATE } from './builtins.ts';
import type { Dispatch, Part, Schedule } from './schedule.ts';

export class Runner {
  private readonly device: WebGpuDevice;
  private readonly schedule: Schedule;
  private readonly program: Program;
  private readonly name: string;
  /** Rounds that a `while` may take. */
  private readonly limit: number;
  readonly arguments: GPUBuffer;
  /** Grids that predicates write, and behind them what they are when the region runs. */
  private readonly grids: GPUBuffer | null;
  private group: GPUBindGroup | null = null;
  private predicateGroup: GPUBindGroup | null = null;
  private generation = -1;

  constructor(device: WebGpuDevice, schedule: Schedule, program: Program, limit: number) {
    this.device = device;
    this.schedule = schedule;
    this.program = program;
    this.name = program.name;
    this.limit = limit;
    const { words, grids } = schedule;
    this.arguments = this.buffer('arguments', words.byteLength, BUFFER.UNIFORM | BUFFER.COPY_DST);
    device.gpu.queue.writeBuffer(this.arguments, 0, words);
    this.grids = hasPredicates(schedule.parts)
      ? this.buffer('grids', Math.max(8 * grids.length, 16), BUFFER.STORAGE | BUFFER.INDIRECT | BUFFER.COPY_DST)
      : null;
    if (this.grids && grids.length > 0) {
      device.gpu.queue.writeBuffer(this.grids, 4 * grids.length, Uint32Array.from(grids));
    }
  }

  /** Resolves when all is enqueued; at once where there is no `while`. */
  run(): void | Promise<void> {
    const { parts } = this.schedule;
    const [only] = parts;
    if (!only) return;
    if (parts.length === 1 && only.kind === 'dispatches') return this.submit(only.list);
    return this.runParts(parts);
  }

  destroy(): void {
    this.arguments.destroy();
    this.grids?.destroy();
  }

  private async runParts(parts: readonly Part[]): Promise<void> {
    for (const p of parts) {
      if (p.kind === 'dispatches') this.submit(p.list);
      else await this.loop(p);
    }
  }

  private async loop(p: Part & { kind: 'while' }): Promise<void> {
    await this.runParts(p.cond);
    this.submit([p.first]);
    const iteration = flat([...p.body, ...p.cond, { kind: 'dispatches', list: [p.next] }]);
    for (let rounds = 0, chunk = 1; ; chunk = Math.min(2 * chunk, MAX_CHUNK, this.limit - rounds)) {
      rounds += iteration ? chunk : 1;
      if (iteration) {
        this.submit(Array.from({ length: chunk }, () => iteration).flat());
      } else {
        // A loop inside waits for itself.
        await this.runParts(p.body);
        await this.runParts(p.cond);
        this.submit([p.next]);
      }
      const [runs] = await this.device.word(4 * p.decision);
      if (!runs) return;
      if (rounds >= this.limit) throw endless(this.program, p.region, this.limit);
    }
  }

  private submit(list: readonly Dispatch[]): void {
    const { device } = this;
    const encoder = device.gpu.createCommandEncoder({ label: this.name });
    const { profiler } = device;
    this.bind();
    if (profiler) {
      for (const d of list) {
        const pass = profiler.pass(encoder, d.work);
        this.encode(pass, [d]);
        pass.end();
      }
    } else {
      const pass = encoder.beginComputePass({ label: this.name });
      this.encode(pass, list);
      pass.end();
    }
    const done = profiler?.finish(encoder);
    device.submit(encoder.finish());
    done?.();
    device.counters.dispatches += list.length;
  }

  private encode(pass: GPUComputePassEncoder, list: readonly Dispatch[]): void {
    let pipeline: GPUComputePipeline | null = null;
    for (const d of list) {
      const next = this.device.pipelineOf(d.kernel);
      if (next !== pipeline) pass.setPipeline((pipeline = next));
      pass.setBindGroup(0, d.kernel === PREDICATE ? this.predicateGroup : this.group, [d.args]);
      if (d.slot === null) pass.dispatchWorkgroups(...d.groups);
      else pass.dispatchWorkgroupsIndirect(this.grids!, 12 * d.slot);
    }
  }

  /** Bind groups hold the device's memory: they are made anew when it has grown. */
  private bind(): void {
    const { device } = this;
    const { memory, gpu } = device;
    if (this.generation === memory.generation) return;
    this.generation = memory.generation;
    const shared = [
      { binding: 0, resource: { buffer: memory.buffer } },
      { binding: 1, resource: { buffer: this.arguments, size: ARGUMENT_BYTES } },
    ];
    this.group = gpu.createBindGroup({ label: this.name, layout: device.layout, entries: shared });
    if (!this.grids) return;
    this.predicateGroup = gpu.createBindGroup({
      label: `${this.name} predicates`,
      layout: device.predicateLayout,
      entries: [...shared, { binding: 2, resource: { buffer: this.grids } }],
    });
  }

  private buffer(what: string, size: number, usage: number): GPUBuffer {
    const { device } = this;
    device.counters.buffers++;
    return device.guarded(() => device.gpu.createBuffer({ label: `${this.name} ${what}`, size, usage }));
  }
}

/** The dispatches of parts that have no loop among them, else null. */
function flat(parts: readonly Part[]): Dispatch[] | null {
  const out: Dispatch[] = [];
  for (const p of parts) {
    if (p.kind === 'while') return null;
    out.push(...p.list);
  }
  return out;
}

const hasPredicates = (parts: readonly Part[]): boolean =>
  parts.some((p) => p.kind === 'while' || p.list.some((d) => d.kernel === PREDICATE));
