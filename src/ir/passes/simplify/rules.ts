/** All rules of `simplify` in the order in which they are tried. */
import { ARITHMETIC } from './arithmetic.ts';
import { CONTRACTIONS } from './contractions.ts';
import { MOVEMENT } from './movement.ts';
import type { Rule } from './rule.ts';

export const RULES: readonly Rule[] = [...ARITHMETIC, ...MOVEMENT, ...CONTRACTIONS];

/** By kind of op. */
export function rulesByKind(rules: readonly Rule[]): ReadonlyMap<string, readonly Rule[]> {
  const map = new Map<string, Rule[]>();
  for (const r of rules) for (const k of r.kinds) map.set(k, [...(map.get(k) ?? []), r]);
  return map;
}
