/** Rows of attention, with and without dropout of its weights: a softmax of scaled and masked products, by blocks where it is long. */
import { foldIn, randomBits } from '../../runtime/rng.ts';
import type { IrBuilder } from '../builder.ts';
import { dim } from '../dim.ts';
import type { Op, TensorType, Value } from '../ir.ts';
import type { NdArray } from '../ndarray.ts';
import { ndarray, sizeOf } from '../ndarray.ts';
import { attentionByBlocks, blocksOf, QUERIES } from './attention-blocks.ts';
import { flag, num, numOrNull } from './attrs.ts';
import type { AttrSpec, OpDef, OperandSpec, ShapeContext, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { KEY, keyFault } from './generators.ts';
import { full, math } from './gradients.ts';
import { matmul, matmulShape, matrices } from './matmul.ts';
import { broadcastStrides, eachIndex, offset, single } from './pointwise.ts';
import { broadcastShapes, fault, isFault, text } from './shapes.ts';

/** Without the key of the row that has one. */
interface Inputs<T> {
  readonly q: T;
  readonly k: T;
  readonly v: T;
  readonly mask: T | null;
}

const inputsOf = <T>(operands: readonly T[], skip: number): Inputs<T> => {
  const [q, k, v, mask] = operands.slice(skip) as [T, T, T, T?];
  return { q, k, v, mask: mask ?? null };
};

const keysOf = (op: Op): number => Number(op.kind === 'attention_dropout');
const inputs = (op: Op): Inputs<Value> => inputsOf(op.operands, keysOf(op));

/** What scores are multiplied by. */
function scaleOf(b: IrBuilder, op: Op): Value {
  const { q } = inputs(op);
  const d = q.type.shape.at(-1)!;
  const given = numOrNull(op.attrs, 'scale');
  if (given !== null) return b.constant(given, q.type.elem);
  if (d.value !== null) return b.constant(1 / Math.sqrt(d.value), q.type.elem);
  return b.one('rsqrt', [b.one('cast', [b.one('size', [], { dim: d })], { elem: q.type.elem })]);
}

/** q: [..., T, D], k: [..., S, D]: the masked scores [..., T, S]; the first query stands at `first`, or at 0. */
function scores(b: IrBuilder, op: Op, q: Value, mask: Value | null, first: Value | null): Value {
  const m = math(b);
  let s = matmul(b, m.mul(q, scaleOf(b, op)), inputs(op).k, false, true);
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

/** What dropout multiplies weights by: 0, or what makes up for those. Queries from `first` on have a key of their own. */
function dropping(b: IrBuilder, op: Op, p: Value, first: Value | null): Value {
  const m = math(b);
  const rate = num(op.attrs, 'p');
  const key = b.one('fold_in', first ? [op.operands[0]!, first] : [op.operands[0]!]);
  const bits = b.one('random_bits', [key], { shape: p.type.shape });
  const uniform = m.mul(b.one('cast', [b.one('shr', [bits, b.constant(8, 'u32')])], { elem: 'f32' }), 2 ** -24);
  const kept = rate < 1 ? 1 / (1 - rate) : 0;
  const [yes, no] = [kept, 0].map((x) => b.constant(x, p.type.elem)) as [Value, Value];
  return m.select(m.ge(uniform, rate), yes, no);
}

const expand =
  (gradient: boolean) =>
  (b: IrBuilder, op: Op): readonly Value[] => [
    attentionByBlocks(
      b,
      inputs(op),
      {
        weights: (to, rows, masked, first) => weights(to, op, rows, masked, first),
        dropping: keysOf(op) > 0 ? (to, p, first) => dropping(to, op, p, first) : null,
        scale: (to) => scaleOf(to, op),
      },
      gradient,
    ),
  ];

function attentionShape(
  { q, k, v, mask }: Inputs<TensorType>,
  skip: number,
  ctx: ShapeContext,
): readonly TensorType[] | ShapeFault {
  const scored = matmulShape([q, k], { transpose_a: false, transpose_b: true }, ctx);
  if (isFault(scored)) return { ...scored, operand: skip + (scored.operand ?? 0) };
  const s = scored[0]!;
  if (mask) {
    if (mask.elem !== 'bool' && mask.elem !== q.elem) {
      return fault(`the mask is ${mask.elem}, the queries are ${q.elem}: cast one of them`, skip + 3);
    }
    const all = broadcastShapes([s.shape, mask.shape], ctx);
    if (isFault(all)) return { ...all, operand: skip + 3 };
    const what = `the mask ${text(mask.shape)} does not stretch to the scores ${text(s.shape)}`;
    if (all.length > s.shape.length || all.some((d, i) => !ctx.equal(d, s.shape[i] ?? dim(1), what)))
      return fault(what, skip + 3);
  }
  const out = matmulShape([s, v], { transpose_a: false, transpose_b: false }, ctx);
  return isFault(out) ? { ...out, operand: skip + 2 } : out;
}

/** What a weight is multiplied by: of a query i and a key j in a batch. */
type Dropped = (index: readonly number[], i: number, j: number) => number;

/** The numbers that `dropping` draws. */
function droppedBy(key: NdArray, op: Op, { q, k }: Inputs<NdArray>): Dropped {
  const [rows, keys] = [q.shape.at(-2)!, k.shape.at(-2)!];
  const rate = num(op.attrs, 'p');
  const whole = QUERIES * blocksOf(dim(rows), dim(keys)).value!;
  const rank = Math.max(q.shape.length, k.shape.length) - 2;
  const sizes = Array.from({ length: rank }, (_, n) =>
    Math.max(q.shape.at(n - rank - 2) ?? 1, k.shape.at(n - rank - 2) ?? 1),
  );
  const drawn = new Map<number, ArrayLike<number>>();
  return (index, i, j) => {
    const first = i < whole ? i - (i % QUERIES) : whole;
    const count = i < whole ? QUERIES : rows - whole;
    let bits = drawn.get(first);
    if (!bits)
      drawn.set(
        first,
        (bits = randomBits(foldIn([key.data[0]!, key.data[1]!], first), sizeOf([...sizes, count, keys]))),
      );
    const at = sizes.reduce((n, size, axis) => n * size + (size === 1 ? 0 : index[index.length - rank + axis]!), 0);
    return (bits[(at * count + i - first) * keys + j]! >>> 8) * 2 ** -24 >= rate ? 1 / (1 - rate) : 0;
  };
}

function attend(
  given: Inputs<NdArray>,
  op: Op,
  { elem, shape }: Pick<NdArray, 'elem' | 'shape'>,
  dropped: Dropped,
): NdArray {
  const { q, k, v, mask } = given;
  const batch = shape.slice(0, -2);
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  const [keys, width] = [k.shape.at(-2)!, q.shape.at(-1)!];
  const scale = numOrNull(op.attrs, 'scale') ?? 1 / Math.sqrt(width);
  const [qs, ks, vs] = [q, k, v].map((x) => matrices(x, batch, false)) as [
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
        for (let j = 0; j < keys; j++) sum += (e[j]! / (total || 1)) * dropped(index, i, j) * vm(j, c);
        out.data[(at * rows + i) * columns + c] = sum;
      }
    }
  });
  return out;
}

