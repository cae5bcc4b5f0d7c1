/**
 * The workloads, as data: shapes of parameters and inputs, made by a counter-based hash (lowbias32) so that every implementation
 * starts from the same bits, with the first losses or logits that PyTorch gives. `peers/spec.py` is the same in Python.
 */

const mix = (n: number): number => {
  let x = n;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  x ^= x >>> 16;
  return x >>> 0;
};
const hash = (i: number, seed: number): number => mix((i + Math.imul(seed, 0x9e3779b9)) >>> 0);
const size = (s: readonly number[]): number => s.reduce((a, b) => a * b, 1);

/** float32 in [center - bound, center + bound). */
export function uniform(shape: readonly number[], seed: number, bound: number, center = 0): Float32Array {
  return Float32Array.from(
    { length: size(shape) },
    (_, i) => (2 * ((hash(i, seed) >>> 8) / 16777216) - 1) * bound + center,
  );
}

/** int32 in [0, k). */
const ints = (shape: readonly number[], seed: number, k: number): Int32Array =>
  Int32Array.from({ length: size(shape) }, (_, i) => (hash(i, seed) >>> 8) % k);

/** A parameter's seed is 100 * id + its place in the list. */
type ParamSpec = readonly [name: string, shape: readonly number[], bound: number, center: number];

const lin = (name: string, out: number, inp: number, bound = 1 / Math.sqrt(inp)): ParamSpec[] => [
  [`${name}.weight`, [out, inp], bound, 0],
  [`${name}.bias`, [out], bound, 0],
];
const conv = (name: string, o: number, i: number, k: number): ParamSpec[] => {
  const bound = 1 / Math.sqrt(i * k * k);
  return [
    [`${name}.weight`, [o, i, k, k], bound, 0],
    [`${name}.bias`, [o], bound, 0],
  ];
};
const layerNorm = (name: string, d: number): ParamSpec[] => [
  [`${name}.weight`, [d], 0, 1],
  [`${name}.bias`, [d], 0, 0],
];

const mlp = (): ParamSpec[] => [...lin('fc1', 256, 784), ...lin('fc2', 128, 256), ...lin('fc3', 10, 128)];
const lenet = (): ParamSpec[] => [
  ...conv('conv1', 6, 1, 5),
  ...conv('conv2', 16, 6, 5),
  ...lin('fc1', 120, 400),
  ...lin('fc2', 84, 120),
  ...lin('fc3', 10, 84),
];

function resnet(width: number, classes: number, stem: number, trained: boolean): ParamSpec[] {
  const he = (name: string, o: number, i: number, k: number): ParamSpec => [
    `${name}.weight`,
    [o, i, k, k],
    Math.sqrt(6 / (i * k * k)),
    0,
  ];
  const spread = trained ? 0 : 0.2;
  const norm = (name: string, c: number): ParamSpec[] => [
    [`${name}.weight`, [c], spread, 1],
    [`${name}.bias`, [c], spread, 0],
    [`${name}.running_mean`, [c], spread, 0],
    [`${name}.running_var`, [c], spread, 1],
  ];
  const blocks = [1, 2, 3, 4].flatMap((stage) =>
    [0, 1].flatMap((b): ParamSpec[] => {
      const o = width << (stage - 1);
      const first = b === 0 && stage > 1;
      const i = first ? o / 2 : o;
      const name = `layer${stage}.${b}`;
      return [
        he(`${name}.conv1`, o, i, 3),
        ...norm(`${name}.bn1`, o),
        he(`${name}.conv2`, o, o, 3),
        ...norm(`${name}.bn2`, o),
        ...(first ? [he(`${name}.downsample.0`, o, i, 1), ...norm(`${name}.downsample.1`, o)] : []),
      ];
    }),
  );
  return [he('conv1', width, 3, stem), ...norm('bn1', width), ...blocks, ...lin('fc', classes, width * 8)];
}

function gpt(): ParamSpec[] {
  const d = 128;
  const bound = 0.035;
  const dense = (name: string, o: number, i: number): ParamSpec[] => [
    [`${name}.weight`, [o, i], bound, 0],
    [`${name}.bias`, [o], 0, 0],
  ];
  return [
    ['wte.weight', [65, d], bound, 0],
    ['wpe.weight', [64, d], bound, 0],
    ...[0, 1, 2, 3].flatMap((k) => [
      ...layerNorm(`h.${k}.ln_1`, d),
      ...dense(`h.${k}.attn.c_attn`, 3 * d, d),
      ...dense(`h.${k}.attn.c_proj`, d, d),
      ...layerNorm(`h.${k}.ln_2`, d),
      ...dense(`h.${k}.mlp.c_fc`, 4 * d, d),
      ...dense(`h.${k}.mlp.c_proj`, d, 4 * d),
    ]),
    ...layerNorm('ln_f', d),
  ];
}

