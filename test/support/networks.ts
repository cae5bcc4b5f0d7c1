/** The reference networks: what PyTorch computed for each (test/reference/networks) and how close a result must come to it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { readSafetensors, type Stored } from './safetensors.ts';

export const NETWORKS = [
  'linreg',
  'mlp_softmax',
  'mlp_shared',
  'nest_mlp',
  'my_linear',
  'centered',
  'lenet',
  'alexnet_mini',
  'vgg_mini',
  'nin_mini',
  'resnet18_w10',
  'gpt2_mini',
  'encoder_layer_pre_gelu',
  'vae',
  'char_rnn',
  'char_gru',
  'char_lstm',
  'dcgan_g',
  'fixed_hidden_0',
  'fixed_hidden_1',
] as const;

export interface Reference {
  readonly name: string;
  /** Where the reference's files are. */
  readonly folder: string;
  /** The network in the language, with the SGD of the reference in its train block. */
  readonly source: string;
  /** Keys of the state dict in PyTorch's order. */
  readonly names: readonly string[];
  readonly params: ReadonlyMap<string, Stored>;
  /** Tensors that are in no state dict: `const` members. */
  readonly constants: ReadonlyMap<string, Stored>;
  readonly inputs: ReadonlyMap<string, Stored>;
  readonly outputs: ReadonlyMap<string, Stored>;
  readonly grads: ReadonlyMap<string, Stored>;
  /** Parameters after the steps. */
  readonly after: { readonly sgd: ReadonlyMap<string, Stored>; readonly adamw: ReadonlyMap<string, Stored> };
  readonly steps: number;
  readonly losses: { readonly sgd: readonly number[]; readonly adamw: readonly number[] };
  /** The largest difference between float32 and float64 in PyTorch, per tensor. */
  readonly noise: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** The same of the loss before each step. */
  readonly lossNoise: { readonly sgd: readonly number[] | undefined; readonly adamw: readonly number[] | undefined };
  readonly noisyUnderAdam: readonly string[];
}

const folder = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

export function reference(name: string): Reference {
  const at = `${folder('reference/networks')}/${name}`;
  const meta = JSON.parse(readFileSync(`${at}/meta.json`, 'utf8')) as {
    optimizers: { steps: number };
    losses_before_each_step: { sgd: number[]; adamw: number[] };
    noise_max_abs_f32_vs_f64: Record<string, Record<string, number>> & Record<`${string}_losses`, number[] | undefined>;
    adamw_noisy_parameters: string[];
    files: { 'params.safetensors': { tensors: Record<string, unknown> } };
  };
  const read = (part: string): Map<string, Stored> => readSafetensors(`${at}/${part}.safetensors`);
  const { steps } = meta.optimizers;
  return {
    name,
    folder: at,
    source: readFileSync(`${folder('networks')}/${name}.net`, 'utf8'),
    names: Object.keys(meta.files['params.safetensors'].tensors),
    params: read('params'),
    constants: existsSync(`${at}/constants.safetensors`) ? read('constants') : new Map(),
    inputs: read('inputs'),
    outputs: read('outputs'),
    grads: read('grads'),
    after: { sgd: read(`sgd${steps}`), adamw: read(`adamw${steps}`) },
    steps,
    losses: meta.losses_before_each_step,
    noise: meta.noise_max_abs_f32_vs_f64,
    lossNoise: {
      sgd: meta.noise_max_abs_f32_vs_f64[`sgd${steps}_losses`],
      adamw: meta.noise_max_abs_f32_vs_f64[`adamw${steps}_losses`],
    },
    noisyUnderAdam: meta.adamw_noisy_parameters,
  };
}

/** The same network trained by the AdamW of the reference: PyTorch's defaults. */
export const withAdamW = (source: string): string => source.replace(/optimizer = SGD\(.*\)/, 'optimizer = AdamW()');

/**
 * |a - b| <= max(1e-5 * scale, 8 * noise): scale is the largest magnitude of the expected tensor (below that, rounding of other
 * elements in the same sums dominates) and noise is what float32 itself loses in PyTorch.
 */
export function close(t: ExecutionContext, what: string, actual: ArrayLike<number>, expected: Stored, noise = 0): void {
  if (actual.length !== expected.data.length) {
    t.fail(`${what}: ${actual.length} elements instead of ${expected.data.length}`);
    return;
  }
  // NaN and infinities must be the same; they say nothing about the size of rounding errors.
  const scale = expected.data.reduce((m, x) => (Number.isFinite(x) ? Math.max(m, Math.abs(x)) : m), 0);
  const limit = Math.max(1e-5 * scale, Number.isFinite(noise) ? 8 * noise : 0);
  let worst = -1;
  let at = 0;
  for (let i = 0; i < actual.length; i++) {
    if (Object.is(actual[i], expected.data[i])) continue;
    const error = Math.abs(actual[i]! - expected.data[i]!);
    if (Number.isNaN(error) || error > worst) [worst, at] = [Number.isNaN(error) ? Infinity : error, i];
  }
  t.true(
    worst <= limit,
    `${what}: element ${at} is ${actual[at]}, PyTorch has ${expected.data[at]}; off by ${worst}, allowed ${limit}`,
  );
}
