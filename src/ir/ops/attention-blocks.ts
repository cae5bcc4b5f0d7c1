/**
 * Attention over long sequences, a block of queries at a time: the scores of all queries at once would be the largest
 * tensor of a program that only adds them up. The gradient computes the scores of a block again instead of keeping them
 * (Dao et al., FlashAttention, 2022). A block has whole rows of scores, so its softmax is the plain one.
 */
import { IrBuilder, tensor, value } from '../builder.ts';
import type { Dim } from '../dim.ts';
import { dim, mul } from '../dim.ts';
import type { Op, Region, Value } from '../ir.ts';
import { full, math, reshape, sumTo } from './gradients.ts';

/** From this many scores of one head on they are made by blocks: 1 MiB, half of a second-level cache. */
export const LONG = 512 * 512;
/** Queries of a block: enough rows for products at full speed. */
const QUERIES = 64;

/** What attention does with some of its queries, given the position of the first. */
export interface Attend {
  /** The softmax of the masked scores. */
  readonly weights: (b: IrBuilder, q: Value, mask: Value | null, first: Value) => Value;
  readonly scale: (b: IrBuilder) => Value;
}

/** Whether sizes are known to be long. A mask that is numbers may want a gradient, which is as large as the scores. */
export function isLong(op: Op): boolean {
  const [q, k, , mask] = op.operands as readonly [Value, Value, Value, Value?];
  const [queries, keys] = [q.type.shape.at(-2)!.value, k.type.shape.at(-2)!.value];
  if (queries === null || keys === null || queries <= QUERIES || queries * keys < LONG) return false;
  return q.type.elem === 'f32' && (!mask || mask.type.elem === 'bool');
}

/** The result, block by block. */
export function attentionByBlocks(b: IrBuilder, op: Op, { weights }: Attend): Value {
  const { q, v, mask } = operands(op);
  const block: Block = (to, [rows], masked, first) => [
    { rows: to.one('matmul', [weights(to, rows!, masked, first), v], {}), sum: false },
  ];
  return overBlocks(b, [q], mask, [op.results[0]!.type.shape], block)[0]!;
}

/** As `attentionByBlocks`, with the gradient by blocks stated. */
export function attentionWithGradient(b: IrBuilder, op: Op, attend: Attend): Value {
  const { q, k, v, mask } = operands(op);
  const y = attentionByBlocks(b, op, attend);
  const dy = value(y.type, 'dy');
  const inner = new IrBuilder(op.origin);
  const block: Block = (to, [qs, dys, ys], masked, first) => {
    const m = math(to);
    const p = attend.weights(to, qs!, masked, first);
    // A row's sum of weights times their cotangents is that of its results times theirs.
    const row = m.sum(m.mul(dys!, ys!), [dys!.type.shape.length - 1]);
    const ds = m.mul(m.mul(p, m.sub(to.one('matmul', [dys!, v], { transpose_b: true }), row)), attend.scale(to));
    return [
      { rows: sumTo(to, to.one('matmul', [ds, k], {}), qs!.type.shape), sum: false },
      { rows: sumTo(to, to.one('matmul', [ds, qs!], { transpose_a: true }), k.type.shape), sum: true },
      { rows: sumTo(to, to.one('matmul', [p, dys!], { transpose_a: true }), v.type.shape), sum: true },
    ];
  };
  const grads = overBlocks(inner, [q, dy, y], mask, [q.type.shape, k.type.shape, v.type.shape], block);
  const region: Region = { params: [dy], ops: inner.ops, results: grads };
  return b.emitTyped('with_gradient', [y, q, k, v], { results: 1 }, [y.type], [region])[0]!;
}

const operands = (op: Op): { q: Value; k: Value; v: Value; mask: Value | null } => {
  const [q, k, v, mask] = op.operands as readonly [Value, Value, Value, Value?];
  return { q, k, v, mask: mask ?? null };
};

/** What a block gives: rows of the result, or its part of a sum over all blocks. */
interface Given {
  readonly rows: Value;
  readonly sum: boolean;
}
type Block = (b: IrBuilder, rows: readonly Value[], mask: Value | null, first: Value) => readonly Given[];

/** Runs `block` over the rows of `inputs` in a loop, then over those that are left; `shapes` are those of the results. */
function overBlocks(
  b: IrBuilder,
  inputs: readonly Value[],
  mask: Value | null,
  shapes: readonly (readonly Dim[])[],
  block: Block,
): readonly Value[] {
  const queries = rowsOf(inputs[0]!);
  const count = Math.floor(queries / QUERIES);
  const whole = count * QUERIES;
  // A mask that is the same for all queries serves every block as it is.
  const cutMask = mask !== null && mask.type.shape.length > 1 && rowsOf(mask) !== 1;
  const all = cutMask ? [...inputs, mask] : inputs;
  const run = (to: IrBuilder, rows: readonly Value[], first: Value): readonly Given[] =>
    block(to, rows.slice(0, inputs.length), cutMask ? rows.at(-1)! : mask, first);

  const i = value(tensor('i32', []), 'i');
  const body = new IrBuilder(b.origin);
  const cut = all.map((x) => inBlocks(b, slice(b, x, 0, whole), count));
  const taken = cut.map((x) => body.one('take', [x, i], { axis: x.type.shape.length - 3 }));
  const given = run(body, taken, body.one('mul', [i, body.constant(QUERIES, 'i32')]));
  const starts = given.map((g, n) => {
    const shape = shapes[n]!;
    return full(b, 0, 'f32', g.sum ? shape : [...shape.slice(0, -2), dim(count), dim(QUERIES), shape.at(-1)!]);
  });
  const carries = starts.map((s) => value(s.type, 'carry'));
  const results = given.map((g, n) =>
    g.sum
      ? body.one('add', [carries[n]!, g.rows])
      : body.one('put', [carries[n]!, i, g.rows], { axis: carries[n]!.type.shape.length - 3 }),
  );
  const region: Region = { params: [i, ...carries], ops: body.ops, results };
  const types = starts.map((s) => s.type);
  const looped = b.emitTyped('for', starts, { count: dim(count) }, types, [region]);
  const joined = looped.map((x, n) => (given[n]!.sum ? x : inRows(b, x)));
  if (whole === queries) return joined;

  const left = all.map((x) => slice(b, x, whole, queries));
  return run(b, left, b.constant(whole, 'i32')).map((g, n) =>
    g.sum
      ? b.one('add', [joined[n]!, g.rows])
      : b.one('concat', [joined[n]!, g.rows], { axis: joined[n]!.type.shape.length - 2 }),
  );
}

const rowsOf = (v: Value): number => v.type.shape.at(-2)!.value!;

function slice(b: IrBuilder, v: Value, from: number, to: number): Value {
  const { shape } = v.type;
  if (from === 0 && to === rowsOf(v)) return v;
  const axis = shape.length - 2;
  return b.one('slice', [v], {
    start: shape.map((_, n) => dim(n === axis ? from : 0)),
    stop: shape.map((d, n) => (n === axis ? dim(to) : d)),
    step: shape.map(() => 1),
  });
}

function inBlocks(b: IrBuilder, v: Value, count: number): Value {
  const { shape } = v.type;
  return reshape(b, v, [...shape.slice(0, -2), dim(count), dim(QUERIES), shape.at(-1)!]);
}

function inRows(b: IrBuilder, v: Value): Value {
  const { shape } = v.type;
  return reshape(b, v, [...shape.slice(0, -3), mul(shape.at(-3)!, shape.at(-2)!), shape.at(-1)!]);
}
