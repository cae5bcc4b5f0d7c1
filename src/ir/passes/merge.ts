/**
 * Keeps one of functions that have become equal, origins included: a block whose training mode differs in nothing (a
 * dropout of 0) comes in two copies, and everything after would be done twice.
 */
import type { Func, Module, Origin, Region } from '../ir.ts';
import { printFunc } from '../print.ts';
import { calleesFirst } from './dce.ts';

/** Calls go to the first of equal functions. Roots keep their names, so an equal root stays. */
export function mergeEqual(module: Module, roots: readonly string[]): Module {
  const same = equalFuncs(module);
  const kept = new Set(roots);
  const funcs = [...module.funcs].flatMap(([name, f]): [string, Func][] =>
    kept.has(name) || same.get(name) === name ? [[name, { ...f, body: retarget(f.body, same) }]] : [],
  );
  return { funcs: new Map(funcs) };
}

/** For each function the one that stands for all that equal it. */
export function equalFuncs(module: Module): ReadonlyMap<string, string> {
  const same = new Map<string, string>();
  const byText = new Map<string, string>();
  // Callees first, so that calls of equal functions are equal.
  const names = calleesFirst(module, module.funcs.keys());
  for (const name of names) {
    const f = module.funcs.get(name)!;
    const text = printFunc({ ...f, name: '_', body: retarget(f.body, same) }, { origin: place });
    const first = byText.get(text);
    if (first === undefined) byText.set(text, name);
    same.set(name, first ?? name);
  }
  return same;
}

const place = (o: Origin): string => `${o.span.file} ${o.span.start} ${o.span.end} ${o.path}`;

function retarget(region: Region, same: ReadonlyMap<string, string>): Region {
  return {
    ...region,
    ops: region.ops.map((op) => {
      const regions = op.regions.map((r) => retarget(r, same));
      if (op.kind !== 'call') return regions.length > 0 ? { ...op, regions } : op;
      const callee = String(op.attrs['callee']);
      return { ...op, attrs: { ...op.attrs, callee: same.get(callee) ?? callee } };
    }),
  };
}
