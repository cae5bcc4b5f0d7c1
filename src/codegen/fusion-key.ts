/** A structural key of fusions: equal for those that compute the same on operands of the same types, whatever their names. */
import type { Attr, Op, Value } from '../ir/ir.ts';
import { typeText } from '../ir/builder.ts';
import { isDim } from '../ir/symbols.ts';

export function fusionKey(op: Op): string {
  const region = op.regions[0]!;
  const ids = new Map<Value, number>();
  const id = (v: Value): string => {
    let n = ids.get(v);
    if (n === undefined) ids.set(v, (n = ids.size));
    return `%${n}`;
  };
  // Operands that are one value must stay one: their memory is shared.
  const seen = new Map<Value, number>();
  const operands = op.operands.map((v) => {
    if (!seen.has(v)) seen.set(v, seen.size);
    return `${seen.get(v)}:${typeText(v.type)}`;
  });
  const params = region.params.map(id);
  const lines = region.ops.map((o) => {
    const uses = o.operands.map(id).join();
    const attrs = Object.entries(o.attrs).map(([k, a]) => `${k}=${attrText(a)}`);
    return `${o.results.map((r) => `${id(r)}:${typeText(r.type)}`).join()}=${o.kind}(${uses}){${attrs.join()}}`;
  });
  return [
    `${op.attrs['family']} ${op.attrs['space'] === undefined ? '' : attrText(op.attrs['space'])}`,
    operands.join(),
    params.join(),
    ...lines,
    region.results.map(id).join(),
  ].join('\n');
}

function attrText(a: Attr): string {
  if (Array.isArray(a)) return `[${a.map((x: unknown) => (isDim(x) ? x.key : String(x))).join()}]`;
  if (typeof a === 'number' && Object.is(a, -0)) return '-0';
  return isDim(a) ? a.key : String(a);
}
