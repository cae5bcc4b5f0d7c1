/** Runs kernel calls in WebAssembly without the linker: places values one after the other and calls. */
import type { CallArg, KernelCall } from '../../src/codegen/call.ts';
import type { Kernel } from '../../src/codegen/kernel.ts';
import { printWasm, SCRATCH_BYTES } from '../../src/codegen/wasm/print.ts';
import { wasmFor } from '../../src/runtime/fma.ts';
import type { DimLike } from '../../src/ir/dim.ts';
import * as D from '../../src/ir/dim.ts';
import type { ElemType, Value } from '../../src/ir/ir.ts';
import { THREADS, type Step } from '../../src/runtime/artifact.ts';
import { ONE_THREAD } from '../../src/runtime/threads.ts';

export type Words = Float32Array | Int32Array | Uint32Array | Uint16Array;

export const valueOf = (elem: ElemType, ...shape: DimLike[]): Value => ({
  type: { elem, shape: shape.map(D.dim) },
  hint: null,
});
export const argOf = (value: Value): CallArg => ({ kind: 'value', value });

export interface Prepared {
  readonly run: () => void;
  /** The memory of a value, as it is now. */
  readonly read: (value: Value) => Float32Array;
}

/** Data goes in at once; results start as NaN so that what is not written shows. */
export function prepare(
  calls: readonly KernelCall[],
  data: ReadonlyMap<Value, Words>,
  symbols: ReadonlyMap<string, number> = new Map(),
  relaxed = true,
): Prepared {
  const kernels: Kernel[] = calls.map((c, i) => ({ ...c.kernel, name: `${c.kernel.name}_${i}` }));
  const frameAt = SCRATCH_BYTES;
  const slotCount = calls.reduce((n, c) => n + c.args.length, 0);
  let top = (frameAt + 4 * slotCount + 63) & ~63;
  const places = new Map<object, number>();
  const place = (key: object, bytes: number): number => {
    const at = places.get(key) ?? top;
    if (!places.has(key)) {
      places.set(key, at);
      top = (top + bytes + 63) & ~63;
    }
    return at;
  };
  const bytesOf = (v: Value): number =>
    (v.type.elem === 'f16' || v.type.elem === 'bf16' ? 2 : 4) *
    v.type.shape.reduce((n, d) => n * D.evaluate(d, symbols), 1);
  const frame: number[] = [];
  const steps: Step[] = calls.map((c, kernel) => ({
    kind: 'kernel',
    kernel,
    slots: c.args.map((arg) => {
      if (arg.kind === 'value') frame.push(place(arg.value, bytesOf(arg.value)));
      else if (arg.kind === 'scratch')
        frame.push(place(arg.scratch, D.evaluate(arg.scratch.bytes, new Map([...symbols, [THREADS, 1]]))));
      else frame.push(D.evaluate(arg.size, symbols));
      return frame.length - 1;
    }),
  }));
  for (const [v, words] of data) place(v, words.byteLength);
  const bytes = wasmFor(printWasm({ kernels, programs: [{ name: 'main', steps }] }), relaxed ? 'relaxed' : 'simd');
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / 65536) + 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    env: { memory, ...ONE_THREAD },
  });
  new Float32Array(memory.buffer).fill(NaN, SCRATCH_BYTES / 4);
  new Int32Array(memory.buffer, frameAt, frame.length).set(frame);
  for (const [v, words] of data)
    new Uint8Array(memory.buffer, places.get(v), words.byteLength).set(
      new Uint8Array(words.buffer, words.byteOffset, words.byteLength),
    );
  const main = instance.exports.main as (frame: number) => void;
  return {
    run: () => main(frameAt),
    read: (v) => new Float32Array(memory.buffer, places.get(v)!, bytesOf(v) / 4).slice(),
  };
}
