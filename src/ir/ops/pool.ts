/** Rows of 2-d pooling over [N, C, H, W] and their gradients, which gather: each input sums what its windows send. */
import type { Dim } from '../dim.ts';
import { dim } from '../dim.ts';
import type { Attrs, TensorType } from '../ir.ts';
import { ndarray } from '../ndarray.ts';
import { flag, ints, ints2, ints4, numOrNull, sizes } from './attrs.ts';
import type { AttrSpec, OpDef, ShapeContext, ShapeFault } from './def.ts';
import { defineOp } from './define.ts';
import { single } from './pointwise.ts';
import { adaptiveAvgPool, adaptiveAvgPoolGrad, avgPool, avgPoolGrad, maxPool, maxPoolGrad } from './reference/pool.ts';
import type { Window } from './shapes.ts';
import { fault, isFault, text, windowFault, windows } from './shapes.ts';

/** Padding is (top, bottom, left, right). `ceil` keeps windows that hang over the end. */
const POOL_ATTRS = {
  kernel: { type: 'ints', length: 2 },
  stride: { type: 'ints', length: 2 },
  padding: { type: 'ints', default: [0, 0, 0, 0], length: 4 },
  ceil: { type: 'bool', default: false },
} satisfies Record<string, AttrSpec>;
const MAX_ATTRS = { ...POOL_ATTRS, dilation: { type: 'ints', default: [1, 1], length: 2 } } satisfies Record<
  string,
  AttrSpec
>;
const AVG_ATTRS = {
  ...POOL_ATTRS,
  count_include_pad: { type: 'bool', default: true },
  divisor: { type: 'int', default: null },
} satisfies Record<string, AttrSpec>;
const INPUT = { input: { type: 'dims', length: 2 } } satisfies Record<string, AttrSpec>;
const OUTPUT = { output: { type: 'ints', length: 2 } } satisfies Record<string, AttrSpec>;

const rankFault = (x: TensorType, operand = 0): ShapeFault | null =>
  x.shape.length === 4 ? null : fault(`pooling takes [batch, channels, height, width], not ${text(x.shape)}`, operand);

function pooled(x: TensorType, attrs: Attrs, ctx: ShapeContext): TensorType | ShapeFault {
  const wrong = rankFault(x);
  if (wrong) return wrong;
  const [k, s] = [ints2(attrs, 'kernel'), ints2(attrs, 'stride')];
  const [top, bottom, left, right] = ints4(attrs, 'padding');
  const d = attrs['dilation'] === undefined ? ([1, 1] as const) : ints2(attrs, 'dilation');
  const ceil = flag(attrs, 'ceil');
  if (Math.min(...k) < 1) return fault(`the kernel must be at least 1, not (${k.join(', ')})`);
  // PyTorch's bound: a window must not lie in the padding alone, for its maximum and mean would be those of nothing.
  if (Math.max(top, bottom) * 2 > d[0] * (k[0] - 1) + 1 || Math.max(left, right) * 2 > d[1] * (k[1] - 1) + 1) {
    return fault(`padding (${top}, ${bottom}, ${left}, ${right}) is more than half of the kernel (${k.join(', ')})`);
  }
  if (numOrNull(attrs, 'divisor') === 0) return fault('the divisor cannot be 0');
  const rows: Window = { kernel: dim(k[0]), stride: s[0], before: top, after: bottom, dilation: d[0], ceil };
  const columns: Window = { kernel: dim(k[1]), stride: s[1], before: left, after: right, dilation: d[1], ceil };
  const [n, c, h, w] = x.shape as readonly [Dim, Dim, Dim, Dim];
  const misfit = windowFault(h, rows, 'height', ctx) ?? windowFault(w, columns, 'width', ctx);
  return misfit ?? { elem: x.elem, shape: [n, c, windows(h, rows), windows(w, columns)] };
}

/** The type of the pooled tensor, if dy has it: then that of the input. */
function unpooled(
  x: TensorType,
  y: TensorType | ShapeFault,
  dy: TensorType,
  ctx: ShapeContext,
): readonly TensorType[] | ShapeFault {
  if (isFault(y)) return y;
  const what = `the gradient is ${text(dy.shape)}, pooling gives ${text(y.shape)}`;
  const fits = y.shape.length === dy.shape.length && y.shape.every((d, i) => ctx.equal(d, dy.shape[i]!, what));
  return fits ? [x] : fault(what);
}

const withInput = (dy: TensorType, attrs: Attrs): TensorType => ({
  elem: dy.elem,
  shape: [...dy.shape.slice(0, 2), ...sizes(attrs, 'input')],
});

const X = { name: 'x', elem: 'float' } as const;
const DY = { name: 'dy', elem: 'float' } as const;

