/** Offsets to lines and columns. Columns count UTF-16 units, as editors and the language server protocol do. */

export interface Position {
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export class Lines {
  readonly text: string;
  readonly #starts: number[] = [0];

  constructor(text: string) {
    this.text = text;
    for (const { index, 0: newline } of text.matchAll(/\r\n|\n|\r/g)) this.#starts.push(index + newline.length);
  }

  get count(): number {
    return this.#starts.length;
  }

  position(offset: number): Position {
    const clamped = Math.max(0, Math.min(offset, this.text.length));
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (this.startOf(mid + 1) <= clamped) low = mid;
      else high = mid - 1;
    }
    return { line: low + 1, column: clamped - this.startOf(low + 1) + 1 };
  }

  /** Offset of the first unit of `line`, from 1. */
  startOf(line: number): number {
    return this.#starts[line - 1] ?? this.text.length;
  }

  /** The text of `line` without its newline. */
  line(line: number): string {
    const next = this.#starts[line] ?? this.text.length;
    return this.text.slice(this.startOf(line), next).replace(/[\r\n]+$/, '');
  }
}
