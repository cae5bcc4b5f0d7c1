/** W1 in C for this machine: the same kernels with its lanes and registers, timed without the runtime around them. */
import { printUnits } from '../src/codegen/c/program.ts';
import { nativeTarget } from '../src/codegen/targets.ts';
import * as D from '../src/ir/dim.ts';
import type { Value } from '../src/ir/ir.ts';
import { NO_ORIGIN } from '../src/ir/ir.ts';
import { sourceOf, storeTo } from '../src/runtime/kernels/epilogue.ts';
import { matmulCalls, matmulSpec } from '../src/runtime/kernels/matmul.ts';
import { device } from '../src/runtime/index.ts';
import { NativeDevice } from '../src/runtime/native/device.ts';
import { buildObject } from '../src/runtime/node/cc.ts';
import type { Row } from './run.ts';
import { uniform } from './spec.ts';
import { timed } from './timing.ts';

export async function nativeGemmRows(seconds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const n of [64, 128, 256, 512, 1024]) {
    const { minMs, medianMs } = timed(seconds, await product(n));
    const note = `${((2 * n ** 3) / minMs / 1e6).toFixed(1)} GFLOP/s`;
    rows.push({ workload: `W1 ${n}^3`, peer: 'Netwright native, 1 thread', minMs, medianMs, note });
  }
  return rows;
}

async function product(n: number): Promise<() => void> {
  const on = await device('native');
  if (!(on instanceof NativeDevice)) throw new Error('no native device');
  const { machine } = on.compiler;
  const values = ['a', 'b', 'c'].map((hint): Value => ({ type: { elem: 'f32', shape: [D.dim(n), D.dim(n)] }, hint }));
  const [a, b, c] = values as [Value, Value, Value];
  const arg = (value: Value) => ({ kind: 'value', value }) as const;
  const call = matmulCalls(
    matmulSpec(a.type, b.type, false, false),
    sourceOf(arg(a)),
    sourceOf(arg(b)),
    storeTo(arg(c)),
    nativeTarget(machine),
    [NO_ORIGIN],
  )[0]!;
  const { memory } = on;
  const frame = memory.alloc(8 * call.args.length);
  const slots = call.args.map((x, i) => {
    if (x.kind === 'size') return x.size.value!;
    const at = memory.alloc(x.kind === 'value' ? 4 * n * n : x.scratch.bytes.value!);
    if (i < 2) memory.f32(at, n * n).set(uniform([n, n], 100 + i, 1));
    return memory.base + at;
  });
  memory.frame(frame, slots.length).set(slots);
  const steps = [{ kind: 'kernel', kernel: 0, slots: slots.map((_, i) => i) }] as const;
  const code = printUnits({ kernels: [call.kernel], programs: [{ name: 'main', steps }] }, { fma: machine.fma });
  const object = await buildObject({ machine, programs: [], kernels: [], ...code }, on.compiler);
  const run = on.koffi.load(object).func(`void ${code.functions[0]}(intptr_t)`);
  return () => run(memory.base + frame);
}
