/** 2-d convolution and its gradients: what they compute, and the kernels for each. */
import type { KernelCall, Target } from '../../codegen/call.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Origin, TensorType } from '../../ir/ir.ts';
import { convolution } from './conv-forward.ts';
import type { Pair, Window } from './conv-unroll.ts';
import { convWeightGrad } from './conv-weight.ts';
import type { Epilogue, ResultView, Source } from './epilogue.ts';

/** x [batch, inChannels, height, width], w [outChannels, inChannels / groups, ...kernel], y [batch, outChannels, outHeight, outWidth]. */
export interface ConvSpec {
  readonly batch: Dim;
  readonly inChannels: Dim;
  readonly outChannels: Dim;
  readonly height: Dim;
  readonly width: Dim;
  readonly outHeight: Dim;
  readonly outWidth: Dim;
  readonly kernel: Pair;
  readonly stride: Pair;
  /** top, bottom, left, right */
  readonly padding: readonly [number, number, number, number];
  readonly dilation: Pair;
  readonly groups: number;
}

export type ConvAttrs = Pick<ConvSpec, 'stride' | 'padding' | 'dilation' | 'groups'>;

/** From the types of input, weight and output, whichever of them is the op's result. */
export function convSpec(x: TensorType, w: TensorType, y: TensorType, attrs: ConvAttrs): ConvSpec {
  const [batch, inChannels, height, width] = x.shape as readonly [Dim, Dim, Dim, Dim];
  const [, outChannels, outHeight, outWidth] = y.shape as readonly [Dim, Dim, Dim, Dim];
  const kernel: Pair = [known(w.shape[2]!), known(w.shape[3]!)];
  return { batch, inChannels, outChannels, height, width, outHeight, outWidth, kernel, ...attrs };
}

function known(d: Dim): number {
  if (d.value === null) throw new Error(`a convolution kernel of unknown size ${d}`);
  return d.value;
}

export const conv2dView = (s: ConvSpec): ResultView => ({
  batch: s.batch,
  rows: s.outChannels,
  cols: D.mul(s.outHeight, s.outWidth),
});

export const conv2dInputGradView = (s: ConvSpec): ResultView => ({
  batch: s.batch,
  rows: s.inChannels,
  cols: D.mul(s.height, s.width),
});

export const conv2dWeightGradView = (s: ConvSpec): ResultView => ({
  batch: D.dim(1),
  rows: s.outChannels,
  cols: tapCount(s, s.inChannels),
});

/** Elements of the kernel over the channels of one group. */
export const tapCount = (s: ConvSpec, channels: Dim): Dim =>
  D.mul(D.div(channels, s.groups), s.kernel[0] * s.kernel[1]);

export const forwardWindow = (s: ConvSpec): Window => ({
  kernel: s.kernel,
  stride: s.stride,
  dilation: s.dilation,
  padding: [s.padding[0], s.padding[2]],
  stuff: [1, 1],
});

export function conv2dCalls(
  s: ConvSpec,
  x: Source,
  w: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  const job = {
    name: 'conv2d',
    batch: s.batch,
    groups: s.groups,
    inChannels: s.inChannels,
    outChannels: s.outChannels,
    height: s.height,
    width: s.width,
    outHeight: s.outHeight,
    outWidth: s.outWidth,
    window: forwardWindow(s),
    flipped: false,
  };
  return [convolution(job, x, w, epilogue, conv2dView(s), target, origins)];
}

/**
 * The gradient by the input is a convolution of dy: the kernel turned by 180 degrees, input and output channels exchanged,
 * and a stride of the forward pass becomes zeros between the elements of dy.
 */
export function conv2dInputGradCalls(
  s: ConvSpec,
  dy: Source,
  w: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  const full = (axis: 0 | 1): number => s.dilation[axis] * (s.kernel[axis] - 1) - s.padding[axis * 2]!;
  const job = {
    name: 'conv2d_input_grad',
    batch: s.batch,
    groups: s.groups,
    inChannels: s.outChannels,
    outChannels: s.inChannels,
    height: s.outHeight,
    width: s.outWidth,
    outHeight: s.height,
    outWidth: s.width,
    window: { kernel: s.kernel, stride: [1, 1], dilation: s.dilation, padding: [full(0), full(1)], stuff: s.stride },
    flipped: true,
  } as const;
  return [convolution(job, dy, w, epilogue, conv2dInputGradView(s), target, origins)];
}

export function conv2dWeightGradCalls(
  s: ConvSpec,
  x: Source,
  dy: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  return [convWeightGrad(s, x, dy, epilogue, target, origins)];
}
