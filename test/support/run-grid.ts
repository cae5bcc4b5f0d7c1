/** Compiles a function without control flow for WebGPU and runs it on an adapter: kernels of the GPU without linker and runtime. */
import type { CallArg } from '../../src/codegen/call.ts';
import { KernelBuilder, load } from '../../src/codegen/builder.ts';
import { lowerFunc } from '../../src/codegen/lower.ts';
import type { LoweredItem } from '../../src/codegen/lowered.ts';
import type { KernelLimits } from '../../src/codegen/limits.ts';
import { wgslTarget } from '../../src/codegen/targets.ts';
import { printWgsl } from '../../src/codegen/wgsl/print.ts';
import * as D from '../../src/ir/dim.ts';
import type { Func, Module, Value } from '../../src/ir/ir.ts';
import { ndarray, sizeOf, type NdArray } from '../../src/ir/ndarray.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { bindSymbols } from '../../src/ir/symbols.ts';
import { decode, encode } from '../../src/runtime/elem.ts';
import { evaluateSize } from '../../src/runtime/sizes.ts';

/** What the runtime does for a copy: words from one place to another, here one after the other. */
const COPY = ((): string => {
  const k = new KernelBuilder();
  const [from, to] = [k.buffer('from', 'u32'), k.buffer('to', 'u32', 'write')];
  k.for(0, k.scalar('words'), 1, (i) => k.store(to, i, load(from, i)));
  return printWgsl(k.finish('copy', [])).code;
})();

const MOST = 65535;
/** Uniform blocks start at multiples of this on every device. */
const ALIGN = 256;

export interface GridOptions {
  /** false: one kernel for each op. */
  readonly merge?: boolean;
  /** Give results the memory of operands wherever the kernels allow it and the operand is not needed again. */
  readonly inPlace?: boolean;
  /** Of the device that kernels are made for. */
  readonly limits?: Partial<KernelLimits>;
}

const widthOf = (v: Value): number => (v.type.elem === 'f16' || v.type.elem === 'bf16' ? 2 : 4);

