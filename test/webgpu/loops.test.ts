/** Loops and branches of the language on WebGPU: values, gradients and training as on the cpu, for lengths that only a call tells. */
import { compile } from '../../src/compile.ts';
import { device, randn, type Model, type Tensor } from '../../src/runtime/index.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const run = await onAdapter();

const SOURCE = `
import { Linear } from "std/nn"
import { cat } from "std/functional"
/// A loop over a symbol, with a branch by the data in it, and in that a loop and a branch.
export block Gated {
  cell = Linear(7, 4)
  out = Linear(4, 2)
  forward(x: f32[B, T, 3]) -> f32[B, 2] {
    h = full([B, 4], 0.0)
    for t in 0..T {
      h = tanh(cell(cat([x[:, t], h], 1)))
      if sum(h) > 0.0 {
        for s in 0..2 { h = h * 0.9 + 0.1 * sin(h) }
      } else {
        if amax(h) > 0.5 { h = -h } else { h = h * h }
      }
    }
    out(h)
  }
  loss(x: f32[B, T, 3], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  train { loss = loss; optimizer = Adam(lr: 0.02) }
}
/// A loop that data end, around a loop over a symbol, under a branch.
export block Settling {
  cell = Linear(4, 4)
  forward(x: f32[B, T, 4]) -> f32[B, 4] {
    h = mean(x, dim: 1)
    if sum(h) < 100.0 {
      while amax(abs(h)) > 0.3 {
        for t in 0..T { h = h + 0.1 * tanh(cell(x[:, t])) }
        h = h * 0.5
      }
    }
    h
  }
  loss(x: f32[B, T, 4], y: f32[B, 4]) -> f32[] => mse_loss(forward(x), y)
  train { loss = loss; optimizer = SGD(lr: 0.1) }
}`;

const { blocks, diagnostics } = compile(SOURCE, { targets: ['wasm', 'webgpu'] });

const numbers = async (all: Iterable<Tensor>): Promise<number[]> =>
  (await Promise.all([...all].map(async (x) => [...(await x.read())]))).flat();
const gradients = (m: Model): Promise<number[]> => numbers([...m.parameters()].map((p) => p.grad!));

for (const [name, width, outputs] of [
  ['Gated', 3, 2],
  ['Settling', 4, 4],
] as const) {
  run(`${name}: forward, gradients and steps`, async (t) => {
    t.deepEqual(
      diagnostics.map((d) => d.message),
      [],
    );
    const on = await device('webgpu');
    const [cpu, gpu] = [await blocks[name]!.create({ seed: 2 }), await blocks[name]!.create({ seed: 2, device: on })];
    // Sums in another order, through loops of a dozen rounds: some 2^-24 each, of numbers near 1.
    const near = (what: string, a: readonly number[], b: readonly number[]): void => {
      t.is(a.length, b.length);
      a.forEach((v, i) =>
        t.true(Math.abs(v - b[i]!) <= 2e-6 * Math.max(1, Math.abs(b[i]!)), `${what} ${i}: ${v}, ${b[i]!}`),
      );
    };
    for (const [step, [rows, length]] of [
      [2, 5],
      [3, 1],
      [1, 9],
      [2, 5],
    ].entries()) {
      const x = randn([rows!, length!, width], { seed: step });
      const y = randn([rows!, outputs], { seed: 50 + step });
      const [gx, gy] = [await x.to(on), await y.to(on)];
      near(
        `T = ${length}, value`,
        await numbers([gpu.call('forward', [gx]) as Tensor]),
        await numbers([cpu.call('forward', [x]) as Tensor]),
      );
      gpu.backward(gx, gy);
      cpu.backward(x, y);
      near(`T = ${length}, gradient`, await gradients(gpu), await gradients(cpu));
      near('loss', await numbers([gpu.train_step(gx, gy).loss]), await numbers([cpu.train_step(x, y).loss]));
      near('after the step', await numbers(gpu.state_dict().values()), await numbers(cpu.state_dict().values()));
    }
  });
}
