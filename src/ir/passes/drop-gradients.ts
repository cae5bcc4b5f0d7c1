/** Takes out the gradients that the source states: autodiff has used them, and what is left of `with_gradient` does nothing. */
import type { Module, Op, Region, Value } from '../ir.ts';

export function dropGradients(module: Module): Module {
  return { funcs: new Map([...module.funcs].map(([name, f]) => [name, { ...f, body: drop(f.body, new Map()) }])) };
}

function drop(r: Region, map: Map<Value, Value>): Region {
  const at = (v: Value): Value => map.get(v) ?? v;
  const ops: Op[] = [];
  for (const op of r.ops) {
    const operands = op.operands.map(at);
    if (op.kind === 'with_gradient') op.results.forEach((v, i) => map.set(v, operands[i]!));
    else ops.push({ ...op, operands, regions: op.regions.map((x) => drop(x, map)) });
  }
  return { params: r.params, ops, results: r.results.map(at) };
}
