/** Rows of cross-entropy, kept whole so that no probability is ever stored or taken the logarithm of. */
import type { IrBuilder } from '../builder.ts';
import { dim } from '../dim.ts';
import type { Attrs, Op, TensorType, Value } from '../ir.ts';
import type { NdArray } from '../ndarray.ts';
import { ndarray } from '../ndarray.ts';
import { num } from './attrs.ts';
import type { AttrSpec, OpDef, OperandSpec, ShapeContext, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { cast, countOf, math, reshape, restore } from './gradients.ts';
import { single } from './pointwise.ts';
import { eachRow } from './reduce.ts';
import { logSumExp } from './rowwise.ts';
import { fault, text } from './shapes.ts';

const LOGITS: OperandSpec = { name: 'logits', elem: 'float' };
const TARGET: OperandSpec = { name: 'target', elem: ['i32'] };
const ATTRS = {
  ignore_index: { type: 'int', default: -100 },
  label_smoothing: { type: 'float', default: 0 },
} satisfies Record<string, AttrSpec>;
const CLASS_AXIS = 1;

/** logits [N, C, ...S] and target [N, ...S]: the type of the loss of each element. */
function lossType([x, t]: readonly TensorType[], attrs: Attrs, ctx: ShapeContext): TensorType | ShapeFault {
  if (x!.shape.length < 2) return fault(`the logits are [batch, classes, ...], not ${text(x!.shape)}`, 0);
  const shape = x!.shape.filter((_, i) => i !== CLASS_AXIS);
  const what = `logits ${text(x!.shape)} need a target ${text(shape)}, not ${text(t!.shape)}`;
  if (shape.length !== t!.shape.length || !shape.every((d, i) => ctx.equal(d, t!.shape[i]!, what)))
    return fault(what, 1);
  const s = num(attrs, 'label_smoothing');
  if (!(s >= 0 && s <= 1)) return fault(`label smoothing lies between 0 and 1, not at ${s}`);
  return { elem: x!.elem, shape };
}

/** What both expansions share: log-probabilities, the one-hot target, and which elements count; f32, classes at axis 1. */
function parts(b: IrBuilder, op: Op) {
  const m = math(b);
  const shape = op.operands[0]!.type.shape;
  const x = cast(b, op.operands[0]!, 'f32');
  const target = restore(b, op.operands[1]!, shape, [CLASS_AXIS]);
  const line = shape.map((d, i) => (i === CLASS_AXIS ? d : dim(1)));
  const classes = b.one('iota', [], { shape: line, axis: CLASS_AXIS, elem: 'i32' });
  const count = line[CLASS_AXIS]!;
  const limit = count.value !== null ? b.constant(count.value, 'i32') : b.one('size', [], { dim: count });
  const ignored = m.eq(target, num(op.attrs, 'ignore_index'));
  return {
    m,
    shape,
    shifted: m.sub(x, m.max(x, [CLASS_AXIS])),
    hot: m.eq(classes, target),
    ignored,
    bad: m.and(m.not(ignored), m.or(m.lt(target, 0), m.ge(target, limit))),
    n: countOf(b, shape, [CLASS_AXIS], 'f32'),
    smoothing: num(op.attrs, 'label_smoothing'),
  };
}

/** (1 - s) * -logp[target] + s / C * sum(-logp) */
function expandLoss(b: IrBuilder, op: Op): readonly Value[] {
  const { m, shifted, hot, ignored, bad, n, smoothing } = parts(b, op);
  const norm = m.log(m.sum(m.exp(shifted), [CLASS_AXIS]));
  let loss = m.sub(norm, m.sum(m.select(hot, shifted, 0), [CLASS_AXIS]));
  if (smoothing > 0) {
    const mean = m.sub(norm, m.div(m.sum(shifted, [CLASS_AXIS]), n));
    loss = m.add(m.mul(loss, 1 - smoothing), m.mul(mean, smoothing));
  }
  const y = m.select(ignored, 0, m.select(bad, NaN, loss));
  const { type } = op.results[0]!;
  return [cast(b, reshape(b, y, type.shape), type.elem)];
}

/** dy * (softmax - (1 - s) * onehot - s / C), 0 where ignored */
function expandGrad(b: IrBuilder, op: Op): readonly Value[] {
  const { m, shape, shifted, hot, ignored, bad, n, smoothing } = parts(b, op);
  const e = m.exp(shifted);
  const p = m.div(e, m.sum(e, [CLASS_AXIS]));
  let slope = m.sub(p, m.select(hot, b.constant(1 - smoothing), 0));
  if (smoothing > 0) slope = m.sub(slope, m.div(b.constant(smoothing), n));
  const dy = cast(b, restore(b, op.operands[2]!, shape, [CLASS_AXIS]), 'f32');
  const dx = m.select(ignored, 0, m.mul(m.select(bad, NaN, dy), slope));
  return [cast(b, dx, op.results[0]!.type.elem)];
}

/** Calls f with each row of logits, its class (NaN where ignored, out of range as it is), its position and its first element. */
function eachCase(
  logits: NdArray,
  target: NdArray,
  op: Op,
  f: (row: readonly number[], label: number | 'ignored' | 'bad', at: number, element: (c: number) => number) => void,
): void {
  const ignore = num(op.attrs, 'ignore_index');
  const [, classes] = logits.shape as readonly [number, number];
  const inner = logits.shape.slice(2).reduce((a, b) => a * b, 1);
  eachRow(logits, [CLASS_AXIS], (row, _index, at) => {
    const t = target.data[at]!;
    const label = t === ignore ? 'ignored' : t < 0 || t >= classes ? 'bad' : t;
    const base = Math.floor(at / inner) * classes * inner + (at % inner);
    f(row, label, at, (c) => base + c * inner);
  });
}

export const lossOps = {
  cross_entropy: defineOp({
    doc: 'The loss of each element, -log softmax(logits)[target] with label smoothing; 0 where the target is `ignore_index`, NaN where it is no class. `torch.nn.functional.cross_entropy(reduction="none")`.',
    operands: [LOGITS, TARGET],
    attrs: ATTRS,
    shape: (types, attrs, ctx) => {
      const y = lossType(types, attrs, ctx);
      return 'fault' in y ? y : [y];
    },
    grad: (b, op, [dy]) => [
      dy ? b.one('cross_entropy_grad', [op.operands[0]!, op.operands[1]!, dy], op.attrs) : null,
      null,
    ],
    lower: { kind: 'rowwise', axes: () => [CLASS_AXIS], decompose: expandLoss },
    reference: single(([logits, target], op, { elem, shape }) => {
      const s = num(op.attrs, 'label_smoothing');
      const out = ndarray(elem, shape);
      eachCase(logits!, target!, op, (row, label, at) => {
        const norm = logSumExp(row);
        const mean = norm - row.reduce((a, b) => a + b, 0) / row.length;
        out.data[at] =
          label === 'ignored' ? 0 : label === 'bad' ? NaN : (1 - s) * (norm - row[label]!) + (s > 0 ? s * mean : 0);
      });
      return out;
    }),
  }),
  cross_entropy_grad: defineOp({
    doc: 'The gradient of `cross_entropy` by its logits: dy * (softmax(logits) - smoothed one-hot target).',
    operands: [LOGITS, TARGET, { name: 'dy', elem: 'same' }],
    attrs: ATTRS,
    shape: (types, attrs, ctx) => {
      const y = lossType(types, attrs, ctx);
      if ('fault' in y) return y;
      const dy = types[2]!;
      const what = `the loss is ${text(y.shape)}, its gradient ${text(dy.shape)}`;
      const fits = y.shape.length === dy.shape.length && y.shape.every((d, i) => ctx.equal(d, dy.shape[i]!, what));
      return fits ? [types[0]!] : fault(what, 2);
    },
    grad: { decompose: expandGrad },
    lower: { kind: 'rowwise', axes: () => [CLASS_AXIS], decompose: expandGrad },
    reference: single(([logits, target, dy], op, { elem, shape }) => {
      const s = num(op.attrs, 'label_smoothing');
      const out = ndarray(elem, shape);
      eachCase(logits!, target!, op, (row, label, at, element) => {
        const norm = logSumExp(row);
        row.forEach((x, c) => {
          const slope = Math.exp(x - norm) - (c === label ? 1 - s : 0) - s / row.length;
          out.data[element(c)] = label === 'ignored' ? 0 : label === 'bad' ? NaN : dy!.data[at]! * slope;
        });
      });
      return out;
    }),
  }),
} satisfies Record<string, OpDef>;
