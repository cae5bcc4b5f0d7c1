/**
 * Convolution and its gradients on a GPU as matrix products whose second operand is read where it lies: no matrix of
 * patches is ever built. Each group is an item of the batch. Gradients gather, so that no two invocations meet.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelBuilder } from '../../../codegen/builder.ts';
import type { KernelCall } from '../../../codegen/call.ts';
import type { KExpr } from '../../../codegen/kernel.ts';
import type { KernelLimits } from '../../../codegen/limits.ts';
import * as D from '../../../ir/dim.ts';
import type { Origin } from '../../../ir/ir.ts';
import type { CallBuilder } from '../call-builder.ts';
import type { ConvSpec } from '../conv.ts';
import { conv2dInputGradView, conv2dView, conv2dWeightGradView, tapCount } from '../conv.ts';
import type { Epilogue, Source } from '../epilogue.ts';
import { type Operand, type Place, sumOfParts } from './operand.ts';
import { productCalls } from './product.ts';

/** Sizes of a convolution in a kernel. */
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

  /** Input channel `channel` of a group, counted over all. */
  inChannel(group: KExpr, channel: KExpr): KExpr {
    return K.add(K.mul(group, this.groupIn), channel);
  }

  outChannel(group: KExpr, channel: KExpr): KExpr {
    return K.add(K.mul(group, this.groupOut), channel);
  }

  /** A number that counts channels and, in each, taps in rows: the channel, and how far the tap lies from the first. */
  tap(k: KernelBuilder, i: KExpr): readonly [channel: KExpr, down: KExpr, right: KExpr] {
    const { kernel, dilation } = this.spec;
    const within = k.let(K.rem(i, this.taps), 'tap');
    const [row, column] = [K.div(within, kernel[1]), K.rem(within, kernel[1])];
    return [K.div(i, this.taps), K.mul(row, dilation[0]), K.mul(column, dilation[1])];
  }

  /** A number that counts images and, in each, pixels of the output: the image, and the input pixel that its first tap meets. */
  window(k: KernelBuilder, i: KExpr): readonly [image: KExpr, top: KExpr, left: KExpr] {
    const { stride, padding } = this.spec;
    const [image, y, x] = pixel(k, i, this.outHeight, this.outWidth);
    return [image, K.sub(K.mul(y, stride[0]), padding[0]), K.sub(K.mul(x, stride[1]), padding[2])];
  }

  /** The input under a tap of a window, where that is not padding. */
  underTap(k: KernelBuilder, planes: readonly KExpr[], [top, down]: Two, [left, right]: Two): Place {
    const [h, w] = [k.let(K.add(top, down), 'h'), k.let(K.add(left, right), 'w')];
    const plane = planes.reduce((a, b) => K.add(a, b));
    return {
      index: K.add(K.mul(K.add(K.mul(plane, this.height), h), this.width), w),
      inside: and(K.ge(h, 0), K.lt(h, this.height), K.ge(w, 0), K.lt(w, this.width)),
    };
  }
}

type Two = readonly [KExpr, KExpr];

const and = (...all: readonly KExpr[]): KExpr => all.reduce((a, b) => K.and(a, b));

/** A number that counts images and, in each, pixels in rows. */
function pixel(k: KernelBuilder, i: KExpr, height: KExpr, width: KExpr): readonly [image: KExpr, y: KExpr, x: KExpr] {
  const line = k.let(K.div(i, width), 'line');
  const [image, y, x] = [K.div(line, height), K.rem(line, height), K.rem(i, width)];
  return [k.let(image, 'image'), k.let(y, 'y'), k.let(x, 'x')];
}

type Call = (
  s: ConvSpec,
  first: Source,
  second: Source,
  epilogue: Epilogue,
  limits: KernelLimits,
  origins: readonly Origin[],
) => KernelCall[];

/** y[n, o, p] = sum over (c, tap) of w[o, c, tap] * x[n, c, p + tap] */
export const convOnGrid: Call = (s, x, w, epilogue, limits, origins) =>
  productCalls({
    name: 'conv2d',
    items: D.dim(s.groups),
    rows: D.div(s.outChannels, s.groups),
    cols: D.mul(s.batch, D.mul(s.outHeight, s.outWidth)),
    depth: tapCount(s, s.inChannels),
    view: conv2dView(s),
    epilogue,
    limits,
    origins,
    operands: (call) => {
      const [readX, readW] = [call.source(x), call.source(w)];
      const c = new Shape(call, s);
      // The weights are [output channel, (c, tap)].
      const weights: Operand = {
        read: readW,
        alongDepth: true,
        line: (_k, group, line) => [K.mul(c.outChannel(group, line), K.mul(c.groupIn, c.taps))],
        depth: (_k, _group, depth) => [depth],
        meet: sumOfParts,
      };
      const image: Operand = {
        read: readX,
        alongDepth: false,
        line: (k, group, line) => {
          const [n, top, left] = c.window(k, line);
          return [K.add(K.mul(n, c.inChannels), c.inChannel(group, K.i32(0))), top, left];
        },
        depth: (k, _group, depth) => c.tap(k, depth),
        meet: (k, [plane, top, left], [channel, down, right]) =>
          c.underTap(k, [plane!, channel!], [top!, down!], [left!, right!]),
      };
      return [weights, image];
    },
    where: (call) => {
      const c = new Shape(call, s);
      return imageWhere(K.mul(c.outHeight, c.outWidth), c.groupOut);
    },
  });