const ATTRS: Record<string, AttrSpec> = {
  causal: { type: 'bool', default: false },
  scale: { type: 'float', default: null },
};
const MASK: OperandSpec = { name: 'mask', elem: ['bool', 'f32', 'f16', 'bf16'], optional: true };

export const attentionOps = {
  attention: defineOp({
    doc: 'softmax(q k^T * scale, masked) v. A bool mask is true where a query may look, a float mask is added; `causal` lets query i see keys 0 to i. Where a head has 512 x 512 scores or more they are made 64 queries at a time, again for the gradient. `torch.nn.functional.scaled_dot_product_attention`.',
    operands: [{ name: 'q', elem: 'float' }, { name: 'k', elem: 'same' }, { name: 'v', elem: 'same' }, MASK],
    attrs: ATTRS,
    shape: (given, _attrs, ctx) => attentionShape(inputsOf(given, 0), 0, ctx),
    grad: { decompose: expand(true) },
    lower: { kind: 'decompose', decompose: expand(false) },
    reference: single((given, op, type) => attend(inputsOf(given, 0), op, type, () => 1)),
  }),
  attention_dropout: defineOp({
    doc: 'attention whose weights are 0 with probability `p`, and divided by 1 - p where they are not. Blocks of queries draw with keys of their own. The `dropout_p` of `torch.nn.functional.scaled_dot_product_attention`.',
    operands: [KEY, ...['q', 'k', 'v'].map((name): OperandSpec => ({ name, elem: 'float' })), MASK],
    attrs: { ...ATTRS, p: { type: 'float' } },
    shape: ([key, ...given], _attrs, ctx) => {
      const { q, k, v } = inputsOf(given, 0);
      const other = [k, v].findIndex((t) => t.elem !== q.elem);
      if (other >= 0)
        return fault(`queries, keys and values have one element type; the queries are ${q.elem}`, other + 2);
      return keyFault(key!, ctx) ?? attentionShape(inputsOf(given, 0), 1, ctx);
    },
    grad: { decompose: expand(true) },
    lower: { kind: 'decompose', decompose: expand(false) },
    reference: single(([key, ...given], op, type) => {
      const taken = inputsOf(given, 0);
      return attend(taken, op, type, droppedBy(key!, op, taken));
    }),
  }),
} satisfies Record<string, OpDef>;
