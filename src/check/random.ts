/**
 * Random streams: every draw has a key of its own, the function's key folded with a hash of the inlined calls that lead to
 * it and its ordinal there. Assigned before any pass, so copying or removing work never changes a draw.
 */
import { hashWords } from '../ir/hash.ts';
import type { Value } from '../ir/ir.ts';
import type { Span } from '../parser/ast.ts';
import { originOf, type Cx } from './context.ts';
import { keyOf } from './tensor.ts';

/** A fresh key for a call of `name` here. */
export function streamKey(cx: Cx, name: string, span: Span): Value {
  const fn = cx.fn!;
  const site = callTrail(cx, name);
  fn.b.origin = originOf(cx, span);
  return fold(cx, keyOf(fn), site);
}

/** The trail of a call: unique within the function, and the same for both modes as long as earlier calls are. */
export function callTrail(cx: Cx, name: string): string {
  const fn = cx.fn;
  const step = `${cx.trail}/${name}`;
  if (!fn) return step;
  const n = fn.ordinals.get(step) ?? 0;
  fn.ordinals.set(step, n + 1);
  return `${step}#${n}`;
}

export function fold(cx: Cx, key: Value, tag: string): Value {
  return cx.fn!.b.one('fold_in', [key], { data: hashWords(tag)[0] | 0 });
}
