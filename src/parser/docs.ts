/** Which `///` lines belong to which declaration. */
import type { IToken } from 'chevrotain';
import * as t from './tokens.ts';

/** Offset of a token → the text of the run of doc lines right above it. A blank line starts a new run. */
export function attachDocs(docs: readonly IToken[], tokens: readonly IToken[], text: string): Map<number, string> {
  const attached = new Map<number, string>();
  let lines: string[] = [];
  let next = 0;
  docs.forEach((doc, i) => {
    lines.push(doc.image.slice(3).replace(/^ /, '').trimEnd());
    const following = docs[i + 1];
    if (following && /^(?:\r\n|\n|\r)[ \t]*$/.test(text.slice(t.endOf(doc), following.startOffset))) return;
    while (next < tokens.length && (tokens[next]?.startOffset ?? 0) < doc.startOffset) next++;
    while (tokens[next]?.tokenType === t.Newline) next++;
    const target = tokens[next];
    if (target) attached.set(target.startOffset, lines.join('\n'));
    lines = [];
  });
  return attached;
}
