/**
 * Pools beside PyTorch: sizes of results, values, places of maxima and gradients over a grid of sizes, kernels, strides, paddings and
 * dilations, with windows that hang over the ends; what undoes them; sizes that stay; windows at random.
 */
import { liveTests, type Input, type LiveCase } from '../support/live.ts';

const python = (net: string): string =>
  net.replaceAll(': ', '=').replaceAll('true', 'True').replaceAll('false', 'False').replaceAll('none', 'None');
const each = <T>(...lists: readonly (readonly T[])[]): readonly (readonly T[])[] =>
  lists.reduce<readonly (readonly T[])[]>((rows, list) => rows.flatMap((row) => list.map((x) => [...row, x])), [[]]);

/** All options that PyTorch takes for a kernel: padding up to half of it, windows that fit. */
function grid(
  size: number,
  kernels: readonly number[],
  dilations: readonly number[],
): readonly Record<string, number>[] {
  return each(kernels, [1, 2, 3], [0, 1], dilations).flatMap(([kernel, stride, padding, dilation]) => {
    const [k, s, p, d] = [kernel!, stride!, padding!, dilation!];
    const fits = p * 2 <= k && size + 2 * p >= d * (k - 1) + 1;
    return fits ? [{ k, s, p, d }] : [];
  });
}

/** Many calls on one input. Ties are common among small integers, and the first of equals takes the gradient. */
const calls = (nets: readonly string[], shape: readonly number[], few: boolean): LiveCase => {
  const n = shape.reduce((a, b) => a * b, 1);
  const ties: Input = { f32: Array.from({ length: n }, (_, i) => (i * i * 7 + 3 * i) % 5), shape };
  const places = (net: string): boolean => net.includes('return_indices: true');
  return {
    net: [
      ...nets.map((net, i) => `${places(net) ? `(v${i}, i${i})` : `v${i}`} = ${net}`),
      `(${nets.flatMap((net, i) => (places(net) ? [`v${i}`, `i${i}`] : [`v${i}`])).join(', ')})`,
    ].join('\n'),
    torch: `(${nets.map((net) => `F.${python(net)}`).join(', ')})`,
    inputs: { x: few ? ties : shape },
  };
};

const max1d = (size: number, few: boolean): LiveCase =>
  calls(
    grid(size, [2, 3], [1, 2]).flatMap(({ k, s, p, d }) =>
      [true, false].map(
        (ceil) =>
          `max_pool1d(x, ${k}, stride: ${s}, padding: ${p}, dilation: ${d}, ceil_mode: ${ceil}, return_indices: ${d === 1})`,
      ),
    ),
    [1, 2, size],
    few,
  );
const avg1d = (size: number): LiveCase =>
  calls(
    grid(size, [2, 3], [1]).flatMap(({ k, s, p }) =>
      each([true, false], [true, false]).map(
        ([ceil, counted]) =>
          `avg_pool1d(x, ${k}, stride: ${s}, padding: ${p}, ceil_mode: ${ceil}, count_include_pad: ${counted})`,
      ),
    ),
    [1, 2, size],
    false,
  );
/** Another kernel, stride and padding along each side. */
const SIDES = [
  'kernel_size: (2, 3), stride: (1, 2), padding: (1, 0)',
  'kernel_size: (3, 2), stride: (3, 1), padding: (0, 1)',
  'kernel_size: (3, 3), stride: (2, 3), padding: (1, 1)',
];
const max2d = (size: readonly number[], few: boolean): LiveCase =>
  calls(
    SIDES.flatMap((sides) =>
      [true, false].map((ceil) => `max_pool2d(x, ${sides}, ceil_mode: ${ceil}, return_indices: true)`),
    ),
    [2, 2, ...size],
    few,
  );
const avg2d = (size: readonly number[]): LiveCase =>
  calls(
    SIDES.flatMap((sides) => [
      ...each([true, false], [true, false]).map(
        ([ceil, counted]) => `avg_pool2d(x, ${sides}, ceil_mode: ${ceil}, count_include_pad: ${counted})`,
      ),
      `avg_pool2d(x, ${sides}, ceil_mode: true, divisor_override: 3)`,
      `lp_pool2d(x, 2.0, ${sides.replace(/, padding.*/, '')}, ceil_mode: true)`,
    ]),
    [2, 2, ...size],
    false,
  );
const VOLUME = 'kernel_size: (2, 3, 2), stride: (2, 1, 3), padding: (1, 1, 0)';
const max3d = (size: readonly number[], few: boolean): LiveCase =>
  calls(
    [true, false].map((ceil) => `max_pool3d(x, ${VOLUME}, ceil_mode: ${ceil}, return_indices: true)`),
    [1, 2, ...size],
    few,
  );
const avg3d = (size: readonly number[]): LiveCase =>
  calls(
    [
      ...each([true, false], [true, false]).map(
        ([ceil, counted]) => `avg_pool3d(x, ${VOLUME}, ceil_mode: ${ceil}, count_include_pad: ${counted})`,
      ),
      `avg_pool3d(x, ${VOLUME}, divisor_override: 5)`,
      'lp_pool3d(x, 2.0, kernel_size: (2, 3, 2), stride: (2, 1, 3))',
    ],
    [1, 2, ...size],
    false,
  );

