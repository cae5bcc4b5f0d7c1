/** Rows about the order of elements along an axis: running sums, linear recurrences, sorting. */
import type { IrBuilder } from '../builder.ts';
import { add, dim } from '../dim.ts';
import type { Op, Value } from '../ir.ts';
import { ndarray, sizeOf, type NdArray } from '../ndarray.ts';
import { flag, num } from './attrs.ts';
import type { OpDef, Reference } from './def.ts';
import { defineOp } from './define.ts';
import { cast, math } from './gradients.ts';
import { wrap } from './pointwise.ts';
import { axesFault, fault, text } from './shapes.ts';

/** Position of element t of the line (p, q) in memory. */
type At = (t: number) => number;

/** Visits each line along an axis, from its first element to its last. */
function eachLine(x: NdArray, axis: number, visit: (at: At, n: number) => void): void {
  const n = x.shape[axis]!;
  const after = sizeOf(x.shape.slice(axis + 1));
  for (let p = 0; p < sizeOf(x.shape.slice(0, axis)); p++)
    for (let q = 0; q < after; q++) visit((t) => (p * n + t) * after + q, n);
}

/** y[t] = step(t, y[t - 1]), where -1 is after the end of a line in reverse. */
const scan =
  (step: (inputs: readonly NdArray[], at: number, before: number | null) => number): Reference =>
  (inputs, op, [type]) => {
    const out = ndarray(type!.elem, type!.shape);
    const reverse = flag(op.attrs, 'reverse');
    eachLine(out, num(op.attrs, 'axis'), (at, n) => {
      let y: number | null = null;
      for (let i = 0; i < n; i++) {
        const t = at(reverse ? n - 1 - i : i);
        y = wrap(type!.elem, step(inputs, t, y));
        out.data[t] = y;
      }
    });
    return [out];
  };

/** x moved by one along the axis, 0 where nothing comes from: `later` gives each place what follows it. */
function neighbour(b: IrBuilder, x: Value, axis: number, later: boolean): Value {
  const { shape } = x.type;
  const one = shape.map((_, i) => dim(i === axis ? 1 : 0));
  const none = shape.map(() => dim(0));
  const padded = b.one('pad', [x], { low: later ? none : one, high: later ? one : none, value: 0 });
  const start = later ? one : none;
  const stop = shape.map((d, i) => add(d, start[i]!));
  return b.one('slice', [padded], { start, stop, step: shape.map(() => 1) });
}

const LINE = { axis: { type: 'int' }, reverse: { type: 'bool', default: false } } as const;
const turned = (op: Op) => ({ axis: num(op.attrs, 'axis'), reverse: !flag(op.attrs, 'reverse') });

/** Ascending; NaN is the largest, and equals keep their order in either direction. */
const compare = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : a - b || 0;

/** The greatest or least element so far. */
function extremum(word: string, name: string, ref: (a: number, b: number) => number): OpDef {
  return defineOp({
    doc: `The ${word} of x[0] to x[t] along an axis, with \`reverse\` of x[t] to the end; NaN from the first NaN on. \`torch.${name}\`.`,
    operands: [{ name: 'x', elem: 'number' }],
    attrs: LINE,
    shape: ([x], attrs) => axesFault([num(attrs, 'axis')], x!.shape) ?? [x!],
    // An element gets what arrives from its place up to the next that is as great: a sum that starts anew there.
    grad: (b, op, [dy]) => {
      if (!dy) return [null];
      const m = math(b);
      const { axis, reverse } = turned(op);
      const x = op.operands[0]!;
      const own = m.or(m.eq(x, op.results[0]!), b.one('is_nan', [x]));
      const goesOn = neighbour(b, cast(b, b.one('not', [own]), dy.type.elem), axis, reverse);
      return [m.select(own, b.one('recurrence', [goesOn, dy], { axis, reverse }), 0)];
    },
    lower: { kind: 'family', family: name },
    reference: scan(([x], t, before) => (before === null ? x!.data[t]! : ref(before, x!.data[t]!))),
  });
}

export const lineOps = {
  cumsum: defineOp({
    doc: 'y[t] = x[0] + ... + x[t] along an axis, with `reverse` x[t] + ... to the end; integers wrap. `torch.cumsum`.',
    operands: [{ name: 'x', elem: 'number' }],
    attrs: LINE,
    shape: ([x], attrs) => axesFault([num(attrs, 'axis')], x!.shape) ?? [x!],
    grad: (b, op, [dy]) => [dy ? b.one('cumsum', [dy], turned(op)) : null],
    lower: { kind: 'family', family: 'cumsum' },
    reference: scan(([x], t, before) => (before === null ? x!.data[t]! : before + x!.data[t]!)),
  }),
  cummax: extremum('greatest', 'cummax', Math.max),
  cummin: extremum('least', 'cummin', Math.min),
  recurrence: defineOp({
    doc: 'y[t] = a[t] y[t - 1] + x[t] along an axis, y[0] = x[0]; with `reverse` from the end. Running products, moving averages and state space models are made of it.',
    operands: [
      { name: 'a', elem: 'float' },
      { name: 'x', elem: 'same' },
    ],
    attrs: LINE,
    shape: ([a, x], attrs, ctx) => {
      const wrong = axesFault([num(attrs, 'axis')], x!.shape);
      if (wrong) return wrong;
      const what = `the factors ${text(a!.shape)} and the terms ${text(x!.shape)} must have one shape`;
      const fits = a!.shape.length === x!.shape.length && a!.shape.every((d, i) => ctx.equal(d, x!.shape[i]!, what));
      return fits ? [x!] : fault(what, 0);
    },
    // What arrives at y[t] also goes on to y[t + 1]: the same recurrence, the other way round.
    grad: (b, op, [dy]) => {
      if (!dy) return [null, null];
      const { axis, reverse } = turned(op);
      const dx = b.one('recurrence', [neighbour(b, op.operands[0]!, axis, reverse), dy], { axis, reverse });
      const before = neighbour(b, op.results[0]!, axis, !reverse);
      return [math(b).mul(dx, before), dx];
    },
    lower: { kind: 'family', family: 'recurrence' },
    reference: scan(([a, x], t, before) => (before === null ? 0 : a!.data[t]! * before) + x!.data[t]!),
  }),
  argsort: defineOp({
    doc: 'The positions of the elements along an axis in ascending (or descending) order. Equals keep their order; NaN is the largest. `torch.argsort(stable=True)`.',
    operands: [{ name: 'x', elem: 'number' }],
    attrs: { axis: { type: 'int' }, descending: { type: 'bool', default: false } },
    shape: ([x], attrs) => axesFault([num(attrs, 'axis')], x!.shape) ?? [{ elem: 'i32', shape: x!.shape }],
    grad: { notDifferentiable: 'a position is an integer' },
    lower: { kind: 'family', family: 'argsort' },
    reference: ([x], op, [type]) => {
      const out = ndarray('i32', type!.shape);
      const sign = flag(op.attrs, 'descending') ? -1 : 1;
      eachLine(x!, num(op.attrs, 'axis'), (at, n) => {
        const order = Array.from({ length: n }, (_, t) => t);
        order.sort((i, j) => sign * compare(x!.data[at(i)]!, x!.data[at(j)]!));
        order.forEach((i, t) => (out.data[at(t)] = i));
      });
      return [out];
    },
  }),
} satisfies Record<string, OpDef>;
