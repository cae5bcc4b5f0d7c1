/** How many terminal columns a piece of source takes, so that carets stand under what they mean. */

/** One character as it will be printed. */
export interface Cell {
  readonly text: string;
  readonly width: number;
  /** UTF-16 units of source that it stands for. */
  readonly units: number;
}

const TAB = 4;

/** Tabs become spaces; what would move the cursor, reorder text or drive the terminal becomes a visible stand-in. */
export function cells(line: string): Cell[] {
  const out: Cell[] = [];
  let column = 0;
  for (const char of line) {
    const cell = { ...shown(char, column), units: char.length };
    out.push(cell);
    column += cell.width;
  }
  return out;
}

function shown(char: string, column: number): { text: string; width: number } {
  if (char === '\t') {
    const width = TAB - (column % TAB);
    return { text: ' '.repeat(width), width };
  }
  if (UNPRINTABLE.test(char)) return { text: '\ufffd', width: 1 };
  if (ZERO_WIDTH.test(char)) return { text: char, width: 0 };
  return { text: char, width: WIDE.test(char) ? 2 : 1 };
}

/** Controls, lone surrogates, and the marks that turn the direction of text. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/u;
const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;
/** The East Asian wide blocks and the emoji, coarsely (Unicode's EastAsianWidth has the fine print). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** `text` with nothing in it that could drive a terminal. Newlines and tabs become spaces. */
export function printable(text: string): string {
  return text.replace(/[\r\n\t]+/g, ' ').replace(new RegExp(UNPRINTABLE.source, 'gu'), '\ufffd');
}