export const poolOps = {
  max_pool2d: defineOp({
    doc: 'The maximum of each window; NaN wins. `torch.nn.functional.max_pool2d`.',
    operands: [X],
    attrs: MAX_ATTRS,
    shape: ([x], attrs, ctx) => {
      const y = pooled(x!, attrs, ctx);
      return isFault(y) ? y : [y];
    },
    grad: (b, op, [dy]) => [dy ? b.one('max_pool2d_grad', [op.operands[0]!, dy], op.attrs) : null],
    lower: { kind: 'family', family: 'max_pool2d' },
    reference: single(([x], op, { elem, shape }) => maxPool(x!, op.attrs, ndarray(elem, shape))),
  }),
  max_pool2d_grad: defineOp({
    doc: 'The gradient of `max_pool2d`: each window sends its gradient to its first maximum in row-major order.',
    operands: [X, { name: 'dy', elem: 'same' }],
    attrs: MAX_ATTRS,
    shape: ([x, dy], attrs, ctx) => unpooled(x!, pooled(x!, attrs, ctx), dy!, ctx),
    grad: {
      notDifferentiable: 'no op gathers the winners of windows; second derivatives of max pooling are not supported',
    },
    lower: { kind: 'family', family: 'max_pool2d_grad' },
    reference: single(([x, dy], op, { elem, shape }) => maxPoolGrad(x!, dy!, op.attrs, ndarray(elem, shape))),
  }),
  avg_pool2d: defineOp({
    doc: 'The mean of each window, over the whole window or what lies inside the input, or its sum over a fixed `divisor`. `torch.nn.functional.avg_pool2d`.',
    operands: [X],
    attrs: AVG_ATTRS,
    shape: ([x], attrs, ctx) => {
      const y = pooled(x!, attrs, ctx);
      return isFault(y) ? y : [y];
    },
    grad: (b, op, [dy]) => {
      const input = op.operands[0]!.type.shape.slice(2);
      return [dy ? b.one('avg_pool2d_grad', [dy], { ...op.attrs, input }) : null];
    },
    lower: { kind: 'family', family: 'avg_pool2d' },
    reference: single(([x], op, { elem, shape }) => avgPool(x!, op.attrs, ndarray(elem, shape))),
  }),
  avg_pool2d_grad: defineOp({
    doc: 'The gradient of `avg_pool2d` by its input, which has `input` = (height, width).',
    operands: [DY],
    attrs: { ...AVG_ATTRS, ...INPUT },
    shape: ([dy], attrs, ctx) => {
      const wrong = rankFault(dy!);
      if (wrong) return wrong;
      const x = withInput(dy!, attrs);
      return unpooled(x, pooled(x, attrs, ctx), dy!, ctx);
    },
    grad: (b, op, [ddx]) => {
      const { input: _, ...attrs } = op.attrs;
      return [ddx ? b.one('avg_pool2d', [ddx], attrs) : null];
    },
    lower: { kind: 'family', family: 'avg_pool2d_grad' },
    reference: single(([dy], op, { elem, shape }) => avgPoolGrad(dy!, op.attrs, ndarray(elem, shape))),
  }),
  adaptive_avg_pool2d: defineOp({
    doc: 'Means of output[0] x output[1] windows, floor(i * n / count) to ceil((i + 1) * n / count). `torch.nn.functional.adaptive_avg_pool2d`.',
    operands: [X],
    attrs: OUTPUT,
    shape: ([x], attrs, ctx) => {
      const wrong = rankFault(x!);
      if (wrong) return wrong;
      if (ints(attrs, 'output').some((n) => n < 1)) return fault('the output size must be at least 1');
      const [n, c, h, w] = x!.shape as readonly [Dim, Dim, Dim, Dim];
      const what = `the mean of an empty input ${text(x!.shape)} is undefined`;
      if (!ctx.atLeast(h, dim(1), what) || !ctx.atLeast(w, dim(1), what)) return fault(what, 0);
      return [{ elem: x!.elem, shape: [n, c, ...ints(attrs, 'output').map((o) => dim(o))] }];
    },
    grad: (b, op, [dy]) => {
      const input = op.operands[0]!.type.shape.slice(2);
      return [dy ? b.one('adaptive_avg_pool2d_grad', [dy], { input }) : null];
    },
    lower: { kind: 'family', family: 'adaptive_avg_pool2d' },
    reference: single(([x], _op, { elem, shape }) => adaptiveAvgPool(x!, ndarray(elem, shape))),
  }),
  adaptive_avg_pool2d_grad: defineOp({
    doc: 'The gradient of `adaptive_avg_pool2d` by its input, which has `input` = (height, width).',
    operands: [DY],
    attrs: INPUT,
    shape: ([dy], attrs) => rankFault(dy!) ?? [withInput(dy!, attrs)],
    grad: (b, op, [ddx]) => {
      if (!ddx) return [null];
      const output = op.operands[0]!.type.shape.slice(2).map((d) => {
        if (d.value === null) throw new TypeError(`the output of adaptive pooling is fixed at compile time, not ${d}`);
        return d.value;
      });
      return [b.one('adaptive_avg_pool2d', [ddx], { output })];
    },
    lower: { kind: 'family', family: 'adaptive_avg_pool2d_grad' },
    reference: single(([dy], _op, { elem, shape }) => adaptiveAvgPoolGrad(dy!, ndarray(elem, shape))),
  }),
} satisfies Record<string, OpDef>;
