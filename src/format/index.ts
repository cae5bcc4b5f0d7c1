/** The Prettier plugin: `prettier --plugin netwright/prettier` formats `.net` files. */
import type { AstPath, Parser, Printer, SupportLanguage } from 'prettier';
import { DiagnosticBag, Lines } from '../diagnostics/index.ts';
import { parse } from '../parser/index.ts';
import { placeComment, type PlacedComment } from './comments.ts';
import { shapesOf } from './declarations.ts';
import { printShape } from './print.ts';
import type { Comment, Root, Shape } from './tree.ts';

export const languages: SupportLanguage[] = [
  { name: 'Netwright', parsers: ['netwright'], extensions: ['.net'], vscodeLanguageIds: ['netwright'] },
];

/** The language has one width, whatever Prettier's is for other files. */
export const defaultOptions = { printWidth: 120, tabWidth: 2 };

const parser: Parser<Root | Shape | Comment> = {
  astFormat: 'netwright',
  locStart: ({ span }) => span.start,
  locEnd: ({ span }) => span.end,
  parse(text) {
    const bag = new DiagnosticBag();
    const file = parse(text, '', bag);
    const fault = bag.all.find(({ severity }) => severity === 'error');
    if (fault) throw syntaxError(`${fault.code} ${fault.message}`, text, fault.span.start);
    return shapesOf(file, text);
  },
};

/** Prettier gives the places along with the comment; its types say `any`. */
const place = (comment: PlacedComment, _text: string, _options: object, root: Shape): boolean =>
  placeComment(comment, root);

const printer: Printer<Shape> = {
  print: printShape,
  printComment: (path: AstPath) => (path.node as Comment).value,
  canAttachComment: (node: unknown) =>
    typeof node === 'object' && node !== null && 'kind' in node && node.kind !== 'comment',
  handleComments: {
    ownLine: place,
    endOfLine: place,
    remaining: place,
  },
};

export const parsers = { netwright: parser };
export const printers = { netwright: printer };

/** In the form in which Prettier shows where it is. */
function syntaxError(message: string, text: string, offset: number): SyntaxError {
  const { line, column } = new Lines(text).position(offset);
  return Object.assign(new SyntaxError(message), { loc: { start: { line, column } } });
}
