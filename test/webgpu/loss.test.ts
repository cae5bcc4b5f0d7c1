/** A device that goes away in the middle of training: a typed error, and a run that goes on elsewhere as if nothing had been. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { trainCommand } from '../../src/cli/commands/train.ts';
import { Fault } from '../../src/cli/fault.ts';
import { compile } from '../../src/compile.ts';
import { device, DeviceLostError, loadRun, randn, runToBytes, type Model } from '../../src/runtime/index.ts';
import { WebGpuDevice } from '../../src/runtime/webgpu/device.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const run = await onAdapter();

/** All that a run has to remember: draws, buffers, two moments, averages, a schedule, gradients that wait for an update. */
const SOURCE = `
import { Linear, BatchNorm1d, Dropout } from "std/nn"
export block Net {
  net = seq { Linear(4, 8); BatchNorm1d(8); relu; Dropout(0.3); Linear(8, 2) }
  loss(x: f32[B, 4], y: f32[B, 2]) -> f32[] => mse_loss(net(x), y)
  train { loss = loss; optimizer = AdamW(lr: 0.05); schedule = cosine_lr(total_steps: 12); accumulate = 2; ema = 0.9 }
}`;
const Net = compile(SOURCE, { targets: ['wasm', 'webgpu'] }).blocks['Net']!;
const STEPS = 12;

async function steps(model: Model, from: number, to: number): Promise<number[]> {
  const losses = [];
  for (let i = from; i < to; i++) {
    const [x, y] = [randn([6, 4], { seed: i }), randn([6, 2], { seed: 100 + i })];
    losses.push(model.train_step(await x.to(model.device), await y.to(model.device)).loss);
  }
  return Promise.all(losses.map((l) => l.item()));
}

async function saved(model: Model, batch: number): Promise<Uint8Array> {
  return new Uint8Array(
    Buffer.concat(await runToBytes(model, { step: model.step, epoch: 0, batch, seed: 1, extra: {} })),
  );
}

const gpu = async (): Promise<WebGpuDevice> => {
  const on = await device('webgpu');
  if (!(on instanceof WebGpuDevice)) throw new Error('not a GPU');
  return on;
};

run('a run goes on from its last state on a new device, to the same losses and the same state', async (t) => {
  const whole = await Net.create({ seed: 1, device: await gpu() });
  const losses = await steps(whole, 0, STEPS);
  const end = await saved(whole, STEPS);

  for (const stop of [4, 7]) {
    const on = await gpu();
    const model = await Net.create({ seed: 1, device: on });
    t.deepEqual(await steps(model, 0, stop), losses.slice(0, stop));
    const state = await saved(model, stop);
    const [x, y] = [await randn([6, 4]).to(on), await randn([6, 2]).to(on)];
    // It goes while steps are under way: what was done after the last state is done again.
    const ahead = steps(model, stop, stop + 2);
    on.gpu.destroy();
    await t.throwsAsync(ahead, { instanceOf: DeviceLostError, message: /create the model on a device anew/ });
    await on.lost;
    t.throws(() => model.train_step(x, y), { instanceOf: DeviceLostError });
    await t.throwsAsync(saved(model, stop), { instanceOf: DeviceLostError });

    const next = await gpu();
    t.not(next, on);
    const again = await Net.create({ seed: 99, device: next });
    t.deepEqual(loadRun(again, state).warnings, []);
    t.deepEqual(await steps(again, stop, STEPS), losses.slice(stop));
    t.deepEqual(await saved(again, STEPS), end, 'weights, buffers, moments, averages and counters');
  }
});

const LINE = `export block Line {
  param w: f32[1] ~ ones()
  loss(x: f32[B], y: f32[B]) -> f32[] => mse_loss(w * x, y)
  train { loss = loss; optimizer = Adam(lr: 0.01); epochs = 400; batch_size = 2 }
}`;

run('`netwright train` says how to go on', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-loss-'));
  const file = join(folder, 'line.net');
  writeFileSync(file, LINE);
  writeFileSync(join(folder, 'line.csv'), 'x,y\n' + Array.from({ length: 8 }, (_, i) => `${i},${2 * i}\n`).join(''));
  const runFile = join(folder, 'line.run.safetensors');
  const on = await gpu();
  const timer = setInterval(() => {
    if (!existsSync(runFile)) return;
    clearInterval(timer);
    on.gpu.destroy();
  }, 1);
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = () => true;
  try {
    const fault = await t.throwsAsync(
      trainCommand()
        .exitOverride()
        .parseAsync([
          'node',
          'netwright',
          file,
          '--data',
          join(folder, 'line.csv'),
          '--device',
          'webgpu',
          '--out',
          join(folder, 'line.safetensors'),
        ]),
      { instanceOf: Fault },
    );
    t.is(fault!.diagnostics[0]!.code, 'NW6001');
    t.regex(fault!.diagnostics[0]!.message, /was destroyed/);
    t.regex(fault!.diagnostics[0]!.help!, /line\.run\.safetensors.*--resume/s);
  } finally {
    process.stdout.write = write;
    clearInterval(timer);
  }
  t.true(readFileSync(runFile).length > 0);
});
