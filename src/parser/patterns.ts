/** Reading patterns: which names an assignment or the head of a `for` brings. */
import type { Ident, Pattern } from './ast.ts';

/** The names that a pattern binds, from left to right. */
export function namesIn(p: Pattern): readonly Ident[] {
  return 'items' in p ? p.items.flatMap(namesIn) : [p];
}

/** As it is written. */
export function patternText(p: Pattern): string {
  if (!('items' in p)) return p.name;
  return `(${p.items.map(patternText).join(', ')}${p.items.length === 1 ? ',' : ''})`;
}
