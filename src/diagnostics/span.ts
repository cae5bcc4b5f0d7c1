/** A place in a source file: what every node, IR op, kernel and diagnostic points at. */

/** Half-open range of UTF-16 offsets in `file` (a project-relative path, or `std/...`). Line and column come from the text. */
export interface Span {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** For what no file asked for; printed without a place. */
export const NO_SPAN: Span = { file: '', start: 0, end: 0 };
