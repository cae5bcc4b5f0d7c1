/**
 * Gradients of what the body of a loop captures, left for after the backward loop. A sum over iterations of products that
 * each contract rows is one product over the rows of all iterations: one large product in place of many small ones that
 * each read and write the whole sum. The gradient of a tensor whose rows the iterations take one by one is the rows'
 * gradients side by side. The price is a tape of what the products read.
 */
import type { IrBuilder } from '../../builder.ts';
import type { Dim } from '../../dim.ts';
import { compare, mul } from '../../dim.ts';
import type { Op, Value } from '../../ir.ts';

/** What an iteration gives, and what makes the sum of it over all iterations: `all` is the tape of one of `reads`. */
export interface Left {
  readonly reads: readonly Value[];
  readonly make: (b: IrBuilder, all: (v: Value) => Value) => Value;
  /** Worth it only where the tape is there for something else. */
  readonly weak: boolean;
}

export interface Iteration {
  /** Ops of the backward body. */
  readonly ops: readonly Op[];
  readonly position: Value;
  readonly count: Dim;
  /** Whether a value is another in each iteration. */
  readonly varies: (v: Value) => boolean;
}

/** Null where the gradient `g` has to be added up in the loop. */
export function leftForAfter(g: Value, it: Iteration): Left | null {
  const op = it.ops.findLast((o) => o.results[0] === g);
  const [a, b] = op?.operands ?? [];
  switch (op?.kind) {
    case 'add': {
      const [x, y] = [leftForAfter(a!, it), leftForAfter(b!, it)];
      if (!x || !y || x.weak !== y.weak) return null;
      return {
        reads: [...x.reads, ...y.reads],
        make: (to, all) => to.one('add', [x.make(to, all), y.make(to, all)]),
        weak: x.weak,
      };
    }
    case 'matmul': {
      const contractsRows = op.attrs['transpose_a'] === true && op.attrs['transpose_b'] !== true;
      if (!contractsRows || op.operands.some((v) => v.type.shape.length !== 2 || !it.varies(v))) return null;
      return {
        reads: op.operands,
        make: (to, all) => to.one('matmul', [rows(to, all(a!)), rows(to, all(b!))], op.attrs),
        weak: false,
      };
    }
    case 'scatter_add': {
      const whole = op.attrs['axis'] === 0 && compare(g.type.shape[0]!, it.count) === 'equal';
      if (!whole || a !== it.position || !it.varies(b!)) return null;
      return { reads: [b!], make: (_, all) => all(b!), weak: false };
    }
    case 'sum': {
      const axes = op.attrs['axes'];
      const overRows = Array.isArray(axes) && axes.join() === '0' && op.attrs['keepdims'] !== true;
      if (!overRows || a!.type.shape.length !== 2 || !it.varies(a!)) return null;
      return { reads: [a!], make: (to, all) => to.one('sum', [rows(to, all(a!))], op.attrs), weak: true };
    }
    default:
      return null;
  }
}

/** [count, rows, columns] as [count * rows, columns]. */
function rows(b: IrBuilder, tape: Value): Value {
  const [n, r, c] = tape.type.shape as readonly [Dim, Dim, Dim];
  return b.one('reshape', [tape], { shape: [mul(n, r), c] });
}