/** Results of a function of the module on concrete inputs, as stored. */
export async function runOnGrid(
  device: GPUDevice,
  module: Module,
  name: string,
  inputs: readonly NdArray[],
  options: GridOptions = {},
): Promise<NdArray[]> {
  const target = wgslTarget(options.limits);
  const func = fuse(module, target, { merge: options.merge ?? true }).funcs.get(name)!;
  const lowered = lowerFunc(func, target);
  const symbols = symbolsOf(func, inputs);
  const evaluate = (d: D.Dim): number => D.evaluate(d, symbols);
  const bytesOf = (v: Value): number => widthOf(v) * v.type.shape.reduce((n, d) => n * evaluate(d), 1);
  let top = ALIGN;
  const grab = (bytes: number): number => {
    const at = top;
    top += Math.ceil(bytes / ALIGN) * ALIGN + ALIGN;
    return at;
  };
  const places = new Map<object, number>();
  const place = (a: object, bytes: () => number): number => {
    let at = places.get(a);
    if (at === undefined) places.set(a, (at = grab(bytes())));
    return at;
  };
  const at = (v: Value): number => place(v, () => bytesOf(v));
  func.body.params.forEach(at);

  const argument = (a: CallArg): number => {
    if (a.kind === 'size') return evaluate(a.size);
    if (a.kind === 'value') return at(a.value) / widthOf(a.value);
    return place(a.scratch, () => evaluate(a.scratch.bytes)) / 4;
  };
  const dispatches: { code: string; groups: [number, number, number]; args: number[] }[] = [];
  const free = options.inPlace ? freeAfter(func, lowered.body.items) : null;
  for (const [index, item] of lowered.body.items.entries()) {
    if (item.kind === 'alias') {
      places.set(item.result, at(item.source) + widthOf(item.result) * evaluate(item.offset));
      continue;
    }
    if (item.kind === 'copy') {
      const words = Math.ceil(bytesOf(item.source) / 4);
      if (words > 0)
        dispatches.push({ code: COPY, groups: [1, 1, 1], args: [at(item.source) / 4, at(item.result) / 4, words] });
      continue;
    }
    if (item.kind !== 'kernel') throw new Error(`${item.kind} needs the linker`);
    const taken = new Set<Value>();
    for (const { result, operand } of free ? item.call.inPlace : []) {
      // Kernels offer every pair that is safe by itself: one result for an operand.
      if (taken.has(operand) || taken.has(result) || places.has(result) || free!.get(operand) !== index) continue;
      places.set(result, at(operand));
      taken.add(operand).add(result);
    }
    const args = item.call.args.map(argument);
    const { code, grid } = printWgsl(item.call.kernel);
    const env = new Map(args.map((v, i) => [String(i), v]));
    const [x, y, z] = grid.extents.map((e) => evaluateSize(e, env)) as [number, number, number];
    const total = x * y * z;
    if (total === 0) continue;
    const groups: [number, number, number] = grid.folded
      ? [Math.min(total, MOST), Math.ceil(total / MOST), 1]
      : [x, y, z];
    dispatches.push({ code, groups, args });
  }
  const outs = func.body.results.map((v) => ({ v, at: at(v) }));

  device.pushErrorScope('validation');
  const memory = device.createBuffer({
    size: top,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
  // What a kernel does not write must show.
  device.queue.writeBuffer(memory, 0, new Float32Array(top / 4).fill(NaN));
  func.body.params.forEach((p, i) => {
    const raw = encode(inputs[i]!.data, p.type.elem);
    const padded = new Uint8Array(Math.ceil(raw.length / 4) * 4);
    padded.set(raw);
    if (padded.length > 0) device.queue.writeBuffer(memory, at(p), padded);
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  const layout = device.createBindGroupLayout({
    entries: [
      { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'storage' } },
      { binding: 1, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } },
    ],
  });
  const pipelines = device.createPipelineLayout({ bindGroupLayouts: [layout] });
  const failures: string[] = [];
  for (const { code, groups, args } of dispatches) {
    const uniform = device.createBuffer({
      size: Math.max(16, Math.ceil(args.length / 4) * 16),
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(uniform, 0, Int32Array.from(args));
    const shader = device.createShaderModule({ code });
    const info = await shader.getCompilationInfo();
    for (const m of info.messages) if (m.type === 'error') failures.push(`${m.lineNum}: ${m.message}\n${code}`);
    pass.setPipeline(
      device.createComputePipeline({ layout: pipelines, compute: { module: shader, entryPoint: 'main' } }),
    );
    pass.setBindGroup(
      0,
      device.createBindGroup({
        layout,
        entries: [
          { binding: 0, resource: { buffer: memory } },
          { binding: 1, resource: { buffer: uniform } },
        ],
      }),
    );
    pass.dispatchWorkgroups(...groups);
  }
  pass.end();
  const back = device.createBuffer({ size: top, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  encoder.copyBufferToBuffer(memory, 0, back, 0, top);
  device.queue.submit([encoder.finish()]);
  const fault = await device.popErrorScope();
  if (fault || failures.length > 0) throw new Error(failures[0] ?? fault!.message);
  await back.mapAsync(GPUMapMode.READ);
  const bytes = new Uint8Array(back.getMappedRange()).slice();
  back.destroy();
  memory.destroy();
  return outs.map(({ v, at: from }) => {
    const shape = v.type.shape.map(evaluate);
    return ndarray(v.type.elem, shape, decode(bytes.slice(from, from + sizeOf(shape) * widthOf(v)), v.type.elem));
  });
}

/** The last kernel that reads each value whose memory nobody else has and nobody needs in the end. */
function freeAfter(func: Func, items: readonly LoweredItem[]): ReadonlyMap<Value, number> {
  const last = new Map<Value, number>();
  items.forEach((item, i) => {
    if (item.kind === 'kernel') for (const a of item.call.args) if (a.kind === 'value') last.set(a.value, i);
  });
  for (const item of items) if (item.kind === 'alias') [item.source, item.result].forEach((v) => last.delete(v));
  func.body.results.forEach((v) => last.delete(v));
  return last;
}

function symbolsOf(func: Func, inputs: readonly NdArray[]): Map<string, number> {
  const actual = inputs.map((x) => ({ elem: x.elem, shape: x.shape.map(D.dim) }));
  const bound = bindSymbols(
    func.body.params.map((p) => p.type),
    actual,
  );
  return new Map([...bound].map(([name, d]) => [name, d.value!]));
}
