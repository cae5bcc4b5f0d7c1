/**
 * The gradient of `while`. Nobody knows how often it will run, so its tape has a fixed number of places: it holds the carries
 * of every iteration that is a multiple of a stride, and when all places are taken the stride doubles, which frees every
 * second place. The backward goes from the last iteration to the first and computes the carries between two places again
 * (Griewank & Walther 2000 call it checkpointing; here the number of steps is not known). Up to PLACES iterations nothing
 * is computed twice but the body itself; memory never grows, so a training step stays one program that allocates nothing.
 */
import { IrBuilder, tensor, value } from '../../builder.ts';
import { dim } from '../../dim.ts';
import type { Op, Region, Value } from '../../ir.ts';
import { liveOps } from '../dce.ts';
import { forwardCopy } from './forward.ts';
import { bodyBackwards } from './loop-body.ts';
import { plus, zeros, type Reverse } from './reverse.ts';

export const PLACES = 64;

const I32 = tensor('i32', []);

/** What the forward leaves for the backward. */
interface Record {
  /** Of each carry: [PLACES, ...]. */
  readonly tapes: readonly Value[];
  /** The iteration that each place holds; -1 where none. */
  readonly held: Value;
  readonly stride: Value;
  /** Iterations that ran. */
  readonly count: Value;
}

/** Emits the backward loop; gives the forward loop that fills the tape, to stand in place of `op`. */
export function reverseWhile(rev: Reverse, op: Op, dys: readonly (Value | null)[]): Op[] {
  const body = op.regions[1]!;
  const carries = body.params;
  const record: Record = {
    tapes: carries.map((c) => value(tensor(c.type.elem, [dim(PLACES), ...c.type.shape]), 'tape')),
    held: value(tensor('i32', [dim(PLACES)]), 'held'),
    stride: value(I32, 'stride'),
    count: value(I32, 'count'),
  };
  const left = value(I32, 'left');
  const head = new IrBuilder(op.origin);
  const turn = head.one('sub', [left, head.constant(1, 'i32')]);
  const again = carriesAt(head, op, record, turn);

  const { ops, from, cotangents, sub, captured } = bodyBackwards(rev, body, carries, again);
  const sums = captured.map((v) => value(v.type, 'sum'));
  const results = [
    turn,
    ...from.map((k) => sub.grads.get(again[k]!) ?? zeros(sub.b, carries[k]!.type)),
    ...captured.map((v, n) => plus(sub.b, sums[n]!, sub.grads.get(v)!)),
  ];
  const params = [left, ...cotangents, ...sums];
  const region = { params, ops: liveOps([...head.ops, ...ops, ...sub.b.ops], results), results };
  const start = [
    record.count,
    ...from.map((k, n) => dys[k] ?? zeros(rev.b, cotangents[n]!.type)),
    ...sums.map((s) => zeros(rev.b, s.type)),
  ];
  const types = start.map((s) => s.type);
  const grads = rev.b.emitTyped('while', start, {}, types, [anyLeft(op, params), region]);
  from.forEach((k, n) => rev.accumulate(op.operands[k]!, grads[1 + n]));
  captured.forEach((v, n) => rev.accumulate(v, grads[1 + from.length + n]));
  return recorded(op, record);
}

/** (left, ...) -> left > 0 */
function anyLeft(op: Op, like: readonly Value[]): Region {
  const params = like.map((p) => value(p.type, p.hint));
  const b = new IrBuilder(op.origin);
  const more = b.one('gt', [params[0]!, b.constant(0, 'i32')]);
  return { params, ops: b.ops, results: [more] };
}

/** The carries as iteration `turn` found them: from the nearest place before it on, computed again. */
function carriesAt(b: IrBuilder, op: Op, record: Record, turn: Value): readonly Value[] {
  const first = b.one('mul', [b.one('div', [turn, record.stride]), record.stride]);
  const place = firstWhere(b, b.one('eq', [record.held, first]));
  const kept = record.tapes.map((t) => b.one('take', [t, place], { axis: 0 }));
  const body = forwardCopy(op.regions[1]!);
  const step = value(I32, 'step');
  const ahead = new IrBuilder(op.origin);
  const next = ahead.one('add', [step, ahead.constant(1, 'i32')]);
  const at = value(I32, 'step');
  const test = new IrBuilder(op.origin);
  const before = test.one('lt', [at, turn]);
  const cond = { params: [at, ...body.params.map((p) => value(p.type, p.hint))], ops: test.ops, results: [before] };
  const region = { params: [step, ...body.params], ops: [...body.ops, ...ahead.ops], results: [next, ...body.results] };
  const inits = [first, ...kept];
  const types = inits.map((v) => v.type);
  return b.emitTyped('while', inits, {}, types, [cond, region]).slice(1);
}

/** The position of the first true element. */
const firstWhere = (b: IrBuilder, flags: Value): Value =>
  b.one('argmax', [b.one('cast', [flags], { elem: 'f32' })], { axis: 0 });

/** The loop that also keeps its carries, as each iteration finds them, where the stride says so. */
function recorded(op: Op, record: Record): Op[] {
  const [cond, body] = op.regions as [Region, Region];
  const extra = [...record.tapes, record.held, record.stride, record.count];
  const before = new IrBuilder(op.origin);
  const starts = [
    ...record.tapes.map((t) => zeros(before, t.type)),
    before.one('constant', [], { value: -1, elem: 'i32', shape: record.held.type.shape }),
    before.constant(1, 'i32'),
    before.constant(0, 'i32'),
  ];
  const inside = extra.map((v) => value(v.type, v.hint));
  const [held, stride, count] = inside.slice(-3) as [Value, Value, Value];
  const b = new IrBuilder(op.origin);
  const free = (every: Value): Value =>
    b.one('or', [
      b.one('lt', [held, b.constant(0, 'i32')]),
      b.one('ne', [b.one('rem', [held, every]), b.constant(0, 'i32')]),
    ]);
  const open = b.one('cast', [free(stride)], { elem: 'i32' });
  const found = b.one('take', [open, b.one('argmax', [b.one('cast', [open], { elem: 'f32' })], { axis: 0 })], {
    axis: 0,
  });
  const room = b.one('gt', [found, b.constant(0, 'i32')]);
  const every = b.one('select', [room, stride, b.one('add', [stride, stride])]);
  const place = firstWhere(b, free(every));
  const store = b.one('eq', [b.one('rem', [count, every]), b.constant(0, 'i32')]);
  const keep = (all: Value, one: Value): Value => {
    const kept = b.one('select', [store, one, b.one('take', [all, place], { axis: 0 })]);
    return b.one('put', [all, place, kept], { axis: 0 });
  };
  const tapes = body.params.map((c, k) => keep(inside[k]!, c));
  const results = [...body.results, ...tapes, keep(held, count), every, b.one('add', [count, b.constant(1, 'i32')])];
  const loop: Op = {
    ...op,
    operands: [...op.operands, ...starts],
    results: [...op.results, ...extra],
    regions: [
      { ...cond, params: [...cond.params, ...extra.map((v) => value(v.type, v.hint))] },
      { params: [...body.params, ...inside], ops: [...b.ops, ...body.ops], results },
    ],
  };
  return [...before.ops, loop];
}
