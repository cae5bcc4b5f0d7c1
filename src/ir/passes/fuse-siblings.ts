/**
 * Neighbouring fusions over one space that do not read each other become one, where starting a kernel costs as much as a small
 * one takes: on a GPU. Heads cut out of one tensor, the gradients of a scale and of a bias. No sum changes its order.
 */
import { axesOf, isReduction } from '../../codegen/rows.ts';
import { readsOf } from '../clone.ts';
import type { Op, Region, Value } from '../ir.ts';

/** An op moves past so many at most: what it reads and writes lives so much longer. */
const NEAR = 12;

export function joinSiblings(ops: readonly Op[], most: number): readonly Op[] {
  const list = [...ops];
  for (let j = 1; j < list.length; j++) {
    for (let i = j - 1; i >= Math.max(0, j - NEAR); i--) {
      const [a, b] = [list[i]!, list[j]!];
      const space = spaceOf(b);
      if (space === null || spaceOf(a) !== space) continue;
      const joined = join(a, b);
      if (joined.operands.length + joined.results.length > most) continue;
      const between = list.slice(i + 1, j);
      if (![...between, b].some((op) => readsFrom(op, [a]))) {
        list[j--] = joined;
        list.splice(i, 1);
      } else if (!readsFrom(b, [a, ...between])) {
        list[i] = joined;
        list.splice(j--, 1);
        break;
      }
    }
  }
  return list;
}

/** What a kernel runs over, as a key; null for what takes no siblings. */
function spaceOf(op: Op): string | null {
  if (op.kind !== 'fusion') return null;
  const { family } = op.attrs;
  const keys = (v: Value): string => v.type.shape.map((d) => d.key).join();
  if (family === 'elementwise') return `elementwise ${keys(op.results[0]!)}`;
  if (family !== 'rowwise') return null;
  const reduction = op.regions[0]!.ops.find(isReduction)!;
  return `rowwise ${keys(reduction.operands[0]!)} over ${[...axesOf(reduction)].sort((x, y) => x - y).join()}`;
}

function readsFrom(op: Op, makers: readonly Op[]): boolean {
  const made = new Set(makers.flatMap((m) => m.results));
  return readsOf(op).some((v) => made.has(v));
}

/** Both regions side by side; what both read is one operand. */
function join(a: Op, b: Op): Op {
  const [ra, rb] = [a.regions[0]!, b.regions[0]!];
  const operands = [...a.operands];
  const params = [...ra.params];
  const own = new Map<Value, Value>();
  b.operands.forEach((v, i) => {
    const at = a.operands.indexOf(v);
    if (at >= 0) own.set(rb.params[i]!, ra.params[at]!);
    else {
      operands.push(v);
      params.push(rb.params[i]!);
    }
  });
  const ops = rb.ops.map((op) => ({ ...op, operands: op.operands.map((v) => own.get(v) ?? v) }));
  const region: Region = { params, ops: [...ra.ops, ...ops], results: [...ra.results, ...rb.results] };
  const label = labelOf(String(a.attrs['label']), String(b.attrs['label']));
  return { ...a, operands, results: [...a.results, ...b.results], attrs: { ...a.attrs, label }, regions: [region] };
}

const MORE = '_and_more';
const labelOf = (a: string, b: string): string =>
  a === b || a.endsWith(MORE) ? a : a.includes('_and_') ? `${a}${MORE}` : `${a}_and_${b}`;
