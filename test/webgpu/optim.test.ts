/** Every optimizer of the library on WebGPU against PyTorch's steps. */
import { OPTIMIZER_CASES, type Stepper } from '../support/optimizer-cases.ts';
import { classOf } from '../support/machines.ts';
import { tensor } from '../../src/runtime/index.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const run = await onAdapter();

/** Some roundings of f32 at the size of the numbers involved, which are near 1. */
const NOISE = 1e-7;

async function onGpu(source: string): Promise<Stepper> {
  const model = await classOf(source, ['wasm', 'webgpu']).create({ device: 'webgpu' });
  const entry = model.artifact.methods.find((m) => m.name === 'loss')!;
  return {
    write: (name, data) => model.state_dict().get(name)!.copy_(data),
    read: (name) => model.state_dict().get(name)!.read(),
    step: async (args) => {
      const given = entry.args.map(({ name }) => {
        const { data, shape } = args.get(name)!;
        return tensor(Array.from(data), { shape }).to(model.device);
      });
      return model.train_step(...(await Promise.all(given))).loss.read();
    },
  };
}

for (const c of OPTIMIZER_CASES) run(c.name, (t) => c.check(t, onGpu, NOISE));
