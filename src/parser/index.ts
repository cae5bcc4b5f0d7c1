/** The public face of the parser. */
export { parse } from './parse.ts';
export { KEYWORDS } from './keywords.ts';
export type * from './ast.ts';
