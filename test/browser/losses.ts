/** Trains LeNet for some steps; runs unchanged in Node and in a page, so that the losses can be compared. */
import type { compile, devices, tensor } from '../../src/index.ts';
import type { CpuDevice } from '../../src/runtime/device.ts';

/** What both sides import from `netwright`. */
export interface Api {
  readonly compile: typeof compile;
  readonly devices: typeof devices;
  readonly tensor: typeof tensor;
}

export interface Run {
  readonly losses: readonly number[];
  /** What the last bit depends on. */
  readonly numerics: string;
  /** Kernels that threads shared. */
  readonly tasks: number;
}

const STEPS = 4;
const BATCH = 8;

/** Digits are patterns of sines here: what they show does not matter, that both sides have the same bits does. */
export async function lenetLosses({ compile, tensor }: Api, source: string, device: string, threads = 1): Promise<Run> {
  const { blocks, diagnostics } = compile(source, { targets: ['wasm', 'webgpu'] });
  if (diagnostics.length > 0) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const model = await blocks['LeNet']!.create({ seed: 7, device, threads });
  const workers =
    threads > 1 && typeof SharedArrayBuffer !== 'undefined' ? (model.device as CpuDevice).threads() : null;
  await workers?.ready();
  const pixels = Float32Array.from({ length: BATCH * 784 }, (_, i) => ((i * 7919) % 256) / 255);
  const labels = Int32Array.from({ length: BATCH }, (_, i) => (i * 3) % 10);
  const x = await tensor(pixels, { shape: [BATCH, 1, 28, 28] }).to(model.device);
  const y = await tensor(labels).to(model.device);
  const losses: number[] = [];
  for (let i = 0; i < STEPS; i++) losses.push(await model.train_step(x, y).loss.item());
  return { losses, numerics: model.device.numerics, tasks: workers?.tasks ?? 0 };
}
