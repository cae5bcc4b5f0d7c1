/** Rows of 2-d convolution and its two gradients, which are each other's gradients too. */
import type { Attrs, TensorType } from '../ir.ts';
import { dim, div, mul } from '../dim.ts';
import { ndarray } from '../ndarray.ts';
import { ints2, ints4, num, sizes } from './attrs.ts';
import type { AttrSpec, OpDef, ShapeContext, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { convGradInput, convGradWeight, convForward } from './reference/conv.ts';
import { single } from './pointwise.ts';
import type { Window } from './shapes.ts';
import { fault, isFault, text, windowFault, windows } from './shapes.ts';
import type { Dim } from '../dim.ts';

/** Padding is (top, bottom, left, right); stride and dilation are (height, width). */
export const CONV_ATTRS = {
  stride: { type: 'ints', default: [1, 1], length: 2 },
  padding: { type: 'ints', default: [0, 0, 0, 0], length: 4 },
  dilation: { type: 'ints', default: [1, 1], length: 2 },
  groups: { type: 'int', default: 1 },
} satisfies Record<string, AttrSpec>;

const axisWindow = (attrs: Attrs, axis: 0 | 1, kernel: Dim): Window => {
  const p = ints4(attrs, 'padding');
  return {
    kernel,
    stride: ints2(attrs, 'stride')[axis],
    dilation: ints2(attrs, 'dilation')[axis],
    before: axis === 0 ? p[0] : p[2],
    after: axis === 0 ? p[1] : p[3],
  };
};

/** The places of a kernel of kh x kw on an input of h x w. */
function outputSize(h: Dim, w: Dim, kh: Dim, kw: Dim, attrs: Attrs, ctx: ShapeContext): [Dim, Dim] | ShapeFault {
  const [vertical, horizontal] = [axisWindow(attrs, 0, kh), axisWindow(attrs, 1, kw)];
  const wrong = windowFault(h, vertical, 'height', ctx) ?? windowFault(w, horizontal, 'width', ctx);
  return wrong ?? [windows(h, vertical), windows(w, horizontal)];
}

const rankFault = (t: TensorType, operand: number, what: string): ShapeFault | null =>
  t.shape.length === 4 ? null : fault(`${what} has 4 axes, this is ${text(t.shape)}`, operand);

function groupsFault(channels: Dim, what: string, attrs: Attrs): ShapeFault | null {
  const groups = num(attrs, 'groups');
  if (!Number.isInteger(groups) || groups < 1) return fault(`groups must be at least 1, not ${groups}`);
  if (channels.value !== null && channels.value % groups !== 0) {
    return fault(`${channels} ${what} channels cannot be divided into ${groups} groups`);
  }
  return null;
}

function convShape(
  x: TensorType,
  w: TensorType,
  attrs: Attrs,
  ctx: ShapeContext,
): readonly [Dim, Dim, Dim, Dim] | ShapeFault {
  const wrong =
    rankFault(x, 0, 'the input [batch, channels, height, width]') ??
    rankFault(w, 1, 'the weight [out, in / groups, height, width]') ??
    groupsFault(w.shape[0]!, 'output', attrs);
  if (wrong) return wrong;
  const wanted = mul(w.shape[1]!, num(attrs, 'groups'));
  const what = `the weight is ${text(w.shape)}, so the input needs ${wanted} channels, not ${x.shape[1]}`;
  if (!ctx.equal(wanted, x.shape[1]!, what)) return fault(what, 0);
  const out = outputSize(x.shape[2]!, x.shape[3]!, w.shape[2]!, w.shape[3]!, attrs, ctx);
  return isFault(out) ? out : [x.shape[0]!, w.shape[0]!, ...out];
}

const shared = ({ stride, padding, dilation, groups }: Attrs): Attrs => ({
  stride: stride!,
  padding: padding!,
  dilation: dilation!,
  groups: groups!,
});

const staticSize = (d: Dim): number => {
  if (d.value === null) throw new TypeError(`a kernel size must be known at compile time, not ${d}`);
  return d.value;
};

export const convOps = {
  conv2d: defineOp({
    doc: 'Cross-correlation of x [N, C, H, W] with w [O, C / groups, KH, KW]. `torch.nn.functional.conv2d`.',
    operands: [
      { name: 'x', elem: 'float' },
      { name: 'w', elem: 'same' },
    ],
    attrs: CONV_ATTRS,
    shape: ([x, w], attrs, ctx) => {
      const shape = convShape(x!, w!, attrs, ctx);
      return isFault(shape) ? shape : [{ elem: x!.elem, shape }];
    },
    grad: (b, op, [dy]) => {
      if (!dy) return [null, null];
      const [x, w] = [op.operands[0]!, op.operands[1]!];
      const [h, wd] = [x.type.shape[2]!, x.type.shape[3]!];
      const kernel = w.type.shape.slice(2).map(staticSize);
      return [
        b.one('conv2d_input_grad', [dy, w], { ...shared(op.attrs), input: [h, wd] }),
        b.one('conv2d_weight_grad', [x, dy], { ...shared(op.attrs), kernel }),
      ];
    },
    lower: { kind: 'family', family: 'conv2d' },
    reference: single(([x, w], op, { elem, shape }) => convForward(x!, w!, op.attrs, ndarray(elem, shape))),
  }),
  conv2d_input_grad: defineOp({
    doc: 'The gradient of `conv2d` by its input, which has `input` = (height, width); a transposed convolution of dy. `torch.nn.functional.conv_transpose2d`.',
    operands: [
      { name: 'dy', elem: 'float' },
      { name: 'w', elem: 'same' },
    ],
    attrs: { ...CONV_ATTRS, input: { type: 'dims', length: 2 } },
    shape: ([dy, w], attrs, ctx) => {
      const [h, wd] = sizes(attrs, 'input') as readonly [Dim, Dim];
      const wrong = rankFault(dy!, 0, 'the gradient [batch, out, height, width]') ?? rankFault(w!, 1, 'the weight');
      if (wrong) return wrong;
      const channels = mul(w!.shape[1]!, num(attrs, 'groups'));
      const x: TensorType = { elem: dy!.elem, shape: [dy!.shape[0]!, channels, h, wd] };
      const fault = sameAsForward(x, w!, dy!, attrs, ctx);
      return fault ?? [x];
    },
    grad: (b, op, [ddx]) => {
      if (!ddx) return [null, null];
      const [dy, w] = [op.operands[0]!, op.operands[1]!];
      const kernel = w.type.shape.slice(2).map(staticSize);
      return [
        b.one('conv2d', [ddx, w], shared(op.attrs)),
        b.one('conv2d_weight_grad', [ddx, dy], { ...shared(op.attrs), kernel }),
      ];
    },
    lower: { kind: 'family', family: 'conv2d_input_grad' },
    reference: single(([dy, w], op, { elem, shape }) => convGradInput(dy!, w!, op.attrs, ndarray(elem, shape))),
  }),
  conv2d_weight_grad: defineOp({
    doc: 'The gradient of `conv2d` by its weight, whose kernel is (height, width).',
    operands: [
      { name: 'x', elem: 'float' },
      { name: 'dy', elem: 'same' },
    ],
    attrs: { ...CONV_ATTRS, kernel: { type: 'ints', length: 2 } },
    shape: ([x, dy], attrs, ctx) => {
      const groups = num(attrs, 'groups');
      const wrong =
        rankFault(x!, 0, 'the input [batch, channels, height, width]') ??
        rankFault(dy!, 1, 'the gradient [batch, out, height, width]') ??
        groupsFault(x!.shape[1]!, 'input', attrs);
      if (wrong) return wrong;
      const [kh, kw] = ints2(attrs, 'kernel');
      const w: TensorType = {
        elem: x!.elem,
        shape: [dy!.shape[1]!, divideExactly(x!.shape[1]!, groups), dim(kh), dim(kw)],
      };
      return sameAsForward(x!, w, dy!, attrs, ctx) ?? [w];
    },
    grad: (b, op, [ddw]) => {
      if (!ddw) return [null, null];
      const [x, dy] = [op.operands[0]!, op.operands[1]!];
      const input = x.type.shape.slice(2);
      return [
        b.one('conv2d_input_grad', [dy, ddw], { ...shared(op.attrs), input }),
        b.one('conv2d', [x, ddw], shared(op.attrs)),
      ];
    },
    lower: { kind: 'family', family: 'conv2d_weight_grad' },
    reference: single(([x, dy], op, { elem, shape }) => convGradWeight(x!, dy!, op.attrs, ndarray(elem, shape))),
  }),
} satisfies Record<string, OpDef>;

const divideExactly = (d: Dim, n: number): Dim => (n === 1 ? d : div(d, n));

/** Requires dy to have the shape that `conv2d(x, w)` has. */
function sameAsForward(
  x: TensorType,
  w: TensorType,
  dy: TensorType,
  attrs: Attrs,
  ctx: ShapeContext,
): ShapeFault | null {
  const shape = convShape(x, w, attrs, ctx);
  if (isFault(shape)) return shape;
  const what = `the gradient is ${text(dy.shape)}, the convolution gives ${text(shape)}`;
  return shape.every((d, i) => ctx.equal(d, dy.shape[i]!, what)) ? null : fault(what);
}
