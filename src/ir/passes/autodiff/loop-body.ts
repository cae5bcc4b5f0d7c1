/** One iteration of a loop backwards, which `for` and `while` share: its body over the carries as the iteration found them, differentiated. */
import { value } from '../../builder.ts';
import type { Op, Region, Value } from '../../ir.ts';
import { activeCaptures } from './control.ts';
import { copyOps } from './forward.ts';
import type { Reverse } from './reverse.ts';

export interface Backwards {
  /** The body again, and its results. */
  readonly ops: readonly Op[];
  readonly results: readonly Value[];
  /** Values of the body by those of the copy. */
  readonly original: ReadonlyMap<Value, Value>;
  /** The carries that a gradient flows through, by number, and the gradients that come in. */
  readonly from: readonly number[];
  readonly cotangents: readonly Value[];
  /** Holds what the backward emits, and the gradients that go out. */
  readonly sub: Reverse;
  /** Values from outside the loop that get a gradient. */
  readonly captured: readonly Value[];
}

/** `known`: what else of the body's parameters has another value in the copy. */
export function bodyBackwards(
  rev: Reverse,
  body: Region,
  carries: readonly Value[],
  again: readonly Value[],
  known: readonly (readonly [Value, Value])[] = [],
): Backwards {
  const map = new Map<Value, Value>([...known, ...carries.map((c, k) => [c, again[k]!] as const)]);
  const from = carries.flatMap((c, k) => (rev.active.has(c) ? [k] : []));
  for (const k of from) rev.active.add(again[k]!);
  const ops: Op[] = [];
  copyOps(body.ops, map, ops);
  rev.variants.activity.mark(ops, rev.active);
  const results = body.results.map((v) => map.get(v) ?? v);

  const sub = rev.inner();
  const cotangents = from.map((k) => value(carries[k]!.type, `d_${carries[k]!.hint ?? 'carry'}`));
  from.forEach((k, n) => sub.seed(results[k]!, () => cotangents[n]!));
  sub.run(ops);
  const captured = activeCaptures(rev, [body]).filter((v) => sub.grads.has(v));
  return { ops, results, original: new Map([...map].map(([o, copy]) => [copy, o])), from, cotangents, sub, captured };
}
