/** Compiles a function without control flow and runs it in WebAssembly, for tests of fusion and of kernels without the linker. */
import type { CallArg, Target } from '../../src/codegen/call.ts';
import type { Kernel } from '../../src/codegen/kernel.ts';
import { lowerFunc } from '../../src/codegen/lower.ts';
import { WASM } from '../../src/codegen/targets.ts';
import { printWasm, SCRATCH_BYTES } from '../../src/codegen/wasm/print.ts';
import { wasmFor } from '../../src/runtime/fma.ts';
import * as D from '../../src/ir/dim.ts';
import type { Func, Module, Value } from '../../src/ir/ir.ts';
import { ndarray, sizeOf, type NdArray } from '../../src/ir/ndarray.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { bindSymbols } from '../../src/ir/symbols.ts';
import { THREADS, type Step } from '../../src/runtime/artifact.ts';
import { ONE_THREAD } from '../../src/runtime/threads.ts';

export interface RunOptions {
  /** false: one kernel for each op. */
  readonly merge?: boolean;
  /** Give results the memory of operands wherever the kernels allow it and the operand is not needed again. */
  readonly inPlace?: boolean;
  readonly relaxed?: boolean;
  readonly target?: Target;
}

/** Results of a function of the module on concrete inputs, as stored. */
export function runCompiled(
  module: Module,
  name: string,
  inputs: readonly NdArray[],
  options: RunOptions = {},
): NdArray[] {
  const target = options.target ?? WASM;
  const func = fuse(module, target, { merge: options.merge ?? true }).funcs.get(name)!;
  return runFused(func, inputs, options);
}

export function runFused(func: Func, inputs: readonly NdArray[], options: RunOptions = {}): NdArray[] {
  const lowered = lowerFunc(func, options.target ?? WASM);
  const symbols = symbolsOf(func, inputs);
  const evaluate = (d: D.Dim): number => D.evaluate(d, symbols.set(THREADS, 1));
  const bytesOf = (v: Value): number => widthOf(v) * v.type.shape.reduce((n, d) => n * evaluate(d), 1);

  let top = SCRATCH_BYTES;
  const grab = (bytes: number): number => {
    const at = top;
    top = (top + bytes + 63) & ~63;
    return at;
  };
  const places = new Map<object, number>();
  const place = (v: Value): number => {
    let at = places.get(v);
    if (at === undefined) places.set(v, (at = grab(bytesOf(v))));
    return at;
  };
  for (const p of func.body.params) place(p);

  const lastUse = new Map<Value, number>();
  lowered.body.items.forEach((item, i) => {
    const used =
      item.kind === 'kernel'
        ? item.call.args.flatMap((a) => (a.kind === 'value' ? [a.value] : []))
        : item.kind === 'alias' || item.kind === 'copy'
          ? [item.source, item.result]
          : item.kind === 'pack'
            ? item.parts.map((p) => p.value)
            : [];
    used.forEach((v) => lastUse.set(v, i));
  });
  const aliased = new Set(lowered.body.items.flatMap((i) => (i.kind === 'alias' ? [i.source, i.result] : [])));

  /** Several kernels of an op may share it. */
  const scratch = new Map<object, number>();
  const kernels: Kernel[] = [];
  const frame: number[] = [];
  const steps: Step[] = [];
  const slot = (n: number): number => frame.push(n) - 1;
  lowered.body.items.forEach((item, index) => {
    switch (item.kind) {
      case 'kernel': {
        if (options.inPlace) {
          // Kernels offer every pair that is safe by itself: one result for an operand.
          const taken = new Set<Value>();
          for (const { result, operand } of item.call.inPlace) {
            if (taken.has(operand) || taken.has(result)) continue;
            const free =
              lastUse.get(operand) === index && !func.body.results.includes(operand) && !aliased.has(operand);
            if (!free) continue;
            places.set(result, place(operand));
            taken.add(operand).add(result);
          }
        }
        const address = (a: CallArg): number => {
          if (a.kind === 'value') return place(a.value);
          if (a.kind === 'size') return evaluate(a.size);
          const at = scratch.get(a.scratch) ?? grab(evaluate(a.scratch.bytes));
          scratch.set(a.scratch, at);
          return at;
        };
        kernels.push({ ...item.call.kernel, name: `${item.call.kernel.name}_${kernels.length}` });
        steps.push({ kind: 'kernel', kernel: kernels.length - 1, slots: item.call.args.map((a) => slot(address(a))) });
        break;
      }
      case 'alias':
        places.set(item.result, place(item.source) + widthOf(item.result) * evaluate(item.offset));
        break;
      case 'copy':
        steps.push({
          kind: 'copy',
          from: slot(place(item.source)),
          to: slot(place(item.result)),
          bytes: slot(bytesOf(item.source)),
        });
        break;
      case 'unwritten':
        break;
      case 'pack':
        for (const p of item.parts) {
          const to = place(item.result) + widthOf(p.value) * evaluate(p.offset);
          steps.push({ kind: 'copy', from: slot(place(p.value)), to: slot(to), bytes: slot(bytesOf(p.value)) });
        }
        break;
      default:
        throw new Error(`${item.kind} needs the linker`);
    }
  });
  const frameAt = grab(4 * frame.length);
  const outs = func.body.results.map((v) => ({ v, at: place(v) }));

  const bytes = wasmFor(
    printWasm({ kernels, programs: [{ name: 'main', steps }] }),
    options.relaxed ? 'relaxed' : 'simd',
  );
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / 65536) + 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    env: { memory, ...ONE_THREAD },
  });
  // What a kernel does not write must show.
  new Float32Array(memory.buffer).fill(NaN, SCRATCH_BYTES / 4);
  new Int32Array(memory.buffer, frameAt, frame.length).set(frame);
  func.body.params.forEach((p, i) => write(memory.buffer, places.get(p)!, p, inputs[i]!));
  const main = instance.exports['main'];
  if (typeof main !== 'function') throw new Error('no program');
  main(frameAt);
  return outs.map(({ v, at }) => read(memory.buffer, at, v, v.type.shape.map(evaluate)));
}