function lstm(): ParamSpec[] {
  const bound = 1 / Math.sqrt(128);
  return [
    ['emb.weight', [65, 64], 1, 0],
    ['lstm.weight_ih_l0', [512, 64], bound, 0],
    ['lstm.weight_hh_l0', [512, 128], bound, 0],
    ['lstm.bias_ih_l0', [512], bound, 0],
    ['lstm.bias_hh_l0', [512], bound, 0],
    ...lin('head', 65, 128),
  ];
}

export interface Workload {
  readonly id: number;
  readonly title: string;
  /** `networks/FILE.net` and its block. */
  readonly file: string;
  readonly block: string;
  readonly hyper: Readonly<Record<string, number>>;
  readonly params: () => ParamSpec[];
  readonly input: { readonly kind: 'images' | 'tokens'; readonly shape: readonly number[] };
  /** Labels of a training step; null: inference. */
  readonly target: { readonly shape: readonly number[]; readonly classes: number } | null;
  readonly gflop: number;
  /** First losses of training; the first, second and last logit of inference. */
  readonly expected: readonly number[];
  /** Largest relative difference to those; train-mode batch norm amplifies rounding (W4t). */
  readonly tolerance: number;
}

const train = (
  id: number,
  title: string,
  net: Pick<Workload, 'file' | 'block' | 'params'> & { hyper?: Workload['hyper'] },
  input: Workload['input'],
  target: Workload['target'],
  gflop: number,
  expected: readonly number[],
  tolerance = 1e-4,
): Workload => ({ id, title, hyper: {}, ...net, input, target, gflop, expected, tolerance });

const images = (...shape: number[]): Workload['input'] => ({ kind: 'images', shape });
const tokens = (...shape: number[]): Workload['input'] => ({ kind: 'tokens', shape });

const LENET = { file: 'lenet', block: 'LeNet', params: lenet };
const GPT = { file: 'gpt', block: 'GPT', params: gpt };

export const WORKLOADS: Readonly<Record<string, Workload>> = {
  W2: train(
    2,
    'MLP train step, batch 128',
    { file: 'mlp', block: 'MLP', params: mlp },
    images(128, 784),
    { shape: [128], classes: 10 },
    0.129,
    [2.29775, 2.29068, 2.28388, 2.27764, 2.27196, 2.26683],
  ),
  W3: train(
    3,
    'LeNet train step, batch 256',
    LENET,
    images(256, 1, 28, 28),
    { shape: [256], classes: 10 },
    0.58,
    [2.33929, 2.31624, 2.30382, 2.29709, 2.29346, 2.29151],
  ),
  W3i: train(
    3,
    'LeNet inference, batch 1',
    LENET,
    images(1, 1, 28, 28),
    null,
    0.00085,
    [-0.0307237, -0.436574, -0.432275],
  ),
  W4: train(
    4,
    'ResNet-18 inference, 1x3x224x224',
    {
      file: 'resnet',
      block: 'ResNet',
      hyper: { width: 64, classes: 1000, stem: 7 },
      params: () => resnet(64, 1000, 7, false),
    },
    images(1, 3, 224, 224),
    null,
    3.63,
    [-2.72979, 2.3532, -11.3661],
  ),
  W4t: train(
    7,
    'ResNet-18/4 train step, 16x3x32x32',
    {
      file: 'resnet',
      block: 'ResNet',
      hyper: { width: 16, classes: 10, stem: 3 },
      params: () => resnet(16, 10, 3, true),
    },
    images(16, 3, 32, 32),
    { shape: [16], classes: 10 },
    3.35,
    [2.34755, 1.76305, 1.27869, 0.970257, 0.71105, 0.479703],
    2e-2,
  ),
  W5: train(
    5,
    'GPT-mini train step, 8x64',
    GPT,
    tokens(8, 64),
    { shape: [8, 64], classes: 65 },
    2.64,
    [4.19705, 3.97806, 3.82473, 3.67154, 3.52461, 3.41515],
  ),
  W5i: train(5, 'GPT-mini forward, batch 1', GPT, tokens(1, 64), null, 0.11, [-0.247353, 0.0638785, 0.137929]),
  W6: train(
    6,
    'LSTM train step, 32x32',
    { file: 'lstm', block: 'CharLSTM', params: lstm },
    tokens(32, 32),
    { shape: [32, 32], classes: 65 },
    0.66,
    [4.17803, 4.17273, 4.16747, 4.16222, 4.15694, 4.15158],
  ),
};

export interface Data {
  readonly params: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  readonly x: Float32Array | Int32Array;
  readonly y: Int32Array | null;
}

export function dataOf(w: Workload): Data {
  const params = w
    .params()
    .map(
      ([name, shape, bound, center], i) =>
        [name, { shape, data: uniform(shape, 100 * w.id + i, bound, center) }] as const,
    );
  const seed = 100 * w.id + 4000;
  return {
    params: new Map(params),
    x: w.input.kind === 'images' ? uniform(w.input.shape, seed + 90, 0.5, 0.5) : ints(w.input.shape, seed + 91, 65),
    y: w.target ? ints(w.target.shape, seed + 92, w.target.classes) : null,
  };
}
