/** The two layers of images that are short for an Upsample, beside PyTorch. */
import { liveTests, type LiveCase } from '../support/live.ts';

const image = (layer: string): LiveCase => ({
  layer: [layer, `nn.${layer.replaceAll(': ', '=').replaceAll('[', '(').replaceAll(']', ')')}`],
  net: 'layer(x)',
  torch: 'layer(x)',
  inputs: { x: [2, 3, 4, 5] },
});

liveTests({
  'nearest, to a size': image('UpsamplingNearest2d(size: [6, 3])'),
  'nearest, by a factor': image('UpsamplingNearest2d(scale_factor: 2.5)'),
  'bilinear, to a size': image('UpsamplingBilinear2d(size: [6, 9])'),
  'bilinear, by a factor': image('UpsamplingBilinear2d(scale_factor: 2.0)'),
});
