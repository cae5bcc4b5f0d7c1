/**
 * The matrix product of kernel IR alone, without a program around it, beside the machine's ceiling for fused multiply-add:
 * `node bench/gemm.ts [--revectorize]`; the flag lets V8 pair 128-bit operations.
 */
import { setFlagsFromString } from 'node:v8';
import { add, f32, fma, KernelBuilder, load, splat } from '../src/codegen/builder.ts';
import type { KExpr } from '../src/codegen/kernel.ts';
import type { KernelCall } from '../src/codegen/call.ts';
import { WASM } from '../src/codegen/targets.ts';
import { printWasm, SCRATCH_BYTES } from '../src/codegen/wasm/print.ts';
import { wasmFor } from '../src/runtime/fma.ts';
import * as D from '../src/ir/dim.ts';
import type { Value } from '../src/ir/ir.ts';
import { NO_ORIGIN } from '../src/ir/ir.ts';
import { sourceOf, storeTo } from '../src/runtime/kernels/epilogue.ts';
import { matmulCalls, matmulSpec } from '../src/runtime/kernels/matmul.ts';
import { timed } from './timing.ts';
import { ONE_THREAD } from '../src/runtime/threads.ts';

const CHAINS = 12;
const STEPS = 1e6;

/** Independent chains of fused multiply-adds, enough to hide their latency. */
function ceilingKernel(): KernelCall['kernel'] {
  const k = new KernelBuilder();
  const out = k.buffer('out', 'f32', 'readwrite');
  const chains = Array.from({ length: CHAINS }, (_, i) => k.mutable(splat(f32(i), 4)));
  const [x, y] = [k.let(load(out, 0, 4)), k.let(load(out, 4, 4))];
  k.for(0, STEPS, 1, () => chains.forEach((c) => k.set(c, fma(x, y, c))));
  const sum = chains.slice(1).reduce<KExpr>((a, c) => add(a, c), chains[0]!);
  k.store(out, 0, sum);
  return k.finish('fma_chains', [NO_ORIGIN]);
}

/** GFLOP/s of one core of WebAssembly. */
export const wasmCeiling = (seconds: number): number =>
  (2 * 4 * CHAINS * STEPS) /
  timed(seconds, instantiate(ceilingKernel(), [SCRATCH_BYTES + 64], SCRATCH_BYTES + 4096)).minMs /
  1e6;

function product(n: number): () => void {
  const shape = [D.dim(n), D.dim(n)];
  const [a, b, c] = ['a', 'b', 'c'].map((hint): Value => ({ type: { elem: 'f32', shape }, hint }));
  const spec = matmulSpec(a!.type, b!.type, false, false);
  const arg = (v: Value) => ({ kind: 'value', value: v }) as const;
  const call = matmulCalls(spec, sourceOf(arg(a!)), sourceOf(arg(b!)), storeTo(arg(c!)), WASM, [NO_ORIGIN])[0]!;
  let top = SCRATCH_BYTES + 4096;
  const take = (bytes: number): number => (top += bytes) - bytes;
  const frame = call.args.map((x) =>
    x.kind === 'size' ? x.size.value! : x.kind === 'value' ? take(4 * n * n) : take(x.scratch.bytes.value!),
  );
  return instantiate(call.kernel, frame, top);
}

function instantiate(kernel: KernelCall['kernel'], frame: readonly number[], bytes: number): () => void {
  const steps = [{ kind: 'kernel', kernel: 0, slots: frame.map((_, i) => i) }] as const;
  const code = wasmFor(printWasm({ kernels: [kernel], programs: [{ name: 'main', steps }] }), 'relaxed');
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) + 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), {
    env: { memory, ...ONE_THREAD },
  });
  const words = new Float32Array(memory.buffer);
  for (let i = 0; i < words.length; i++) words[i] = Math.fround(Math.sin(i));
  new Int32Array(memory.buffer, SCRATCH_BYTES, frame.length).set(frame);
  return () => (exports.main as (frame: number) => void)(SCRATCH_BYTES);
}

if (import.meta.main) {
  if (process.argv.includes('--revectorize')) setFlagsFromString('--experimental-wasm-revectorize');
  console.log(`ceiling  ${wasmCeiling(1).toFixed(1)} GFLOP/s`);
  for (const n of [64, 128, 256, 512, 1024]) {
    const { minMs } = timed(1, product(n));
    console.log(`${`${n}^3`.padEnd(8)} ${((2 * n ** 3) / minMs / 1e6).toFixed(1)} GFLOP/s  (${minMs.toFixed(3)} ms)`);
  }
}
