/** What a rewrite rule of `simplify` is, and what it may look at. */
import type { Attrs, Op, Value } from '../../ir.ts';
import { sameShape } from '../../dim.ts';

/** Rules are data: each is tested by its name, on its own, for bit-equality. */
export interface Rule {
  readonly name: string;
  /** Why the result is the same to the last bit (NaN payloads aside). */
  readonly why: string;
  readonly kinds: readonly string[];
  /** The values that replace the op's results, of the same types; null where the rule does not apply. */
  readonly rewrite: (op: Op, at: Scope) => readonly Value[] | Value | null;
  /** Only when gradients have been taken: before, the op still has something to say. */
  readonly late?: true;
}

export interface Scope {
  /** The op that made a value; undefined for parameters. */
  producer(v: Value): Op | undefined;
  /** Makes an op, simplified in turn, and gives its single result. */
  emit(kind: string, operands: readonly Value[], attrs?: Attrs): Value;
}

export const isFloat = (v: Value): boolean => v.type.elem === 'f32' || v.type.elem === 'f16' || v.type.elem === 'bf16';

export const sameType = (a: Value, b: Value): boolean =>
  a.type.elem === b.type.elem && sameShape(a.type.shape, b.type.shape);

/** The op that made the value, where it is of that kind. */
export function madeBy(at: Scope, v: Value | undefined, kind: string): Op | null {
  const op = v && at.producer(v);
  return op?.kind === kind ? op : null;
}

/** The number that every element is, or null: constants, also behind views. */
export function uniform(at: Scope, v: Value): number | null {
  let op = at.producer(v);
  while (op && (op.kind === 'broadcast_to' || op.kind === 'reshape')) op = at.producer(op.operands[0]!);
  const x = op?.kind === 'constant' ? op.attrs['value'] : null;
  return typeof x === 'number' ? x : null;
}

export const is = (at: Scope, v: Value, x: number): boolean => Object.is(uniform(at, v), x);
