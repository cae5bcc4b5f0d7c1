/** Rules for ops that move elements: nothing is computed, so nothing can round. */
import { add, mul, sameShape, sub, type Dim } from '../../dim.ts';
import type { Op, Value } from '../../ir.ts';
import { isDims } from '../../symbols.ts';
import { madeBy, sameType, type Rule } from './rule.ts';

const numbers = (op: Op, name: string): readonly number[] => {
  const a = op.attrs[name];
  return Array.isArray(a) ? a.filter((x) => typeof x === 'number') : [];
};
const dims = (op: Op, name: string): readonly Dim[] => {
  const a = op.attrs[name];
  return isDims(a) ? a : [];
};
const isZero = (d: Dim): boolean => d.value === 0;
const identity = (op: Op): Value | null => (sameType(op.operands[0]!, op.results[0]!) ? op.operands[0]! : null);

export const MOVEMENT: readonly Rule[] = [
  {
    name: 'reshape-same',
    why: 'a shape that a tensor has already, or that it gets by no stretching',
    kinds: ['reshape', 'broadcast_to'],
    rewrite: identity,
  },
  {
    name: 'reshape-reshape',
    why: 'row-major order is the same through every shape between',
    kinds: ['reshape'],
    rewrite: (op, at) => {
      const inner = madeBy(at, op.operands[0], 'reshape');
      return inner && at.emit('reshape', [inner.operands[0]!], op.attrs);
    },
  },
  {
    name: 'reshape-broadcast',
    why: 'leading axes of size 1 are the ones that a broadcast may lack',
    kinds: ['broadcast_to'],
    rewrite: (op, at) => {
      const inner = madeBy(at, op.operands[0], 'reshape');
      const source = inner?.operands[0];
      if (!inner || !source) return null;
      const [from, to] = [source.type.shape, inner.results[0]!.type.shape];
      const lead = to.length - from.length;
      const padded = lead > 0 && to.slice(0, lead).every((d) => d.value === 1) && sameShape(to.slice(lead), from);
      return padded ? at.emit('broadcast_to', [source], op.attrs) : null;
    },
  },
  {
    name: 'broadcast-broadcast',
    why: 'what is repeated twice is repeated once, to the last shape',
    kinds: ['broadcast_to'],
    rewrite: (op, at) => {
      const inner = madeBy(at, op.operands[0], 'broadcast_to');
      return inner && at.emit('broadcast_to', [inner.operands[0]!], op.attrs);
    },
  },
  {
    name: 'transpose-transpose',
    why: 'two permutations are one',
    kinds: ['transpose'],
    rewrite: (op, at) => {
      const inner = madeBy(at, op.operands[0], 'transpose');
      if (!inner) return null;
      const first = numbers(inner, 'perm');
      return at.emit('transpose', [inner.operands[0]!], { perm: numbers(op, 'perm').map((p) => first[p]!) });
    },
  },
  {
    name: 'transpose-of-ones',
    why: 'when only axes of size 1 change their place, the row-major order stays: a reshape, which costs nothing',
    kinds: ['transpose'],
    rewrite: (op, at) => {
      const x = op.operands[0]!;
      const moving = numbers(op, 'perm').filter((p) => x.type.shape[p]!.value !== 1);
      if (moving.some((p, i) => i > 0 && p < moving[i - 1]!)) return null;
      return sameType(x, op.results[0]!) ? x : at.emit('reshape', [x], { shape: op.results[0]!.type.shape });
    },
  },
  {
    name: 'slice-whole',
    why: 'a range over everything',
    kinds: ['slice'],
    rewrite: (op) =>
      dims(op, 'start').every(isZero) && numbers(op, 'step').every((s) => s === 1) ? identity(op) : null,
  },
  {
    name: 'slice-slice',
    why: 'ranges of ranges are ranges',
    kinds: ['slice'],
    rewrite: (op, at) => {
      const inner = madeBy(at, op.operands[0], 'slice');
      if (!inner) return null;
      const [start, step] = [dims(inner, 'start'), numbers(inner, 'step')];
      // An empty range of a stepped one would stop before its start.
      if (dims(op, 'stop').some((d, i) => step[i] !== 1 && isZero(d))) return null;
      const place = (d: Dim, i: number): Dim => add(start[i]!, mul(step[i]!, d));
      // The last element taken decides where the range stops, and never lies beyond the inner range.
      const stop = dims(op, 'stop').map((d, i) => (step[i] === 1 ? place(d, i) : sub(place(d, i), step[i]! - 1)));
      return at.emit('slice', [inner.operands[0]!], {
        start: dims(op, 'start').map(place),
        stop,
        step: numbers(op, 'step').map((s, i) => s * step[i]!),
      });
    },
  },
  {
    name: 'pad-nothing',
    why: 'nothing is added on any side',
    kinds: ['pad'],
    rewrite: (op) =>
      [...dims(op, 'low'), ...dims(op, 'high')].every(isZero) && numbers(op, 'gap').every((g) => g === 0)
        ? identity(op)
        : null,
  },
  {
    name: 'flip-nothing',
    why: 'no axis, or only axes of size 1, are reversed',
    kinds: ['flip'],
    rewrite: (op) => {
      const { shape } = op.operands[0]!.type;
      return numbers(op, 'axes').every((a) => shape[a]!.value === 1) ? op.operands[0]! : null;
    },
  },
  {
    name: 'flip-flip',
    why: 'reversing the same axes twice restores them',
    kinds: ['flip'],
    rewrite: (op, at) => {
      const inner = madeBy(at, op.operands[0], 'flip');
      const [a, b] = [numbers(op, 'axes'), inner ? numbers(inner, 'axes') : []];
      return inner && a.length === b.length && a.every((x) => b.includes(x)) ? inner.operands[0]! : null;
    },
  },
  {
    name: 'concat-one',
    why: 'one part is the whole',
    kinds: ['concat'],
    rewrite: (op) => (op.operands.length === 1 ? op.operands[0]! : null),
  },
  {
    name: 'concat-concat',
    why: 'parts of parts along the same axis are parts',
    kinds: ['concat'],
    rewrite: (op, at) => {
      const parts = op.operands.flatMap((v) => {
        const inner = madeBy(at, v, 'concat');
        return inner && inner.attrs['axis'] === op.attrs['axis'] ? inner.operands : [v];
      });
      return parts.length > op.operands.length ? at.emit('concat', parts, op.attrs) : null;
    },
  },
  {
    name: 'reduce-nothing',
    why: 'over no axes there is one element to each result; a sum starts from 0, which would turn -0 into 0',
    kinds: ['max', 'min', 'prod'],
    rewrite: (op) => (numbers(op, 'axes').length === 0 ? op.operands[0]! : null),
  },
  {
    name: 'reduce-ones',
    why: 'the greatest of one element is that element',
    kinds: ['max', 'min'],
    rewrite: (op, at) => {
      const x = op.operands[0]!;
      const ones = numbers(op, 'axes').every((a) => x.type.shape[a]!.value === 1);
      return ones ? at.emit('reshape', [x], { shape: op.results[0]!.type.shape }) : null;
    },
  },
];
