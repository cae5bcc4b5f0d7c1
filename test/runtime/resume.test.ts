/** A run that is stopped anywhere and goes on in a fresh model ends with the bits of the run that was never stopped. */
import test from 'ava';
import fc from 'fast-check';
import { compile } from '../../src/index.ts';
import { loadRun, runToBytes, tensor, type Model, type ModelClass } from '../../src/runtime/index.ts';

/** All that a run has to remember: draws, buffers, averages, a schedule, gradients that wait for an update. */
const SOURCE = `
import { Linear, BatchNorm1d, Dropout } from "std/nn"
export block Net {
  net = seq { Linear(4, 8); BatchNorm1d(8); relu; Dropout(0.3); Linear(8, 2) }
  loss(x: f32[B, 4], y: f32[B, 2]) -> f32[] => mse_loss(net(x), y)
  train {
    loss = loss
    optimizer = AdamW(lr: 0.05)
    schedule = cosine_lr(total_steps: 12)
    clip_norm = 0.5
    accumulate = 3
    ema = 0.9
  }
}`;

/** Batches of an epoch: no multiple of `accumulate`, so that the last update of an epoch is by fewer. */
const EPOCH = 7;
const STEPS = 3 * EPOCH;

const compiled = (): ModelClass => {
  const { blocks, diagnostics } = compile(SOURCE);
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'];
};
/** Compiled twice, as two processes would: a run that goes on shares nothing with the one that was stopped. */
const [First, Second] = [compiled(), compiled()];

function steps(model: Model, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const x = tensor(
      Float32Array.from({ length: 24 }, (_, k) => Math.sin(24 * i + k)),
      { shape: [6, 4] },
    );
    const y = tensor(
      Float32Array.from({ length: 12 }, (_, k) => Math.cos(12 * i + k)),
      { shape: [6, 2] },
    );
    model.train_step(x, y, (i + 1) % EPOCH === 0 ? { update: true } : {});
  }
}

/** Everything: parameters, buffers, optimizer, averages, counters. */
async function saved(model: Model, done: number): Promise<Uint8Array> {
  const place = { epoch: Math.floor(done / EPOCH), batch: done % EPOCH };
  const parts = await runToBytes(model, { step: model.step, ...place, seed: model.seed, extra: {} });
  return new Uint8Array(Buffer.concat(parts));
}

test('stopped at any batch, also between microbatches and at the end of an epoch, once or twice', async (t) => {
  const stops = fc.uniqueArray(fc.integer({ min: 0, max: STEPS }), { minLength: 1, maxLength: 2 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 1000 }), stops, async (seed, places) => {
      const whole = await First.create({ seed });
      steps(whole, 0, STEPS);
      let model = await First.create({ seed });
      let done = 0;
      for (const stop of places.sort((a, b) => a - b)) {
        steps(model, done, stop);
        const file = await saved(model, stop);
        model = await Second.create({ seed: seed + 1 });
        const { position, warnings } = loadRun(model, file);
        if (warnings.length > 0) throw new Error(warnings.join('\n'));
        done = position.epoch * EPOCH + position.batch;
      }
      steps(model, done, STEPS);
      const [a, b] = [await saved(model, STEPS), await saved(whole, STEPS)];
      if (Buffer.compare(a, b) !== 0) throw new Error(`stopped at ${places.join(' and ')}: the runs differ`);
    }),
    { numRuns: 15 },
  );
  t.pass();
});
