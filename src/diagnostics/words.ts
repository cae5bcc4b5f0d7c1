/** Small pieces of English that messages share. */

/** "`a`", "`a` or `b`", "`a`, `b` or `c`". */
export function listOf(items: readonly string[], joiner: 'or' | 'and' = 'or'): string {
  const quoted = items.map((item) => `\`${item}\``);
  const last = quoted.pop();
  if (last === undefined) return 'nothing';
  return quoted.length === 0 ? last : `${quoted.join(', ')} ${joiner} ${last}`;
}

/** "1 argument", "3 arguments". */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}

/** "a float", "an int". */
export function a(noun: string): string {
  return `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;
}

/** "no arguments", "at most 1 argument". */
export function atMost(n: number): string {
  return n === 0 ? 'no arguments' : `at most ${count(n, 'argument')}`;
}