const widthOf = (v: Value): number => (v.type.elem === 'f16' || v.type.elem === 'bf16' ? 2 : 4);

function symbolsOf(func: Func, inputs: readonly NdArray[]): Map<string, number> {
  const actual = inputs.map((x) => ({ elem: x.elem, shape: x.shape.map(D.dim) }));
  const bound = bindSymbols(
    func.body.params.map((p) => p.type),
    actual,
  );
  return new Map([...bound].map(([name, d]) => [name, d.value!]));
}

function write(memory: ArrayBuffer, at: number, v: Value, x: NdArray): void {
  const n = sizeOf(x.shape);
  switch (v.type.elem) {
    case 'f32':
      new Float32Array(memory, at, n).set(x.data);
      break;
    case 'f16':
      new Float16Array(memory, at, n).set(x.data);
      break;
    case 'i32':
      new Int32Array(memory, at, n).set(x.data);
      break;
    case 'u32':
    case 'bool':
      new Uint32Array(memory, at, n).set(x.data);
      break;
    case 'bf16': {
      const words = new Uint32Array(Float32Array.from(x.data).buffer);
      new Uint16Array(memory, at, n).set(words.map((w) => w >>> 16));
    }
  }
}

function read(memory: ArrayBuffer, at: number, v: Value, shape: readonly number[]): NdArray {
  const n = sizeOf(shape);
  const { elem } = v.type;
  switch (elem) {
    case 'f32':
      return ndarray(elem, shape, new Float32Array(memory, at, n));
    case 'f16':
      return ndarray(elem, shape, new Float16Array(memory, at, n));
    case 'i32':
      return ndarray(elem, shape, new Int32Array(memory, at, n));
    case 'u32':
    case 'bool':
      return ndarray(elem, shape, new Uint32Array(memory, at, n));
    case 'bf16': {
      const words = Uint32Array.from(new Uint16Array(memory, at, n), (h) => h << 16);
      return ndarray(elem, shape, new Float32Array(words.buffer));
    }
  }
}
