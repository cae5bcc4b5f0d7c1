/** 2-d convolution and its gradients: what they compute, and the kernels for each. */
import { type KernelCall, limitsOf, type Target } from '../../codegen/call.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Origin, TensorType } from '../../ir/ir.ts';
import { convolution } from './conv-forward.ts';
import { convInputGrad } from './conv-input.ts';
import type { Pair } from './conv-planes.ts';
import { convWeightGradByChannels, channelsFillVectors } from './conv-weight-channels.ts';
import { convWeightGrad } from './conv-weight.ts';
import { convInputGradOnGrid, convOnGrid, convWeightGradOnGrid } from './gpu/conv.ts';
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

export function conv2dCalls(
  s: ConvSpec,
  x: Source,
  w: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  if (target.kind === 'wgsl') return convOnGrid(s, x, w, epilogue, limitsOf(target), origins);
  return [convolution(s, x, w, epilogue, target, origins)];
}

export function conv2dInputGradCalls(
  s: ConvSpec,
  dy: Source,
  w: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  if (target.kind === 'wgsl') return convInputGradOnGrid(s, dy, w, epilogue, limitsOf(target), origins);
  return [convInputGrad(s, dy, w, epilogue, target, origins)];
}

export function conv2dWeightGradCalls(
  s: ConvSpec,
  x: Source,
  dy: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  if (target.kind === 'wgsl') return convWeightGradOnGrid(s, x, dy, epilogue, limitsOf(target), origins);
  const form = channelsFillVectors(s, target) ? convWeightGradByChannels : convWeightGrad;
  return [form(s, x, dy, epilogue, target, origins)];
}
