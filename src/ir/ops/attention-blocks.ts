/**
 * Attention over long sequences, a block of queries at a time: the scores of all queries at once would be the largest
 * tensor of a program that only adds them up. The gradient computes the scores of a block again instead of keeping them
 * (Dao et al., FlashAttention, 2022). A block has whole rows of scores, so its softmax is the plain one.
 *
 * Queries after the last whole block are attended to plainly. Where sizes are symbols a run decides: there are no blocks in a
 * short sequence, and all its queries are left for the plain way.
 */
import { IrBuilder, tensor, value } from '../builder.ts';
import type { Dim } from '../dim.ts';
import { dim, div, min, mul, sub } from '../dim.ts';
import type { Region, Value } from '../ir.ts';
import { cast, full, math, reshape, sumTo } from './gradients.ts';

/** From this many scores of one head on they are made by blocks: 1 MiB, half of a second-level cache. */
export const LONG = 512 * 512;
/** Queries of a block: enough rows for products at full speed. */
export const QUERIES = 64;

/** What attention does with some of its queries, given the position of the first: null for 0. */
export interface Attend {
  /** The softmax of the masked scores. */
  readonly weights: (b: IrBuilder, q: Value, mask: Value | null, first: Value | null) => Value;
  /** What dropout multiplies those by. */
  readonly dropping: ((b: IrBuilder, weights: Value, first: Value | null) => Value) | null;
  readonly scale: (b: IrBuilder) => Value;
}

interface Operands {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly mask: Value | null;
}

/** The result: blocks, then the queries that are left. `gradient` states the gradient of the blocks, for a function that will be differentiated. */
export function attentionByBlocks(b: IrBuilder, { q, k, v, mask }: Operands, attend: Attend, gradient: boolean): Value {
  const count = blocksOf(rowsOf(q), rowsOf(k));
  const plain = (to: IrBuilder, rows: Value, masked: Value | null, first: Value | null): Value => {
    const p = attend.weights(to, rows, masked, first);
    return to.one('matmul', [dropped(to, attend, p, first)[0], v], {});
  };
  if (count.value === 0) return plain(b, q, mask, null);

  const whole = mul(count, QUERIES);
  const part = (x: Value, from: Dim, to: Dim): Value => (variesByRow(x) ? slice(b, x, from, to) : x);
  const cut = (from: Dim, to: Dim) => ({ q: slice(b, q, from, to), mask: mask && part(mask, from, to) });
  const inBlocks: Operands = { k, v, ...cut(dim(0), whole) };
  const [y] = overBlocks(b, count, { q: inBlocks.q }, inBlocks.mask, (to, { rows, mask: masked, first }) => [
    { rows: plain(to, rows['q']!, masked, first), sum: null },
  ]);
  const blocks = gradient ? withGradient(b, count, inBlocks, y!, attend) : y!;
  if (whole.key === rowsOf(q).key) return blocks;
  const left = cut(whole, rowsOf(q));
  const after = plain(b, left.q, left.mask, b.one('size', [], { dim: whole }));
  return b.one('concat', [blocks, after], { axis: q.type.shape.length - 2 });
}

/** Weights after dropout, and what it multiplied them by. */
function dropped(b: IrBuilder, { dropping }: Attend, p: Value, first: Value | null): readonly [Value, Value | null] {
  const factor = dropping && dropping(b, p, first);
  return [factor ? math(b).mul(p, factor) : p, factor];
}

/** Whole blocks of a sequence; none where it is short. */
export function blocksOf(queries: Dim, keys: Dim): Dim {
  const short = queries.value !== null && queries.value <= QUERIES;
  // The second is 0, or more than there are blocks.
  return short ? dim(0) : min(div(queries, QUERIES), mul(div(mul(queries, keys), LONG), queries));
}

