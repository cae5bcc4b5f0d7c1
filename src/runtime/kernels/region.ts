/** What every family does with a fused region: its params become buffers, its sizes arguments, its ops origins. */
import * as K from '../../codegen/builder.ts';
import type { KernelCall } from '../../codegen/call.ts';
import type { Coord } from '../../codegen/coord.ts';
import { lanesOf } from '../../codegen/coord.ts';
import { RegionEmitter } from '../../codegen/expr.ts';
import { loadAt } from '../../codegen/gather.ts';
import type { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Scope } from '../../codegen/scope.ts';
import { COSTLY } from '../../ir/passes/op-cost.ts';
import type { Walk } from '../../codegen/space.ts';
import { widthOf } from '../elem.ts';
import { readInPlace } from '../../codegen/space.ts';
import type { Op, Origin, Value } from '../../ir/ir.ts';

/** The one op of a fusion that is a family of its own. */
export const coreOf = (op: Op): Op => op.regions[0]!.ops[0]!;

/** The operand of the fusion that is operand i of its core. */
export const operandOf = (op: Op, i: number): Value =>
  op.operands[op.regions[0]!.params.indexOf(coreOf(op).operands[i]!)]!;

/** Declares a buffer for each operand that the region reads. */
export function openRegion(a: KernelArgs, op: Op, skip: ReadonlySet<Value> = new Set()): RegionEmitter {
  const region = op.regions[0]!;
  const buffers = new Map<Value, KBuffer>();
  region.params.forEach((p, i) => {
    if (!skip.has(p)) buffers.set(p, a.buffer(op.operands[i]!, 'read', 'x'));
  });
  return new RegionEmitter(a.scope, region, {
    load: (param, at) => loadAt(a.scope, buffers.get(param)!, at),
    size: (d) => a.size(d),
  });
}

/** Stores a value at a flat position of consecutive lanes. */
export function storeAt(s: Scope, buf: KBuffer, at: Coord, v: KExpr): void {
  const lanes = lanesOf(at);
  s.k.store(buf, at.base, lanes === v.type.lanes ? v : s.share(K.splat(v, lanes)));
}

/** The lines that a fused op stands for, without repetition, the op's own first. */
export function originsOf(op: Op): readonly Origin[] {
  const seen = new Map<string, Origin>();
  for (const o of [op.origin, ...(op.regions[0]?.ops ?? []).map((x) => x.origin)]) {
    const key = `${o.span.file}:${o.span.start}:${o.path}`;
    if (!seen.has(key)) seen.set(key, o);
  }
  return [...seen.values()];
}

/** How many vectors a loop over the region works on at once: more where there is little to do, so that latencies overlap. */
export function unrollOf(op: Op): number {
  const weight = op.regions[0]!.ops.reduce((n, o) => n + (COSTLY.has(o.kind) ? 8 : 1), 0);
  return weight <= 8 ? 4 : weight <= 16 ? 2 : 1;
}

/** Pairs each result with every operand whose memory it may take: read only where the result is written. The linker chooses. */
export function reuse(op: Op, walk: Walk, results: readonly number[]): KernelCall['inPlace'] {
  const region = op.regions[0]!;
  const once = op.attrs['family'] === 'elementwise';
  return results.flatMap((i) => {
    const result = op.results[i]!;
    const { shape } = region.results[i]!.type;
    return region.params.flatMap((p, j) => {
      const operand = op.operands[j]!;
      const alone = op.operands.filter((o) => o === operand).length === 1;
      const fits = alone && widthOf(p.type.elem) === widthOf(result.type.elem) && readInPlace(walk, p, shape, once);
      return fits ? [{ result, operand }] : [];
    });
  });
}
