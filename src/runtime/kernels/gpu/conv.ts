/**
 * Convolution and its gradients on a GPU as matrix products whose second operand is read where it lies: no matrix of
 * patches is ever built. Each group is an item of the batch. Gradients gather, so that no two invocations meet.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelBuilder } from '../../../codegen/builder.ts';
import type { KernelCall } from '../../../codegen/call.ts';
import type { KExpr } from '../../../codegen/kernel.ts';
import * as D from '../../../ir/dim.ts';
import type { Origin } from '../../../ir/ir.ts';
import type { CallBuilder } from '../call-builder.ts';
import type { ConvSpec } from '../conv.ts';
import { conv2dInputGradView, conv2dView, conv2dWeightGradView, tapCount } from '../conv.ts';
import type { Epilogue, ReadSource, Source } from '../epilogue.ts';
import type { Element, Operand } from './product.ts';
import { productCalls } from './product.ts';

/** Sizes of a convolution in a kernel: numbers where they are known, so that divisions by them are cheap. */
class Shape {
  readonly spec: ConvSpec;
  readonly inChannels: KExpr;
  readonly outChannels: KExpr;
  readonly height: KExpr;
  readonly width: KExpr;
  readonly outHeight: KExpr;
  readonly outWidth: KExpr;
  /** Channels of one group. */
  readonly groupIn: KExpr;
  readonly groupOut: KExpr;
  readonly taps: number;

  constructor(call: CallBuilder, spec: ConvSpec) {
    this.spec = spec;
    this.inChannels = call.fixed('in_channels', spec.inChannels);
    this.outChannels = call.fixed('out_channels', spec.outChannels);
    this.height = call.fixed('height', spec.height);
    this.width = call.fixed('width', spec.width);
    this.outHeight = call.fixed('out_height', spec.outHeight);
    this.outWidth = call.fixed('out_width', spec.outWidth);
    this.groupIn = K.div(this.inChannels, spec.groups);
    this.groupOut = K.div(this.outChannels, spec.groups);
    this.taps = spec.kernel[0] * spec.kernel[1];
  }

  /** (channel within the group, tap row, tap column) of a number that counts them. */
  tap(k: KernelBuilder, i: KExpr): readonly [channel: KExpr, row: KExpr, column: KExpr] {
    const within = k.let(K.rem(i, this.taps));
    const columns = this.spec.kernel[1];
    return [k.let(K.div(i, this.taps), 'channel'), k.let(K.div(within, columns)), k.let(K.rem(within, columns))];
  }

  /** The element of the input that a tap of output pixel (y, x) meets, where it is not padding. */
  input(
    k: KernelBuilder,
    read: ReadSource,
    plane: KExpr,
    [y, x]: readonly [KExpr, KExpr],
    [row, column]: readonly [KExpr, KExpr],
    give: (v: KExpr) => void,
  ): void {
    const { stride, padding, dilation } = this.spec;
    const h = k.let(K.sub(K.add(K.mul(y, stride[0]), K.mul(row, dilation[0])), padding[0]), 'h');
    const w = k.let(K.sub(K.add(K.mul(x, stride[1]), K.mul(column, dilation[1])), padding[2]), 'w');
    k.if(and(K.ge(h, 0), K.lt(h, this.height), K.ge(w, 0), K.lt(w, this.width)), () =>
      give(read(k, k.let(K.add(K.mul(K.add(K.mul(plane, this.height), h), this.width), w), 'from'), 1)),
    );
  }
}

const and = (...all: readonly KExpr[]): KExpr => all.reduce((a, b) => K.and(a, b));

/** A number that counts images and, in each, `area` pixels in rows of `width`. */
function pixel(k: KernelBuilder, i: KExpr, area: KExpr, width: KExpr): readonly [image: KExpr, y: KExpr, x: KExpr] {
  const within = k.let(K.rem(i, area), 'pixel');
  return [k.let(K.div(i, area), 'image'), k.let(K.div(within, width), 'y'), k.let(K.rem(within, width), 'x')];
}

const channelOf = (k: KernelBuilder, group: KExpr, perGroup: KExpr, channel: KExpr): KExpr =>
  k.let(K.add(K.mul(group, perGroup), channel), 'channel');

type Call = (
  s: ConvSpec,
  first: Source,
  second: Source,
  epilogue: Epilogue,
  origins: readonly Origin[],
) => KernelCall[];

/** y[n, o, p] = sum over (c, tap) of w[o, c, tap] * x[n, c, p + tap] */
export const convOnGrid: Call = (s, x, w, epilogue, origins) =>
  productCalls({
    name: 'conv2d',
    items: D.dim(s.groups),
    rows: D.div(s.outChannels, s.groups),
    cols: D.mul(s.batch, D.mul(s.outHeight, s.outWidth)),
    depth: tapCount(s, s.inChannels),
    view: conv2dView(s),
    epilogue,
    origins,
    operands: (call) => {
      const [readX, readW] = [call.source(x), call.source(w)];
      const c = new Shape(call, s);
      const area = K.mul(c.outHeight, c.outWidth);
      const image: Operand = {
        alongDepth: false,
        of: (_k, group) => (k, line, depth, give) => {
          const [channel, row, column] = c.tap(k, depth);
          const [n, y, z] = pixel(k, line, area, c.outWidth);
          const plane = K.add(K.mul(n, c.inChannels), channelOf(k, group, c.groupIn, channel));
          c.input(k, readX, plane, [y, z], [row, column], give);
        },
      };
      return [weightRows(c, readW), image];
    },
    where: (call) => {
      const c = new Shape(call, s);
      return imageWhere(K.mul(c.outHeight, c.outWidth), c.groupOut);
    },
  });

