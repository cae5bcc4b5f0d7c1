/** Class targets and row numbers among a call's arguments: a value that names nothing is refused before anything runs. */
import type { IndexRange } from './artifact.ts';
import { IndexError } from './errors.ts';
import { evaluateSize, type Binding } from './sizes.ts';
import type { Tensor } from './tensor.ts';

/**
 * `what` names the argument: `LeNet.loss: y`. Throws IndexError. Indices that were computed on a GPU are not looked at: the
 * call would wait for them; a kernel reads NaN (or 0) for a row that there is not.
 */
export function checkIndices(what: string, t: Tensor, ranges: readonly IndexRange[], binding: Binding): void {
  if (!t.storage.visible) return;
  const bytes = t.storage.read(0, t.nbytes);
  const values = new Int32Array(bytes.buffer, bytes.byteOffset, t.size);
  for (const { of, below, except } of ranges) {
    const limit = evaluateSize(below, binding);
    for (let i = 0; i < values.length; i++) {
      const v = values[i]!;
      if ((v >= 0 && v < limit) || v === except) continue;
      const there = limit === 0 ? `there is no ${of}` : `the ${plural(of)} are 0 to ${limit - 1}`;
      const ignored = except === null ? '' : ` (${except} is ignored)`;
      throw new IndexError(`${what}${place(i, t.shape)} is ${v}; ${there}${ignored}`);
    }
  }
}

const plural = (of: IndexRange['of']): string => (of === 'class' ? 'classes' : 'rows');

function place(flat: number, shape: readonly number[]): string {
  const at: number[] = [];
  for (const n of [...shape].reverse()) {
    at.unshift(flat % n);
    flat = Math.floor(flat / n);
  }
  return at.length === 0 ? '' : `[${at.join(', ')}]`;
}