/** Rows are channels of a group, columns the pixels of all images. */
const imageWhere =
  (area: KExpr, perGroup: KExpr) =>
  (k: KernelBuilder, group: KExpr, row: KExpr, col: KExpr): { batch: KExpr; row: KExpr; col: KExpr } => ({
    batch: k.let(K.div(col, area), 'image'),
    row: k.let(K.add(K.mul(group, perGroup), row), 'channel'),
    col: k.let(K.rem(col, area), 'pixel'),
  });

/** dx[n, c, p] = sum over (o, tap) of w[o, c, tap] * dy[n, o, q] where the tap of q meets p */
export const convInputGradOnGrid: Call = (s, dy, w, epilogue, limits, origins) =>
  productCalls({
    name: 'conv2d_input_grad',
    items: D.dim(s.groups),
    rows: D.div(s.inChannels, s.groups),
    cols: D.mul(s.batch, D.mul(s.height, s.width)),
    depth: tapCount(s, s.outChannels),
    view: conv2dInputGradView(s),
    epilogue,
    limits,
    origins,
    operands: (call) => {
      const [readY, readW] = [call.source(dy), call.source(w)];
      const c = new Shape(call, s);
      const { stride, padding } = s;
      const weights: Operand = {
        read: readW,
        alongDepth: true,
        line: (_k, _group, line) => [K.mul(line, c.taps)],
        depth: (k, group, depth) => {
          const out = c.outChannel(group, k.let(K.div(depth, c.taps), 'channel'));
          return [K.add(K.mul(out, K.mul(c.groupIn, c.taps)), K.rem(depth, c.taps))];
        },
        meet: sumOfParts,
      };
      const gradient: Operand = {
        read: readY,
        alongDepth: false,
        line: (k, group, line) => {
          const [n, h, w] = pixel(k, line, c.height, c.width);
          const plane = K.add(K.mul(n, c.outChannels), c.outChannel(group, K.i32(0)));
          return [plane, K.add(h, padding[0]), K.add(w, padding[2])];
        },
        depth: (k, _group, depth) => c.tap(k, depth),
        meet: (k, [plane, h, w], [channel, down, right]) => {
          const [y, x] = [k.let(K.sub(h!, down!), 'y'), k.let(K.sub(w!, right!), 'x')];
          const [row, column] = [k.let(K.div(y, stride[0]), 'row'), k.let(K.div(x, stride[1]), 'column')];
          const whole = [...multiple(y, row, stride[0]), ...multiple(x, column, stride[1])];
          return {
            index: K.add(K.mul(K.add(K.mul(K.add(plane!, channel!), c.outHeight), row), c.outWidth), column),
            inside: and(K.ge(y, 0), K.lt(row, c.outHeight), K.ge(x, 0), K.lt(column, c.outWidth), ...whole),
          };
        },
      };
      return [weights, gradient];
    },
    where: (call) => {
      const c = new Shape(call, s);
      return imageWhere(K.mul(c.height, c.width), c.groupIn);
    },
  });

/** That `n` is `quotient` times `by`. */
const multiple = (n: KExpr, quotient: KExpr, by: number): readonly KExpr[] =>
  by === 1 ? [] : [K.eq(K.mul(quotient, by), n)];

/** dw[o, c, tap] = sum over (n, p) of dy[n, o, p] * x[n, c, p + tap] */
export const convWeightGradOnGrid: Call = (s, x, dy, epilogue, limits, origins) =>
  productCalls({
    name: 'conv2d_weight_grad',
    items: D.dim(s.groups),
    rows: D.div(s.outChannels, s.groups),
    cols: tapCount(s, s.inChannels),
    depth: D.mul(s.batch, D.mul(s.outHeight, s.outWidth)),
    view: conv2dWeightGradView(s),
    epilogue,
    limits,
    origins,
    operands: (call) => {
      const [readX, readY] = [call.source(x), call.source(dy)];
      const c = new Shape(call, s);
      const area = K.mul(c.outHeight, c.outWidth);
      const gradient: Operand = {
        read: readY,
        alongDepth: true,
        line: (_k, group, line) => [K.mul(c.outChannel(group, line), area)],
        depth: (k, _group, depth) => {
          const image = k.let(K.div(depth, area), 'image');
          return [K.add(K.mul(image, K.mul(c.outChannels, area)), K.sub(depth, K.mul(image, area)))];
        },
        meet: sumOfParts,
      };
      const image: Operand = {
        read: readX,
        alongDepth: true,
        line: (k, group, line) => {
          const [channel, down, right] = c.tap(k, line);
          return [c.inChannel(group, channel), down, right];
        },
        depth: (k, _group, depth) => {
          const [n, top, left] = c.window(k, depth);
          return [K.mul(n, c.inChannels), top, left];
        },
        meet: (k, [channel, down, right], [plane, top, left]) =>
          c.underTap(k, [plane!, channel!], [top!, down!], [left!, right!]),
      };
      return [gradient, image];
    },
    where: (call) => {
      const c = new Shape(call, s);
      return (k, group, row, col) => ({ batch: K.i32(0), row: k.let(c.outChannel(group, row), 'channel'), col });
    },
  });
