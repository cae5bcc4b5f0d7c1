/** Removes what no result needs. Every op is pure, so an op whose results nobody reads can go. */
import type { Module, Op, Region, Value } from '../ir.ts';

/** Functions that the roots reach, their bodies without dead ops. Roots that do not exist are ignored. */
export function reachable(module: Module, roots: Iterable<string>): Module {
  const kept = new Set<string>();
  const visit = (name: string): void => {
    const f = module.funcs.get(name);
    if (!f || kept.has(name)) return;
    kept.add(name);
    for (const callee of calleesOf(f.body)) visit(callee);
  };
  for (const r of roots) visit(r);
  return { funcs: new Map([...module.funcs].filter(([name]) => kept.has(name))) };
}

/** Names of called functions, one per call site. */
export function calleesOf(region: Region, into: string[] = []): string[] {
  for (const op of region.ops) {
    if (op.kind === 'call') into.push(String(op.attrs['callee']));
    for (const r of op.regions) calleesOf(r, into);
  }
  return into;
}

/** Functions that the roots reach, each after those that it calls. Throws for a cycle and for a function that is not there. */
export function calleesFirst(module: Module, roots: Iterable<string>): string[] {
  const order: string[] = [];
  const open = new Set<string>();
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    if (open.has(name)) throw new Error(`@${name} calls itself`);
    const f = module.funcs.get(name);
    if (!f) throw new Error(`there is no function @${name}`);
    open.add(name);
    for (const callee of new Set(calleesOf(f.body))) visit(callee);
    open.delete(name);
    seen.add(name);
    order.push(name);
  };
  for (const r of roots) visit(r);
  return order;
}

/** The ops that the results need, in order. `if` and `call` keep unread results; their regions are cleaned too. */
export function liveOps(ops: readonly Op[], results: readonly Value[]): Op[] {
  return sweep(ops, new Set(results));
}

function sweep(ops: readonly Op[], live: Set<Value>): Op[] {
  const kept: Op[] = [];
  for (let i = ops.length - 1; i >= 0; i--) {
    const op = ops[i]!;
    if (!op.results.some((r) => live.has(r))) continue;
    for (const v of op.operands) live.add(v);
    if (op.regions.length === 0) kept.push(op);
    else kept.push({ ...op, regions: op.regions.map((r) => sweepRegion(r, live)) });
  }
  return kept.reverse();
}

/** What the region reads from outside becomes live there. */
function sweepRegion(r: Region, live: Set<Value>): Region {
  for (const v of r.results) live.add(v);
  return { params: r.params, ops: sweep(r.ops, live), results: r.results };
}
