/** Shape arithmetic that the rows share: broadcasting, reduced axes, windows that slide over an axis. */
import type { Dim } from '../dim.ts';
import { add, dim, div, min, mul, sub } from '../dim.ts';
import type { TensorType } from '../ir.ts';
import type { ShapeContext, ShapeFault } from './def.ts';

export const fault = (text: string, operand: number | null = null): ShapeFault => ({ fault: text, operand });
export const isFault = (x: object): x is ShapeFault => 'fault' in x;
export const text = (shape: readonly Dim[]): string => `[${shape.join(', ')}]`;
export const isOne = (d: Dim): boolean => d.value === 1;

/** NumPy's rule, but only missing leading dims and literal ones stretch. */
export function broadcast(types: readonly TensorType[], ctx: ShapeContext): readonly Dim[] | ShapeFault {
  return broadcastShapes(
    types.map((t) => t.shape),
    ctx,
  );
}

export function broadcastShapes(shapes: readonly (readonly Dim[])[], ctx: ShapeContext): readonly Dim[] | ShapeFault {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    let d: Dim = dim(1);
    for (let k = 0; k < shapes.length; k++) {
      const s = shapes[k]!;
      const e = s[i - rank + s.length];
      if (e === undefined || isOne(e)) continue;
      if (isOne(d)) d = e;
      else if (d.key !== e.key) {
        const what = `shapes ${shapes.map(text).join(' and ')} do not fit: ${d} against ${e} in axis ${i}; only a size of 1 stretches`;
        if (!ctx.equal(d, e, what)) return fault(what, k);
        if (d.value === null && e.value !== null) d = e;
      }
    }
    out.push(d);
  }
  return out;
}

/** Faults unless every axis exists and occurs once. */
export function axesFault(axes: readonly number[], shape: readonly Dim[]): ShapeFault | null {
  for (const a of axes) {
    if (!Number.isInteger(a) || a < 0 || a >= shape.length) {
      return fault(`there is no axis ${a} in a tensor of shape ${text(shape)}`, 0);
    }
  }
  return new Set(axes).size === axes.length ? null : fault(`an axis is named twice in (${axes.join(', ')})`, 0);
}

/** The shape after reducing `axes`: they become 1 or go. */
export function reduced(shape: readonly Dim[], axes: readonly number[], keepdims: boolean): readonly Dim[] {
  return keepdims ? shape.map((d, i) => (axes.includes(i) ? dim(1) : d)) : shape.filter((_, i) => !axes.includes(i));
}

export interface Window {
  readonly kernel: Dim;
  readonly stride: number;
  readonly before: number;
  readonly after: number;
  readonly dilation: number;
  /** Count windows that hang over the end (but start inside), as PyTorch's ceil_mode. */
  readonly ceil?: boolean;
}

/** How many places a window has on an axis of n elements. */
export function windows(n: Dim, w: Window): Dim {
  const room = sub(add(n, w.before + w.after), add(mul(w.dilation, sub(w.kernel, 1)), 1));
  if (!w.ceil) return add(div(room, w.stride), 1);
  // A window that starts in the padding after the end is left out: start <= n + before - 1.
  return add(min(div(add(room, w.stride - 1), w.stride), div(add(n, w.before - 1), w.stride)), 1);
}

/** Requires that the window fits at least once and that its numbers make sense. */
export function windowFault(n: Dim, w: Window, axis: string, ctx: ShapeContext): ShapeFault | null {
  if (w.stride < 1) return fault(`the stride must be at least 1, not ${w.stride}`);
  if (w.dilation < 1) return fault(`the dilation must be at least 1, not ${w.dilation}`);
  if (w.before < 0 || w.after < 0) return fault(`padding cannot be negative, but it is (${w.before}, ${w.after})`);
  if (w.kernel.value !== null && w.kernel.value < 1) return fault(`the kernel must be at least 1, not ${w.kernel}`);
  const span = add(mul(w.dilation, sub(w.kernel, 1)), 1);
  const padded = add(n, w.before + w.after);
  const what = `a window of ${span} does not fit into a ${axis} of ${padded} (padding included)`;
  return ctx.atLeast(padded, span, what) ? null : fault(what, 0);
}
