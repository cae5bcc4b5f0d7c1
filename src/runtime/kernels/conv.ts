/** 2-d convolution and its gradients: what they compute, and the kernels for each. */
import { type KernelCall, limitsOf, type Target } from '../../codegen/call.ts';
import { type Candidates, choose, mapCandidates } from '../../codegen/choose.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Origin, TensorType } from '../../ir/ir.ts';
import { convolution } from './conv-forward.ts';
import { convInputGrad, phaseSize, tapsMet } from './conv-input.ts';
import type { Pair } from './conv-planes.ts';
import { tilePlans } from './conv-tile.ts';
import { channelForms, convWeightGradByChannels } from './conv-weight-channels.ts';
import { convWeightGrad, dotTiles } from './conv-weight.ts';
import { convInputGradOnGrid, convOnGrid, convWeightGradOnGrid } from './gpu/conv.ts';
import { winograd, winogradForward, winogradInputGrad, winogradWins, type WinogradSpec } from './winograd.ts';
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

/** Of all weights. */
export const weightBytes = (s: ConvSpec): Dim => D.mul(4, D.mul(s.outChannels, tapCount(s, s.inChannels)));

/** `conv2d of B: 16>32x28x28, kernel 3x3` and what is not as usual. */
function convKey(family: string, s: ConvSpec): string {
  const { stride, padding, dilation, groups, kernel } = s;
  const rest = [
    ['stride', stride.join('x'), '1x1'],
    ['padding', padding.join(','), '0,0,0,0'],
    ['dilation', dilation.join('x'), '1x1'],
    ['groups', String(groups), '1'],
  ].flatMap(([name, value, usual]) => (value === usual ? [] : [`, ${name} ${value}`]));
  const sizes = `${s.inChannels}x${s.height}x${s.width} > ${s.outChannels}x${s.outHeight}x${s.outWidth}`;
  return `${family} of ${s.batch}: ${sizes}, kernel ${kernel.join('x')}${rest.join('')}`;
}

/** Winograd's form where there is one: first where it should win. */
function withWinograd<T>(
  [first, ...others]: Candidates<T>,
  spec: WinogradSpec | null,
  target: Target,
  form: (spec: WinogradSpec) => T,
): Candidates<T> {
  if (!spec || target.lanes === 1) return [first, ...others];
  const fast = { name: 'winograd', value: form(spec) };
  return winogradWins(spec, target) ? [fast, first, ...others] : [first, fast, ...others];
}

export function conv2dCalls(
  s: ConvSpec,
  x: Source,
  w: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  if (target.kind === 'wgsl') return convOnGrid(s, x, w, epilogue, limitsOf(target), origins);
  const tiles = tilePlans(D.div(s.outChannels, s.groups), D.mul(s.outHeight, s.outWidth), weightBytes(s), target);
  const forms = mapCandidates(tiles, (t) => () => [convolution(s, x, w, epilogue, target, t, origins)]);
  const view = conv2dView(s);
  const all = withWinograd(
    forms,
    winogradForward(s),
    target,
    (fast) => () => winograd('conv2d', fast, view, x, w, epilogue, target, origins),
  );
  return choose(target, convKey('conv2d', s), all)();
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
  const channels = D.div(s.inChannels, s.groups);
  const tiles = tilePlans(channels, D.mul(...phaseSize(s)), weightBytes(s), target, tapsMet(s));
  const forms = mapCandidates(tiles, (t) => () => [convInputGrad(s, dy, w, epilogue, target, t, origins)]);
  const view = conv2dInputGradView(s);
  const all = withWinograd(
    forms,
    winogradInputGrad(s),
    target,
    (fast) => () => winograd('conv2d_input_grad', fast, view, dy, w, epilogue, target, origins),
  );
  return choose(target, convKey('conv2d_input_grad', s), all)();
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
  const dots = mapCandidates(dotTiles(s, target), (t) => () => [
    convWeightGrad(s, x, dy, epilogue, target, t, origins),
  ]);
  const [first, ...others] = channelForms(s, target).map(({ name, value }) => ({
    name: `channels ${name}`,
    value: () => [convWeightGradByChannels(s, x, dy, epilogue, target, value, origins)],
  }));
  return choose(target, convKey('conv2d_weight_grad', s), first ? [first, ...others, ...dots] : dots)();
}
