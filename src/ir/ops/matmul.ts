/** Rows of matrix products: the batched product and attention. */
import type { IrBuilder } from '../builder.ts';
import { dim, product } from '../dim.ts';
import type { Attrs, Op, TensorType, Value } from '../ir.ts';
import type { NdArray } from '../ndarray.ts';
import { ndarray, stridesOf } from '../ndarray.ts';
import { attentionByBlocks } from './attention-blocks.ts';
import { flag, numOrNull } from './attrs.ts';
import type { OpDef, ShapeContext, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { full, math, reshape, sumTo } from './gradients.ts';
import { broadcastStrides, eachIndex, offset, single } from './pointwise.ts';
import { broadcastShapes, fault, isFault, text } from './shapes.ts';

const matmul = (b: IrBuilder, x: Value, y: Value, transpose_a = false, transpose_b = false): Value =>
  b.one('matmul', [x, y], { transpose_a, transpose_b });

function matmulShape(
  [a, w]: readonly TensorType[],
  attrs: Attrs,
  ctx: ShapeContext,
): readonly TensorType[] | ShapeFault {
  for (const [i, t] of [a!, w!].entries()) {
    if (t.shape.length < 2) return fault(`a matrix has 2 axes, this is ${text(t.shape)}; add one with reshape`, i);
  }
  const [ta, tb] = [flag(attrs, 'transpose_a'), flag(attrs, 'transpose_b')];
  const m = a!.shape.at(ta ? -1 : -2)!;
  const ka = a!.shape.at(ta ? -2 : -1)!;
  const kb = w!.shape.at(tb ? -1 : -2)!;
  const n = w!.shape.at(tb ? -2 : -1)!;
  const seen = (t: TensorType, turned: boolean) => text(t.shape) + (turned ? ' (transposed)' : '');
  const what = `${seen(a!, ta)} times ${seen(w!, tb)} does not fit: the inner sizes are ${ka} and ${kb}`;
  if (!ctx.equal(ka, kb, what)) return fault(what, 1);
  const batch = broadcastShapes([a!.shape.slice(0, -2), w!.shape.slice(0, -2)], ctx);
  return isFault(batch) ? batch : [{ elem: a!.elem, shape: [...batch, m, n] }];
}

/** All leading axes as one matrix axis. */
const flat = (b: IrBuilder, x: Value): Value =>
  reshape(b, x, [product(x.type.shape.slice(0, -1)), x.type.shape.at(-1)!]);

/** What scores are multiplied by. */
function scaleOf(b: IrBuilder, op: Op): Value {
  const q = op.operands[0]!;
  const d = q.type.shape.at(-1)!;
  const given = numOrNull(op.attrs, 'scale');
  if (given !== null) return b.constant(given, q.type.elem);
  if (d.value !== null) return b.constant(1 / Math.sqrt(d.value), q.type.elem);
  return b.one('rsqrt', [b.one('cast', [b.one('size', [], { dim: d })], { elem: q.type.elem })]);
}

/** q: [..., T, D], k: [..., S, D]: the masked scores [..., T, S]; the first query stands at `first`, or at 0. */
function scores(b: IrBuilder, op: Op, q: Value, mask: Value | null, first: Value | null): Value {
  const m = math(b);
  let s = matmul(b, m.mul(q, scaleOf(b, op)), op.operands[1]!, false, true);
  const shape = s.type.shape.slice(-2);
  if (flag(op.attrs, 'causal')) {
    const counted = b.one('iota', [], { shape, axis: 0, elem: 'i32' });
    const rows = first ? m.add(counted, first) : counted;
    const columns = b.one('iota', [], { shape, axis: 1, elem: 'i32' });
    s = m.select(m.ge(rows, columns), s, -Infinity);
  }
  if (mask) s = mask.type.elem === 'bool' ? m.select(mask, s, -Infinity) : m.add(s, mask);
  return s;
}

/** The softmax of the scores of some queries. */
function weights(b: IrBuilder, op: Op, q: Value, mask: Value | null, first: Value | null): Value {
  const m = math(b);
  const s = scores(b, op, q, mask, first);
  const axis = s.type.shape.length - 1;
  const soft = (x: Value) => b.one('softmax', [x], { axis });
  if (!mask) return soft(s);
  // A query that may look at nothing gets zeros (torch's safe softmax), in value and in gradient.
  const blind = m.eq(m.max(s, [axis]), -Infinity);
  return m.select(blind, full(b, 0, s.type.elem, []), soft(m.select(blind, 0, s)));
}

const expandAttention =
  (gradient: boolean) =>
  (b: IrBuilder, op: Op): readonly Value[] => [
    attentionByBlocks(
      b,
      op,
      {
        weights: (to, rows, masked, first) => weights(to, op, rows, masked, first),
        scale: (to) => scaleOf(to, op),
      },
      gradient,
    ),
  ];

/** One matrix of a batch, as a function of (row, column). */
type Matrix = (i: number, j: number) => number;

function matrices(x: NdArray, batch: readonly number[], turned: boolean): (index: readonly number[]) => Matrix {
  const own = stridesOf(x.shape);
  const lead = broadcastStrides(x.shape.slice(0, -2), batch);
  const outer = stridesOf(x.shape).slice(0, -2);
  const skip = batch.length - outer.length;
  const steps = lead.map((s, i) => (s === 0 ? 0 : outer[i - skip]!));
  const [ri, ci] = turned ? [own.at(-1)!, own.at(-2)!] : [own.at(-2)!, own.at(-1)!];
  return (index) => {
    const base = offset(index, steps);
    return (i, j) => x.data[base + i * ri + j * ci]!;
  };
}

export const matmulOps = {
  matmul: defineOp({
    doc: 'The matrix product over the last two axes, batched over the others. `torch.matmul`.',
    operands: [
      { name: 'a', elem: 'float' },
      { name: 'b', elem: 'same' },
    ],
    attrs: { transpose_a: { type: 'bool', default: false }, transpose_b: { type: 'bool', default: false } },
    shape: matmulShape,
    grad: (b, op, [dy]) => {
      if (!dy) return [null, null];
      const [x, w] = [op.operands[0]!, op.operands[1]!];
      const [ta, tb] = [flag(op.attrs, 'transpose_a'), flag(op.attrs, 'transpose_b')];
      const dx = ta ? matmul(b, w, dy, tb, true) : matmul(b, dy, w, false, !tb);
      // A matrix under a batch: one product over all rows, where a batched one would be summed afterwards.
      const shared = w.type.shape.length === 2 && x.type.shape.length > 2 && !ta;
      const [left, right] = shared ? [flat(b, x), flat(b, dy)] : [x, dy];
      const dw = tb ? matmul(b, right, left, true, ta) : matmul(b, left, right, !ta, false);
      return [sumTo(b, dx, x.type.shape), sumTo(b, dw, w.type.shape)];
    },
    lower: { kind: 'family', family: 'matmul' },
    reference: single(([a, w], op, { elem, shape }) => {
      const [ta, tb] = [flag(op.attrs, 'transpose_a'), flag(op.attrs, 'transpose_b')];
      const out = ndarray(elem, shape);
      const batch = shape.slice(0, -2);
      const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
      const inner = a!.shape.at(ta ? -2 : -1)!;
      const [left, right] = [matrices(a!, batch, ta), matrices(w!, batch, tb)];
      eachIndex(batch, (index, at) => {
        const [l, r] = [left(index), right(index)];
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < columns; j++) {
            let sum = 0;
            for (let k = 0; k < inner; k++) sum += l(i, k) * r(k, j);
            out.data[(at * rows + i) * columns + j] = sum;
          }
      });
      return out;
    }),
  }),
  attention: defineOp({
    doc: 'softmax(q k^T * scale, masked) v. A bool mask is true where a query may look, a float mask is added; `causal` lets query i see keys 0 to i. Where a head has 512 x 512 scores or more they are made 64 queries at a time, again for the gradient. `torch.nn.functional.scaled_dot_product_attention`.',
    operands: [
      { name: 'q', elem: 'float' },
      { name: 'k', elem: 'same' },
      { name: 'v', elem: 'same' },
      { name: 'mask', elem: ['bool', 'f32', 'f16', 'bf16'], optional: true },
    ],
    attrs: { causal: { type: 'bool', default: false }, scale: { type: 'float', default: null } },
    shape: ([q, k, v, mask], _attrs, ctx) => {
      const scored = matmulShape([q!, k!], { transpose_a: false, transpose_b: true }, ctx);
      if (isFault(scored)) return scored;
      const s = scored[0]!;
      if (mask) {
        if (mask.elem !== 'bool' && mask.elem !== q!.elem) {
          return fault(`the mask is ${mask.elem}, the queries are ${q!.elem}: cast one of them`, 3);
        }
        const all = broadcastShapes([s.shape, mask.shape], ctx);
        if (isFault(all)) return { ...all, operand: 3 };
        const what = `the mask ${text(mask.shape)} does not stretch to the scores ${text(s.shape)}`;
        if (all.length > s.shape.length || all.some((d, i) => !ctx.equal(d, s.shape[i] ?? dim(1), what)))
          return fault(what, 3);
      }
      const out = matmulShape([s, v!], { transpose_a: false, transpose_b: false }, ctx);
      return isFault(out) ? { ...out, operand: 2 } : out;
    },
    grad: { decompose: expandAttention(true) },
    lower: { kind: 'decompose', decompose: expandAttention(false) },
    reference: single(([q, k, v, mask], op, { elem, shape }) => {
      const batch = shape.slice(0, -2);
      const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
      const [keys, width] = [k!.shape.at(-2)!, q!.shape.at(-1)!];
      const scale = numOrNull(op.attrs, 'scale') ?? 1 / Math.sqrt(width);
      const [qs, ks, vs] = [q!, k!, v!].map((x) => matrices(x, batch, false)) as [
        ReturnType<typeof matrices>,
        ReturnType<typeof matrices>,
        ReturnType<typeof matrices>,
      ];
      const steps = mask && broadcastStrides(mask.shape, [...batch, rows, keys]);
      const out = ndarray(elem, shape);
      eachIndex(batch, (index, at) => {
        const [qm, km, vm] = [qs(index), ks(index), vs(index)];
        for (let i = 0; i < rows; i++) {
          const s = Array.from({ length: keys }, (_, j) => {
            if (flag(op.attrs, 'causal') && j > i) return -Infinity;
            let dot = 0;
            for (let d = 0; d < width; d++) dot += qm(i, d) * km(j, d);
            dot *= scale;
            if (!mask) return dot;
            const x = mask.data[offset([...index, i, j], steps!)]!;
            return mask.elem !== 'bool' ? dot + x : x ? dot : -Infinity;
          });
          const top = s.reduce((a, c) => Math.max(a, c), -Infinity);
          const e = s.map((x) => (top === -Infinity ? 0 : Math.exp(x - top)));
          const total = e.reduce((a, c) => a + c, 0);
          for (let c = 0; c < columns; c++) {
            let sum = 0;
            for (let j = 0; j < keys; j++) sum += (e[j]! / (total || 1)) * vm(j, c);
            out.data[(at * rows + i) * columns + c] = sum;
          }
        }
      });
      return out;
    }),
  }),
} satisfies Record<string, OpDef>;
