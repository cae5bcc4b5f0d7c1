/** Text to syntax tree. Never throws: what is wrong goes to the bag, and the rest of the file is read all the same. */
import type { IToken } from 'chevrotain';
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import type { File } from './ast.ts';
import type { Job } from './base.ts';
import { balance } from './brackets.ts';
import { attachDocs } from './docs.ts';
import { explain } from './explain.ts';
import { NetParser } from './grammar.ts';
import { markKeywords } from './keywords.ts';
import { layout } from './layout.ts';
import { lex, whole, type Range } from './lexer.ts';

/** Chevrotain analyses the grammar when a parser is made, which costs more than most files: one serves them all. */
let parser: NetParser | null = null;

/** `file` names the text in spans; nothing is read from it. With a range, only that piece of the text is a file's. */
export function parse(text: string, file: string, bag: DiagnosticBag, range: Range = whole(text)): File {
  parser ??= new NetParser();
  const { tokens: raw, docs } = lex(text, file, bag, range);
  markKeywords(raw);
  const tokens = layout(balance(raw, text, file, bag), (minus) =>
    bag.report('continued_line', {}, { file, start: minus.startOffset, end: minus.startOffset + 1 }),
  );
  const faults: { readonly token: IToken; readonly expected: string }[] = [];
  const job: Job = {
    file,
    bag,
    docs: attachDocs(docs, raw, text),
    fault: (token, expected) => faults.push({ token, expected }),
  };
  const tree = parser.parse(tokens, text, job);
  if (!parser.gaveUp) {
    for (const error of parser.errors) faults.push({ token: error.token, expected: error.message });
    explain(faults, tokens, { file, length: text.length, bag });
  }
  return tree;
}
