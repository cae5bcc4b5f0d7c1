/**
 * Loops that come by each slice of a carry once, as tapes and sequences are filled and gradients of sequences read. A carry that
 * every iteration writes one slice of need not start as anything; one whose slices are read and then cleared, and which nobody wants
 * at the end, need not be cleared, and so is no carry.
 */
import { IrBuilder } from '../builder.ts';
import { readsOf } from '../clone.ts';
import { compare, dim, sub, type Dim } from '../dim.ts';
import type { Module, Op, Region, Value } from '../ir.ts';
import { num, size } from '../ops/attrs.ts';

export function loopSlices(module: Module): Module {
  return { funcs: new Map([...module.funcs].map(([name, f]) => [name, { ...f, body: visited(f.body) }])) };
}

function visited(region: Region): Region {
  const reads = new Set([...region.ops.flatMap(readsOf), ...region.results]);
  const ops = region.ops.flatMap((op): readonly Op[] => {
    if (op.regions.length === 0 || op.kind === 'fusion') return [op];
    const inner = { ...op, regions: op.regions.map(visited) };
    return op.kind === 'for' ? startless(withoutCleared(inner, reads)) : [inner];
  });
  return { ...region, ops };
}

/** The loop without carries that are cleared slice by slice for nobody. */
function withoutCleared(op: Op, reads: ReadonlySet<Value>): Op {
  const body = op.regions[0]!;
  const cleared = op.results.flatMap((v, k) => {
    const carry = body.params[k + 1]!;
    const put = reads.has(v) ? null : slicePut(op, k);
    const taken = put && usersOf(body, carry).every((u) => u === put || takes(u, carry, put));
    const next = body.results[k]!;
    const passedOn = usersOf(body, next).length > 0 || body.results.some((r, n) => r === next && n !== k);
    return taken && !passedOn ? [k] : [];
  });
  if (cleared.length === 0) return op;
  const kept = <T>(items: readonly T[]): T[] => items.filter((_, k) => !cleared.includes(k));
  const outside = new Map(cleared.map((k) => [body.params[k + 1]!, op.operands[k]!]));
  const puts = new Set(cleared.map((k) => body.results[k]!));
  const ops = body.ops
    .filter((o) => !puts.has(o.results[0]!))
    .map((o) => ({ ...o, operands: o.operands.map((v) => outside.get(v) ?? v) }));
  const [position, ...carries] = body.params;
  const region = { params: [position!, ...kept(carries)], ops, results: kept(body.results) };
  return { ...op, operands: kept(op.operands), results: kept(op.results), regions: [region] };
}

const takes = (op: Op, carry: Value, put: Op): boolean =>
  op.kind === 'take' &&
  op.operands[0] === carry &&
  op.operands[1] === put.operands[1] &&
  num(op.attrs, 'axis') === num(put.attrs, 'axis');

/** The loop whose carries start as nothing in particular where iterations write all of them before anybody reads. */
function startless(op: Op): readonly Op[] {
  const body = op.regions[0]!;
  const b = new IrBuilder(op.origin);
  const operands = op.operands.map((start, k) => {
    const put = slicePut(op, k);
    const next = body.results[k]!;
    const inside = usersOf(body, body.params[k + 1]!).length + usersOf(body, next).length;
    // The body itself must not see slices that are still to be written, nor hand them on as another carry.
    if (!put || inside > 1 || body.results.filter((r) => r === next).length > 1) return start;
    return b.one('unwritten', [], { elem: start.type.elem, shape: start.type.shape });
  });
  return [...b.ops, { ...op, operands }];
}

/** What gives carry `k` its next value, if that is the `put` of a slice, a different one in each iteration until all have had their turn. */
function slicePut(op: Op, k: number): Op | null {
  const body = op.regions[0]!;
  const put = body.ops.find((o) => o.results[0] === body.results[k]);
  const carry = body.params[k + 1]!;
  if (put?.kind !== 'put' || put.operands[0] !== carry || body.results.includes(carry)) return null;
  const count = size(op.attrs, 'count');
  const all = compare(put.results[0]!.type.shape[num(put.attrs, 'axis')]!, count) === 'equal';
  return all && comesByAll(body, put.operands[1]!, count) ? put : null;
}

/** Is it the position in the loop, from the front or from the back? */
function comesByAll(body: Region, index: Value, count: Dim): boolean {
  const [position] = body.params;
  if (index === position) return true;
  const maker = (v: Value): Op | undefined => body.ops.find((o) => o.results[0] === v);
  const op = maker(index);
  if (op?.kind !== 'sub' || op.operands[1] !== position) return false;
  const last = maker(op.operands[0]!);
  return last !== undefined && numberOf(last)?.key === sub(count, 1).key;
}

function numberOf(op: Op): Dim | null {
  if (op.kind === 'size') return size(op.attrs, 'dim');
  return op.kind === 'constant' && op.results[0]!.type.shape.length === 0 ? dim(num(op.attrs, 'value')) : null;
}

/** Ops of the body that read the value, once for each time; the end of the body does not count. */
const usersOf = (body: Region, v: Value): readonly Op[] =>
  body.ops.flatMap((o) => readsOf(o).flatMap((r) => (r === v ? [o] : [])));
