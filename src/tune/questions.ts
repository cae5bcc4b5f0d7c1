/** What there is to measure in the programs of a block: every key for which its families choose, with an op that asks for it. */
import type { KernelCall, Lasting, Target } from '../codegen/call.ts';
import { lasting, spread, variant } from '../codegen/lasting.ts';
import { kernelsOf } from '../codegen/lower.ts';
import { constantParams, type Programs } from '../ir/entry.ts';
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
  const func = (name: string, constant: readonly Lasting[]): void => {
    const key = variant(name, constant);
    if (seen.has(key)) return;
    seen.add(key);
    const { body } = module.funcs.get(name)!;
    region(body, new Set(body.params.filter((_, i) => constant[i])));
  };
  /** `changing`: what the loop around makes anew in each iteration, as in lowering. */
  const region = (r: Region, constants: Set<Value>, changing: ReadonlySet<Value> | null = null): void => {
    for (const op of r.ops) {
      if (op.kind === 'call')
        func(
          String(op.attrs['callee']),
          op.operands.map((v) => lasting(v, constants, null)),
        );
      else if (op.kind === 'fusion') ask(op, (v) => lasting(v, constants, changing));
      else for (const inner of op.regions) region(inner, constants, op.kind === 'if' ? null : madeIn(inner));
      spread(op, constants);
    }
  };
  const ask = (op: Op, lasts: (v: Value) => Lasting): void => {
    const choices = (key: string, names: readonly string[]): null => {
      if (found.has(key) || names.length < 2) return null;
      const kernels = (name: string): readonly KernelCall[] =>
        kernelsOf(op, { ...target, choices: (k) => (k === key ? name : null) }, lasts);
      found.set(key, { key, names, op, kernels });
      return null;
    };
    kernelsOf(op, { ...target, choices }, lasts);
  };
  for (const e of entries)
    if (wanted.has(e.name))
      func(
        e.func,
        constantParams(e).map((c) => (c ? 'always' : null)),
      );
  return [...found.values()];
}

const madeIn = (r: Region): ReadonlySet<Value> => new Set([...r.params, ...r.ops.flatMap((op) => op.results)]);
