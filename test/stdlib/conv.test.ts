/** Convolutions as functions of their weights, and the layers' sizes of results that are asked for, beside PyTorch. */
import { liveTests, type LiveCase } from '../support/live.ts';

const SHAPES = { 1: [2, 4, 9], 2: [2, 4, 7, 8], 3: [1, 4, 5, 6, 4] } as const;
const KERNELS = { 1: [4], 2: [4, 3], 3: [2, 3, 4] } as const;
const python = (text: string): string =>
  text.replaceAll(': ', '=').replaceAll('none', 'None').replaceAll('true', 'True');

const conv = (d: 1 | 2 | 3, options: string, groups = 1): LiveCase => ({
  net: `conv${d}d(x, w, b${options})`,
  torch: `F.conv${d}d(x, w, b${python(options)})`,
  inputs: { x: SHAPES[d], w: [6, 4 / groups, ...KERNELS[d]], b: [6] },
});
const turned = (d: 1 | 2 | 3, options: string, groups = 1): LiveCase => ({
  net: `conv_transpose${d}d(x, w, none${options})`,
  torch: `F.conv_transpose${d}d(x, w, None${python(options)})`,
  inputs: { x: SHAPES[d], w: [4, 6 / groups, ...KERNELS[d]] },
});
/** A layer and the size that its result shall have. */
const sized = (d: 1 | 2 | 3, options: string, size: string): LiveCase => ({
  layer: [`ConvTranspose${d}d(4, 3, ${options})`, `nn.ConvTranspose${d}d(4, 3, ${python(options)})`],
  net: `layer(x, output_size: [${size}])`,
  torch: `layer(x, output_size=[${size}])`,
  inputs: { x: SHAPES[d] },
});

liveTests({
  ...Object.fromEntries(
    ([1, 2, 3] as const).flatMap((d) => [
      [`${d}d`, conv(d, '')],
      [`${d}d, same`, conv(d, ', padding: "same"')],
      [`${d}d, same, dilated`, conv(d, ', padding: "same", dilation: 2, groups: 2', 2)],
      [`${d}d, valid`, conv(d, ', stride: 2, padding: "valid"')],
      [`${d}d, one number for all sides`, conv(d, ', stride: 2, padding: 1')],
      [`${d}d transposed`, turned(d, ', stride: 2, padding: 1, output_padding: 1, groups: 2', 2)],
    ]),
  ),
  '2d, a number for each side': conv(2, ', stride: (2, 1), padding: (0, 2), dilation: (1, 2), groups: 2', 2),
  '3d, a number for each side': conv(3, ', stride: (1, 2, 1), padding: (0, 2, 1), dilation: (2, 1, 1)'),
  '2d transposed, a number for each side': turned(2, ', (2, 3), (1, 0), (0, 2), 1, (2, 1)'),
  '1d transposed to a size': sized(1, '3, stride: 2', '20'),
  '2d transposed to a size': sized(2, '3, stride: (2, 3), padding: 1', '2, 3, 14, 24'),
  '3d transposed to a size': sized(3, '2, stride: (2, 1, 2)', '11, 7, 8'),
  'time first': {
    net: 'conv_tbc(x, w, b, 2)',
    torch: 'torch.conv_tbc(x, w, b, 2)',
    inputs: { x: [6, 2, 3], w: [4, 3, 5], b: [5] },
  },
  'windows as columns': {
    net: 'unfold(x, (2, 3), dilation: (2, 1), padding: (1, 2), stride: (1, 2))',
    torch: 'F.unfold(x, (2, 3), dilation=(2, 1), padding=(1, 2), stride=(1, 2))',
    inputs: { x: [2, 3, 6, 5] },
  },
  'columns as windows': {
    net: 'fold(x, (5, 6), 2, 1, 1, (2, 1))',
    torch: 'F.fold(x, (5, 6), 2, 1, 1, (2, 1))',
    inputs: { x: [2, 12, 21] },
  },
});
