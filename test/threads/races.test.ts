/**
 * No two threads touch the same element between two barriers where one of them writes it, and all come to equally many
 * barriers: every kernel of every row of the op table, executed thread by thread with each access written down.
 */
import test from 'ava';
import { runKernel, type Memory } from '../../src/codegen/evaluate.ts';
import type { KernelCall } from '../../src/codegen/call.ts';
import { lowerFunc } from '../../src/codegen/lower.ts';
import { WASM } from '../../src/codegen/targets.ts';
import { shared } from '../../src/codegen/threads.ts';
import * as D from '../../src/ir/dim.ts';
import type { Value } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { THREADS } from '../../src/runtime/artifact.ts';
import { casesOf } from '../support/op-cases.ts';
import { opModule } from '../support/op-func.ts';

const COUNTS = [2, 3, 7];

const sizeOf = (v: Value): number => v.type.shape.reduce((n, d) => n * d.value!, 1);

/** By phase and element: which threads read and which wrote it, as bits. */
class Log {
  private readonly phases: Map<string, { read: number; written: number }>[] = [];
  phase = 0;
  part = 0;

  watch(name: string, memory: Float64Array): Memory {
    const note = (key: string | symbol, how: 'read' | 'written'): void => {
      const phase = (this.phases[this.phase] ??= new Map());
      const id = `${name}[${String(key)}]`;
      const seen = phase.get(id) ?? { read: 0, written: 0 };
      seen[how] |= 1 << this.part;
      phase.set(id, seen);
    };
    return new Proxy(memory, {
      get: (m, key) => {
        if (key === 'length') return m.length;
        note(key, 'read');
        return m[Number(key)];
      },
      set: (m, key, value: number) => {
        note(key, 'written');
        m[Number(key)] = value;
        return true;
      },
    });
  }

  conflict(): string | null {
    for (const [i, phase] of this.phases.entries())
      for (const [id, { read, written }] of phase ?? []) {
        const alone = (written & (written - 1)) === 0;
        if (written !== 0 && !(alone && (read & ~written) === 0)) return `${id} after ${i} barriers`;
      }
    return null;
  }
}

/** What is wrong when so many threads share the call, after one has computed it: tables that it made are there. */
function faultOf(call: KernelCall, data: ReadonlyMap<Value, Float64Array>, parts: number): string | null {
  const { kernel } = call;
  const found = shared(kernel, 0);
  if (!found) return null;
  const body = { ...kernel, body: found.body };
  const scratch = new Map<object, Float64Array>();
  const env = new Map([[THREADS, parts]]);
  const memories = call.args.map((arg) => {
    if (arg.kind === 'value') return data.get(arg.value)!;
    if (arg.kind === 'size') return D.evaluate(arg.size, env);
    const known = scratch.get(arg.scratch) ?? new Float64Array(D.evaluate(arg.scratch.bytes, env) / 4);
    scratch.set(arg.scratch, known);
    return known;
  });
  runKernel(body, memories);
  const log = new Log();
  const watched = memories.map((m, i) => (typeof m === 'number' ? m : log.watch(kernel.params[i]!.name + i, m)));
  const barriers = new Set<number>();
  for (let part = 0; part < parts; part++) {
    [log.part, log.phase] = [part, 0];
    runKernel(body, watched, { thread: [part, parts], barrier: () => void log.phase++ });
    barriers.add(log.phase);
  }
  if (barriers.size > 1) return `${[...barriers].join(' and ')} barriers`;
  return log.conflict();
}

function faults(inputs: readonly NdArray[], module: ReturnType<typeof opModule>): string[] {
  const func = fuse(decompose(module), WASM).funcs.get('main')!;
  const data = new Map<Value, Float64Array>();
  func.body.params.forEach((p, i) => data.set(p, Float64Array.from(inputs[i]!.data)));
  const memoryOf = (v: Value): Float64Array => {
    const known = data.get(v) ?? new Float64Array(sizeOf(v));
    data.set(v, known);
    return known;
  };
  const out: string[] = [];
  for (const item of lowerFunc(func, WASM).body.items) {
    if (item.kind === 'alias')
      data.set(
        item.result,
        memoryOf(item.source).subarray(item.offset.value!, item.offset.value! + sizeOf(item.result)),
      );
    else if (item.kind === 'copy') memoryOf(item.result).set(memoryOf(item.source));
    else if (item.kind === 'pack')
      for (const p of item.parts) memoryOf(item.result).set(memoryOf(p.value), p.offset.value!);
    else if (item.kind === 'kernel') {
      for (const arg of item.call.args) if (arg.kind === 'value') memoryOf(arg.value);
      for (const parts of COUNTS) {
        const fault = faultOf(item.call, data, parts);
        if (fault) out.push(`${item.call.kernel.name} on ${parts} threads: ${fault}`);
      }
    }
  }
  return out;
}

for (const kind of Object.keys(OPS)) {
  if (opDef(kind).lower.kind === 'control') continue;
  test(`${kind}: threads keep apart`, (t) => {
    for (const c of casesOf(kind)) t.deepEqual(faults(c.inputs, opModule(c.kind, c.attrs, c.inputs)), [], c.name);
  });
}
