/** The train block on a real adapter: accumulation, averages and limits give the cpu's numbers, and runs resume to the bit. */
import { compile } from '../../src/compile.ts';
import { device, loadRun, randn, runToBytes, type Model, type Tensor } from '../../src/runtime/index.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const run = await onAdapter();

const SOURCE = `
import { Linear, Dropout } from "std/nn"
export block Net {
  net = seq { Linear(4, 8); tanh; Dropout(0.2); Linear(8, 2) }
  forward(x: f32[B, 4]) -> f32[B, 2] => net(x)
  loss(x: f32[B, 4], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  train {
    loss = loss; optimizer = AdamW(lr: 0.05); schedule = step_lr(step_size: 2)
    accumulate = 3; ema = 0.8; clip_norm = 0.7; clip_value = 0.5
  }
}`;
const { blocks } = compile(SOURCE, { targets: ['wasm', 'webgpu'] });
const Net = blocks['Net']!;
const batch = (i: number): [Tensor, Tensor] => [randn([6, 4], { seed: i }), randn([6, 2], { seed: 100 + i })];
const values = async (m: { state_dict(): Map<string, Tensor> }): Promise<number[]> =>
  (await Promise.all([...m.state_dict().values()].map(async (t) => [...(await t.read())]))).flat();
const step = async (m: Model, i: number): Promise<void> => {
  const [x, y] = batch(i);
  m.train_step(await x.to(m.device), await y.to(m.device));
};

run(
  'a train block with all its settings takes the steps of the cpu, and resumes in the middle of an update',
  async (t) => {
    const [cpu, gpu] = [await Net.create({ seed: 1 }), await Net.create({ seed: 1, device: await device('webgpu') })];
    let file = new Uint8Array();
    for (let i = 0; i < 11; i++) {
      if (i === 7) {
        const parts = await runToBytes(gpu, { step: gpu.step, epoch: 0, batch: i, seed: 1, extra: {} });
        file = new Uint8Array(Buffer.concat(parts));
      }
      await step(cpu, i);
      await step(gpu, i);
    }
    const close = (a: readonly number[], b: readonly number[]): boolean =>
      // Three updates of Adam on sums in another order.
      a.every((x, i) => Math.abs(x - b[i]!) <= 1e-4 * Math.max(1, Math.abs(b[i]!)));
    t.true(close(await values(gpu), await values(cpu)));
    t.true(close(await values(gpu.ema!), await values(cpu.ema!)));
    t.notDeepEqual(await values(gpu.ema!), await values(gpu));

    const resumed = await Net.create({ seed: 9, device: await device('webgpu') });
    t.deepEqual(loadRun(resumed, file).warnings, []);
    for (let i = 7; i < 11; i++) await step(resumed, i);
    t.deepEqual(await values(resumed), await values(gpu));
    t.deepEqual(await values(resumed.ema!), await values(gpu.ema!));
    const x = await batch(0)[0].to(gpu.device);
    const averaged = await (gpu.call('forward', [x], { ema: true }) as Tensor).read();
    t.deepEqual(await (resumed.call('forward', [x], { ema: true }) as Tensor).read(), averaged);
  },
);

const SCALED = `
import { Linear } from "std/nn"
export block Net {
  net = seq { Linear(4, 8); relu; Linear(8, 2) }
  forward(x: f32[B, 4]) -> f32[B, 2] => net(x)
  loss(x: f32[B, 4], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  train { loss = loss; optimizer = Adam(lr: 0.01); precision = f16; scaler = grad_scaler(growth_interval: 2) }
}`;

run('f16 with loss scaling: an overflow leaves all but the scale, which goes as on the cpu', async (t) => {
  const Scaled = compile(SCALED, { targets: ['wasm', 'webgpu'] }).blocks['Net']!;
  const [cpu, gpu] = [
    await Scaled.create({ seed: 1 }),
    await Scaled.create({ seed: 1, device: await device('webgpu') }),
  ];
  for (const i of [0, 1, 2, 3]) {
    const [x, y] = batch(i);
    if (i === 2) x.set([0, 0], Infinity);
    const before = await values(gpu);
    for (const m of [cpu, gpu]) m.train_step(await x.to(m.device), await y.to(m.device));
    if (i === 2) t.deepEqual(await values(gpu), before);
    else t.notDeepEqual(await values(gpu), before);
    t.deepEqual(await gpu.loss_scale!.read(), await cpu.loss_scale!.read());
  }
  const [a, b] = [await values(cpu), await values(gpu)];
  // Three updates of 0.01 whose gradients were rounded to f16.
  t.true(a.every((v, i) => Math.abs(v - b[i]!) <= 2e-3));
});

run('checkpoints change no bit', async (t) => {
  const trained = async (setting: string): Promise<number[]> => {
    const made = compile(SOURCE.replace('accumulate = 3', setting), { targets: ['wasm', 'webgpu'] });
    const gpu = await made.blocks['Net']!.create({ seed: 1, device: await device('webgpu') });
    for (let i = 0; i < 4; i++) await step(gpu, i);
    return values(gpu);
  };
  t.deepEqual(await trained('checkpoint net.*'), await trained('seed = 0'));
});
