/** A program of its own: prints what reductions give with and without subgroups, to the bit; drivers read the width of theirs from the environment. */
import { pathToFileURL } from 'node:url';
import { compile } from '../../src/compile.ts';
import { randn, type Tensor } from '../../src/runtime/index.ts';
import { WebGpuDevice } from '../../src/runtime/webgpu/device.ts';
import { webGpuDevices } from '../../src/runtime/webgpu/discover.ts';

/** Rows for a workgroup each, columns side by side, rows that several workgroups share, sums and maxima and places, and a step of training. */
export const REDUCING = `
import { LayerNorm } from "std/nn"
export block Net {
  param w: f32[1000] ~ randn()
  norm = LayerNorm(1000)
  forward(x: f32[6, 1000]) -> f32[6, 1000] => softmax(norm(x) * w, dim: -1)
  columns(x: f32[6, 1000]) -> f32[6] => sum(reshape(x, [1000, 6]), dim: 0)
  place(x: f32[6, 1000]) -> i32[6] => argmax(x * w, dim: -1)
  whole(x: f32[200, 1000]) -> f32[] => mean(exp(x)) + amax(x)
  loss(x: f32[6, 1000], y: f32[6, 1000]) -> f32[] => mse_loss(forward(x) * 1000.0, y)
  train { loss = loss; optimizer = AdamW(lr: 0.01) }
}`;

export interface Bits {
  readonly subgroup: number;
  readonly results: readonly string[];
}

async function bits(on: WebGpuDevice): Promise<Bits> {
  const { blocks, diagnostics } = compile(REDUCING, { targets: ['wasm', 'webgpu'] });
  const Net = blocks['Net'];
  if (!Net) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const model = await Net.create({ seed: 3, device: on });
  const [x, y, long] = await Promise.all(
    [randn([6, 1000], { seed: 1 }), randn([6, 1000], { seed: 2 }), randn([200, 1000], { seed: 4 })].map((t) =>
      t.to(on),
    ),
  );
  const tensors: Tensor[] = ['forward', 'columns', 'place'].map((m) => model.call(m, [x!]) as Tensor);
  tensors.push(model.call('whole', [long!]) as Tensor);
  for (let i = 0; i < 3; i++) tensors.push(model.train_step(x!, y!).loss);
  tensors.push(...model.state_dict().values());
  const results: string[] = [];
  for (const t of tensors) {
    const { buffer, byteOffset, byteLength } = await t.read();
    results.push(Buffer.from(buffer, byteOffset, byteLength).toString('base64'));
  }
  on.destroy();
  return { subgroup: on.subgroup, results };
}

/** The adapter, less a feature. */
function without(adapter: GPUAdapter, feature: GPUFeatureName): GPUAdapter {
  const features = new Set([...adapter.features].filter((f) => f !== feature));
  return {
    features,
    limits: adapter.limits,
    info: adapter.info,
    requestDevice: (d: GPUDeviceDescriptor) => adapter.requestDevice(d),
  } as unknown as GPUAdapter;
}

if (pathToFileURL(process.argv[1] ?? '').href === import.meta.url) {
  // An adapter opens one device.
  const open = async (wrap: (a: GPUAdapter) => GPUAdapter): Promise<WebGpuDevice> => {
    const [found] = await webGpuDevices();
    return WebGpuDevice.open(wrap(found!.adapter!), found!);
  };
  const pair = [await bits(await open((a) => a)), await bits(await open((a) => without(a, 'subgroups')))];
  process.stdout.write(JSON.stringify(pair), () => process.exit(0));
}
