/** What there is to measure in the programs of a block: every key for which its families choose, with an op that asks for it. */
import type { Target } from '../codegen/call.ts';
import { kernelsOf } from '../codegen/lower.ts';
import type { Programs } from '../ir/entry.ts';
import type { KernelCall } from '../codegen/call.ts';
import type { Op, Region, Value } from '../ir/ir.ts';

export interface Question {
  readonly key: string;
  /** Of the candidates, the family's own choice first. */
  readonly names: readonly string[];
  /** The first fusion that asks: the others differ in what is fused with it. */
  readonly op: Op;
  /** Its kernels by one of the candidates. */
  readonly kernels: (name: string) => readonly KernelCall[];
}

/** In the order of the programs of those names. A key of one candidate is no question. */
export function questionsOf({ module, entries }: Programs, target: Target, wanted: ReadonlySet<string>): Question[] {
  const found = new Map<string, Question>();
  const seen = new Set<string>();
  const func = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    region(module.funcs.get(name)!.body);
  };
  /** `changing`: what the loop around makes anew in each iteration, as in lowering. */
  const region = (r: Region, changing: ReadonlySet<Value> | null = null): void => {
    for (const op of r.ops) {
      if (op.kind === 'call') func(String(op.attrs['callee']));
      else if (op.kind === 'fusion') ask(op, (v) => changing !== null && !changing.has(v));
      else for (const inner of op.regions) region(inner, op.kind === 'if' ? null : madeIn(inner));
    }
  };
  const ask = (op: Op, steady: (v: Value) => boolean): void => {
    const choices = (key: string, names: readonly string[]): null => {
      if (found.has(key) || names.length < 2) return null;
      const kernels = (name: string): readonly KernelCall[] =>
        kernelsOf(op, { ...target, choices: (k) => (k === key ? name : null) }, steady);
      found.set(key, { key, names, op, kernels });
      return null;
    };
    kernelsOf(op, { ...target, choices }, steady);
  };
  for (const e of entries) if (wanted.has(e.name)) func(e.func);
  return [...found.values()];
}

const madeIn = (r: Region): ReadonlySet<Value> => new Set([...r.params, ...r.ops.flatMap((op) => op.results)]);
