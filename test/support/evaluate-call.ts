/** Runs a kernel call in the kernel-IR evaluator: the oracle for printers. */
import type { KernelCall } from '../../src/codegen/call.ts';
import type { Memory } from '../../src/codegen/evaluate.ts';
import { runKernel } from '../../src/codegen/evaluate.ts';
import { THREADS } from '../../src/runtime/artifact.ts';
import * as D from '../../src/ir/dim.ts';
import type { Value } from '../../src/ir/ir.ts';

/** `data` has memory for every value of the call, results included; sizes must be known. */
export function evaluateCall(call: KernelCall, data: ReadonlyMap<Value, Memory>, fma: 'fused' | 'split'): void {
  const env = new Map<string, number>();
  const scratch = new Map<object, Memory>();
  const args = call.args.map((arg, i) => {
    if (arg.kind === 'value') return data.get(arg.value)!;
    if (arg.kind === 'size') return D.evaluate(arg.size, env);
    const param = call.kernel.params[i]!;
    const known = scratch.get(arg.scratch);
    if (known) return known;
    const size = D.evaluate(arg.scratch.bytes, new Map([...env, [THREADS, 1]])) / 4;
    const elem = param.kind === 'buffer' ? param.elem : 'f32';
    const memory =
      elem === 'i32' ? new Int32Array(size) : elem === 'u32' ? new Uint32Array(size) : new Float32Array(size).fill(NaN);
    scratch.set(arg.scratch, memory);
    return memory;
  });
  runKernel(call.kernel, args, { fma });
}
