/** A text as samples for a language model: its UTF-8 bytes are the tokens, so that any text is read and any answer can be printed. */
import { DataError, type Column } from './dataset.ts';

/** Columns `x` and `y` i32[N, window], side by side through the text: y is x one byte later. What is left at the end is not used. */
export function readText(bytes: Uint8Array, window: number, source: string): Column[] {
  const count = Math.floor((bytes.length - 1) / window);
  if (count < 1)
    throw new DataError(
      source,
      `it has ${bytes.length} bytes, and a sample takes ${window + 1}`,
      'give a longer text, or a smaller --window',
    );
  const column = (name: string, from: number): Column => ({
    name,
    shape: [count, window],
    data: Int32Array.from(bytes.subarray(from, from + count * window)),
  });
  return [column('x', 0), column('y', 1)];
}