/** `y`, with the gradient by blocks stated. */
function withGradient(b: IrBuilder, count: Dim, { q, k, v, mask }: Operands, y: Value, attend: Attend): Value {
  const dy = value(y.type, 'dy');
  const inner = new IrBuilder(b.origin);
  /** The cotangent of the masked scores of a block, and its weights after dropout. */
  const ofScores = (to: IrBuilder, { rows, mask: masked, first }: Rows): readonly [Value, Value] => {
    const m = math(to);
    const [dys, ys] = [rows['dy']!, rows['y']!];
    const p = attend.weights(to, rows['q']!, masked, first);
    // A row's sum of weights times their cotangents is that of its results times theirs.
    const row = m.sum(m.mul(dys, ys), [dys.type.shape.length - 1]);
    const [after, factor] = dropped(to, attend, p, first);
    const dafter = to.one('matmul', [dys, v], { transpose_b: true });
    return [m.mul(p, m.sub(factor ? m.mul(dafter, factor) : dafter, row)), after];
  };
  const given = { q, dy, y };
  const turned = { transpose_a: true };
  const grads = overBlocks(inner, count, given, mask, (to, block) => {
    const [scored, p] = ofScores(to, block);
    const ds = math(to).mul(scored, attend.scale(to));
    const qs = block.rows['q']!;
    return [
      { rows: sumTo(to, to.one('matmul', [ds, k], {}), qs.type.shape), sum: null },
      { rows: sumTo(to, to.one('matmul', [ds, qs], turned), k.type.shape), sum: k },
      { rows: sumTo(to, to.one('matmul', [p, block.rows['dy']!], turned), v.type.shape), sum: v },
    ];
  });
  const inputs = [q, k, v];
  if (mask && mask.type.elem !== 'bool') {
    inputs.push(mask);
    // In a loop of its own, which goes where nobody asks for it.
    const ofMask = overBlocks(inner, count, given, mask, (to, block) => {
      const rows = sumTo(to, ofScores(to, block)[0], block.mask!.type.shape);
      return [{ rows, sum: variesByRow(mask) ? null : mask }];
    });
    grads.push(...ofMask);
  }
  const region: Region = { params: [dy], ops: inner.ops, results: grads };
  return b.emitTyped('with_gradient', [y, ...inputs], { results: 1 }, [y.type], [region])[0]!;
}

/** What a block works on: its rows of the inputs and of the mask, and the position of the first. */
interface Rows {
  readonly rows: Readonly<Record<string, Value>>;
  readonly mask: Value | null;
  readonly first: Value;
}

/** What a block gives: rows of the result, or its part of the sum over all blocks, which is like `sum`. */
interface Given {
  readonly rows: Value;
  readonly sum: Value | null;
}

/** Runs `block` over the rows of `inputs`, `count` blocks of them, in a loop. */
function overBlocks(
  b: IrBuilder,
  count: Dim,
  inputs: Readonly<Record<string, Value>>,
  mask: Value | null,
  block: (b: IrBuilder, rows: Rows) => readonly Given[],
): Value[] {
  const i = value(tensor('i32', []), 'i');
  const body = new IrBuilder(b.origin);
  const taken = (x: Value): Value => {
    const { shape } = x.type;
    const blocks = reshape(b, x, [...shape.slice(0, -2), count, dim(QUERIES), shape.at(-1)!]);
    return body.one('take', [blocks, i], { axis: shape.length - 2 });
  };
  const given = block(body, {
    rows: Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, taken(x)])),
    mask: mask && variesByRow(mask) ? taken(mask) : mask,
    first: body.one('mul', [i, body.constant(QUERIES, 'i32')]),
  });
  const starts = given.map(({ rows, sum }) => {
    const { elem, shape } = rows.type;
    // Sums of many blocks are f32 whatever is summed.
    return sum
      ? full(b, 0, 'f32', sum.type.shape)
      : full(b, 0, elem, [...shape.slice(0, -2), count, dim(QUERIES), shape.at(-1)!]);
  });
  const carries = starts.map((s) => value(s.type, 'carry'));
  const results = given.map(({ rows, sum }, n) =>
    sum
      ? body.one('add', [carries[n]!, cast(body, rows, 'f32')])
      : body.one('put', [carries[n]!, i, rows], { axis: rows.type.shape.length - 2 }),
  );
  const region: Region = { params: [i, ...carries], ops: body.ops, results };
  const looped = b.emitTyped(
    'for',
    starts,
    { count },
    starts.map((s) => s.type),
    [region],
  );
  return looped.map((x, n) => {
    const { rows, sum } = given[n]!;
    if (sum) return cast(b, x, rows.type.elem);
    const { shape } = rows.type;
    return reshape(b, x, [...shape.slice(0, -2), mul(count, QUERIES), shape.at(-1)!]);
  });
}

const rowsOf = (v: Value): Dim => v.type.shape.at(-2)!;

/** A mask that is the same for all queries serves every block as it is. */
const variesByRow = (x: Value): boolean => x.type.shape.length > 1 && rowsOf(x).value !== 1;

function slice(b: IrBuilder, v: Value, from: Dim, to: Dim): Value {
  const { shape } = v.type;
  if (sub(to, from).key === rowsOf(v).key) return v;
  const axis = shape.length - 2;
  return b.one('slice', [v], {
    start: shape.map((_, n) => (n === axis ? from : dim(0))),
    stop: shape.map((d, n) => (n === axis ? to : d)),
    step: shape.map(() => 1),
  });
}