const ADAPTIVE = [
  ['2d', '(3, none)'],
  ['2d', '(none, 2)'],
  ['2d', '(5, 1)'],
  ['3d', '(2, none, 3)'],
  ['3d', '(none, none, 2)'],
  ['3d', '2'],
] as const;
const adaptive = (dims: string, output: string, few: boolean): LiveCase =>
  calls(
    [`adaptive_avg_pool${dims}(x, ${output})`, `adaptive_max_pool${dims}(x, ${output}, return_indices: true)`],
    dims === '2d' ? [2, 2, 7, 5] : [1, 2, 4, 5, 3],
    few,
  );

/** A layer and what undoes it; `size` is given to it where that is more than the usual one. */
const undone = (pool: string, unpool: string, shape: readonly number[], size = ''): LiveCase => ({
  layer: [`Both(${pool}, ${unpool})`, `Both(nn.${python(pool)}, nn.${python(unpool)})`],
  declarations: [
    'block Both(pool: block, unpool: block) { pool = pool; unpool = unpool }',
    `class Both(nn.Module):
    def __init__(self, pool, unpool): super().__init__(); self.pool, self.unpool = pool, unpool`,
  ],
  net: `(y, i) = layer.pool(x); layer.unpool(y * y, i${size})`,
  torch: `(lambda y, i: layer.unpool(y * y, i${python(size)}))(*layer.pool(x))`,
  inputs: { x: shape },
});

/** Windows that lie at whole steps lie there whatever is drawn. */
const drawn = (layer: string, shape: readonly number[]): LiveCase => ({
  layer: [layer, `nn.${python(layer)}`],
  net: 'layer(x)',
  torch: 'layer(x)',
  inputs: { x: shape },
});

const fractional = (d: number, options: string, shape: readonly number[]): LiveCase => ({
  net: `fractional_max_pool${d}d(x, ${options}, return_indices: true, _random_samples: u)`,
  torch: `F.fractional_max_pool${d}d(x, ${python(options)}, return_indices=True, _random_samples=u.detach())`,
  inputs: {
    x: shape,
    u: {
      given: Array.from({ length: 2 * 2 * d }, (_, i) => ((i * 5 + 3) % 16) / 16),
      shape: [2, 2, d],
    },
  },
});

liveTests({
  ...Object.fromEntries(
    [5, 6, 7, 8, 9].flatMap((n) => [
      [`max, ${n}`, max1d(n, false)],
      [`max with ties, ${n}`, max1d(n, true)],
      [`mean, ${n}`, avg1d(n)],
    ]),
  ),
  ...Object.fromEntries(
    [
      [5, 6],
      [6, 7],
      [8, 5],
    ].flatMap((n) => [
      [`max, ${n}`, max2d(n, false)],
      [`max with ties, ${n}`, max2d(n, true)],
      [`mean, ${n}`, avg2d(n)],
    ]),
  ),
  ...Object.fromEntries(
    [
      [3, 4, 5],
      [4, 3, 7],
    ].flatMap((n) => [
      [`max, ${n}`, max3d(n, false)],
      [`max with ties, ${n}`, max3d(n, true)],
      [`mean, ${n}`, avg3d(n)],
    ]),
  ),
  ...Object.fromEntries(
    ADAPTIVE.flatMap(([dims, output]) => [
      [`adaptive ${dims} to ${output}`, adaptive(dims, output, false)],
      [`adaptive ${dims} to ${output} with ties`, adaptive(dims, output, true)],
    ]),
  ),
  'adaptive 1d': calls(
    ['adaptive_avg_pool1d(x, 3)', 'adaptive_max_pool1d(x, 4, return_indices: true)', 'adaptive_max_pool1d(x, 3)'],
    [2, 2, 7],
    false,
  ),
  'undone 1d': undone('MaxPool1d(2, return_indices: true)', 'MaxUnpool1d(2)', [2, 3, 8]),
  'undone 1d, padded, of another size': undone(
    'MaxPool1d(3, stride: 2, padding: 1, return_indices: true)',
    'MaxUnpool1d(3, stride: 2, padding: 1)',
    [2, 3, 8],
    ', output_size: [8]',
  ),
  'undone 2d, overlapping': undone(
    'MaxPool2d(3, stride: 1, return_indices: true)',
    'MaxUnpool2d(3, stride: 1)',
    [2, 2, 5, 4],
  ),
  'undone 2d, of another size': undone(
    'MaxPool2d((2, 3), return_indices: true)',
    'MaxUnpool2d((2, 3))',
    [2, 2, 5, 7],
    ', output_size: [2, 2, 5, 7]',
  ),
  'undone 3d': undone('MaxPool3d(2, return_indices: true)', 'MaxUnpool3d(2)', [1, 2, 4, 4, 6]),
  'drawn 2d': drawn('FractionalMaxPool2d((3, 2), output_size: (3, 4), return_indices: true)', [2, 2, 7, 8]),
  'drawn 2d by ratio': drawn('FractionalMaxPool2d(2, output_ratio: (0.5, 0.25))', [2, 2, 8, 8]),
  'drawn 3d': drawn('FractionalMaxPool3d(2, output_size: (2, 3, 4))', [1, 2, 4, 6, 8]),
  'fractional 2d': fractional(2, '(2, 3), output_size: (3, 4)', [2, 2, 7, 9]),
  'fractional 2d by ratio': fractional(2, '2, output_ratio: (0.6, 0.4)', [2, 2, 7, 9]),
  'fractional 2d to one': fractional(2, '3, output_size: 1', [2, 2, 7, 9]),
  'fractional 3d': fractional(3, '2, output_size: (2, 3, 4)', [2, 2, 5, 6, 7]),
});