/** The weights as [output channel of the group, (c, tap)]. */
const weightRows = (c: Shape, read: ReadSource): Operand => ({
  alongDepth: true,
  of: (_k, group) => (k, line, depth, give) => {
    const row = K.mul(channelOf(k, group, c.groupOut, line), K.mul(c.groupIn, c.taps));
    give(read(k, k.let(K.add(row, depth), 'from'), 1));
  },
});

/** Rows are channels of a group, columns the pixels of all images. */
const imageWhere =
  (area: KExpr, perGroup: KExpr) =>
  (k: KernelBuilder, group: KExpr, row: KExpr, col: KExpr): { batch: KExpr; row: KExpr; col: KExpr } => ({
    batch: k.let(K.div(col, area), 'image'),
    row: channelOf(k, group, perGroup, row),
    col: k.let(K.rem(col, area), 'pixel'),
  });

/** dx[n, c, p] = sum over (o, tap) of w[o, c, tap] * dy[n, o, q] where the tap of q meets p */
export const convInputGradOnGrid: Call = (s, dy, w, epilogue, origins) =>
  productCalls({
    name: 'conv2d_input_grad',
    items: D.dim(s.groups),
    rows: D.div(s.inChannels, s.groups),
    cols: D.mul(s.batch, D.mul(s.height, s.width)),
    depth: tapCount(s, s.outChannels),
    view: conv2dInputGradView(s),
    epilogue,
    origins,
    operands: (call) => {
      const [readY, readW] = [call.source(dy), call.source(w)];
      const c = new Shape(call, s);
      const weights: Operand = {
        alongDepth: true,
        of: (_k, group) => (k, line, depth, give) => {
          const out = channelOf(k, group, c.groupOut, k.let(K.div(depth, c.taps)));
          const place = K.add(K.mul(K.add(K.mul(out, c.groupIn), line), c.taps), K.rem(depth, c.taps));
          give(read1(readW, k, place));
        },
      };
      return [weights, { alongDepth: false, of: (_k, group) => gradientAt(c, readY, group) }];
    },
    where: (call) => {
      const c = new Shape(call, s);
      return imageWhere(K.mul(c.height, c.width), c.groupIn);
    },
  });

const read1 = (read: ReadSource, k: KernelBuilder, at: KExpr): KExpr => read(k, k.let(at, 'from'), 1);

/** The gradient of the output pixel whose tap `depth` meets input pixel `line`, where there is one. */
function gradientAt(c: Shape, read: ReadSource, group: KExpr): Element {
  const { stride, padding, dilation } = c.spec;
  return (k, line, depth, give) => {
    const [channel, row, column] = c.tap(k, depth);
    const [n, h, w] = pixel(k, line, K.mul(c.height, c.width), c.width);
    const y = k.let(K.sub(K.add(h, padding[0]), K.mul(row, dilation[0])), 'y');
    const x = k.let(K.sub(K.add(w, padding[2]), K.mul(column, dilation[1])), 'x');
    const [oy, ox] = [k.let(K.div(y, stride[0])), k.let(K.div(x, stride[1]))];
    const whole = and(K.eq(K.mul(oy, stride[0]), y), K.eq(K.mul(ox, stride[1]), x));
    k.if(and(K.ge(y, 0), K.lt(oy, c.outHeight), K.ge(x, 0), K.lt(ox, c.outWidth), whole), () => {
      const plane = K.add(K.mul(n, c.outChannels), channelOf(k, group, c.groupOut, channel));
      give(read1(read, k, K.add(K.mul(K.add(K.mul(plane, c.outHeight), oy), c.outWidth), ox)));
    });
  };
}

/** dw[o, c, tap] = sum over (n, p) of dy[n, o, p] * x[n, c, p + tap] */
export const convWeightGradOnGrid: Call = (s, x, dy, epilogue, origins) =>
  productCalls({
    name: 'conv2d_weight_grad',
    items: D.dim(s.groups),
    rows: D.div(s.outChannels, s.groups),
    cols: tapCount(s, s.inChannels),
    depth: D.mul(s.batch, D.mul(s.outHeight, s.outWidth)),
    view: conv2dWeightGradView(s),
    epilogue,
    origins,
    operands: (call) => {
      const [readX, readY] = [call.source(x), call.source(dy)];
      const c = new Shape(call, s);
      const area = K.mul(c.outHeight, c.outWidth);
      const gradient: Operand = {
        alongDepth: true,
        of: (_k, group) => (k, line, depth, give) => {
          const image = k.let(K.div(depth, area), 'image');
          const plane = K.add(K.mul(image, c.outChannels), channelOf(k, group, c.groupOut, line));
          give(read1(readY, k, K.add(K.mul(plane, area), K.rem(depth, area))));
        },
      };
      const image: Operand = {
        alongDepth: true,
        of: (_k, group) => (k, line, depth, give) => {
          const [channel, row, column] = c.tap(k, line);
          const [n, y, z] = pixel(k, depth, area, c.outWidth);
          const plane = K.add(K.mul(n, c.inChannels), channelOf(k, group, c.groupIn, channel));
          c.input(k, readX, plane, [y, z], [row, column], give);
        },
      };
      return [gradient, image];
    },
    where: (call) => {
      const c = new Shape(call, s);
      return (k, group, row, col) => ({ batch: K.i32(0), row: channelOf(k, group, c.groupOut, row), col });
    },
  });
