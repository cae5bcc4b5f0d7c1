/** How long operands stay as they are: parameters of a program that leaves them alone, and what is made of those alone, stay for good. */
import type { Op, Value } from '../ir/ir.ts';
import type { Lasting } from './call.ts';

/** Adds what an op makes of constants alone. What a call or control flow gives is not followed. */
export function spread(op: Op, constants: Set<Value>): void {
  const followed = op.kind === 'fusion' || (op.kind !== 'call' && op.regions.length === 0);
  if (followed && op.operands.length > 0 && op.operands.every((v) => constants.has(v)))
    for (const r of op.results) constants.add(r);
}

/** `changing`: what the loop around makes anew in each iteration; null where there is none. */
export function lasting(v: Value, constants: ReadonlySet<Value>, changing: ReadonlySet<Value> | null): Lasting {
  if (constants.has(v)) return 'always';
  return changing !== null && !changing.has(v) ? 'loop' : null;
}

/** A name for what is compiled for such operands. */
export const variant = (name: string, operands: readonly Lasting[]): string =>
  operands.some((x) => x !== null) ? `${name}#${operands.map((x) => x?.[0] ?? '-').join('')}` : name;
