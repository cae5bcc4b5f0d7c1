/** Tensors as `console.log` shows them: what they are and hold, not the objects they are made of. */
import type { Elem } from './artifact.ts';
import { decode, widthOf } from './elem.ts';
import type { Storage } from './storage.ts';

/** Node asks an object for its text under this name; elsewhere nobody does. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** Of a longer dim the first and the last three are shown, as NumPy and PyTorch do. */
const EDGE = 3;

interface Shown {
  readonly dtype: Elem;
  readonly shape: readonly number[];
  readonly storage: Storage;
}

/** `f32[2, 2] [[1, 2], [3, 4]]`; without the values where only the device has them. */
export function tensorText({ dtype, shape, storage }: Shown): string {
  const type = `${dtype}[${shape.join(', ')}]`;
  return storage.visible ? `${type} ${valuesText(dtype, shape, storage)}` : type;
}

function valuesText(dtype: Elem, shape: readonly number[], storage: Storage): string {
  const width = widthOf(dtype);
  const counts = shape.map((_, d) => shape.slice(d + 1).reduce((a, b) => a * b, 1));
  const numbers = (from: number, count: number): string[] =>
    count === 0 ? [] : Array.from(decode(storage.read(from * width, count * width), dtype), numberText);
  const part = (d: number, from: number): string => {
    const size = shape[d];
    if (size === undefined) return numbers(from, 1)[0] ?? '';
    const some = (start: number, count: number): string[] =>
      d === shape.length - 1
        ? numbers(from + start, count)
        : Array.from({ length: count }, (_, i) => part(d + 1, from + (start + i) * counts[d]!));
    const items = size <= 2 * EDGE ? some(0, size) : [...some(0, EDGE), '...', ...some(size - EDGE, EDGE)];
    return `[${items.join(', ')}]`;
  };
  return part(0, 0);
}

/** Six digits tell what a number is; 16-bit and 32-bit floats have no more than nine. */
const numberText = (x: number): string => String(Number.isInteger(x) ? x : Number(x.toPrecision(6)));
