/** Gradients of `while`, against derivatives written by hand: any number of iterations, nested, with parameters inside. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import { tensor, type Model } from '../../src/runtime/index.ts';
import { onAdapter } from '../support/webgpu-device.ts';

// Before the first test: ava takes none after a pause.
const onGpu = await onAdapter();

/** y = x * a^n: every iteration counts as much as every other, so none may be forgotten. */
const POWERS = `
export block Powers() {
  param a: f32[2] ~ constant(1.001)
  loss(x: f32[2], n: f32[]) -> f32[] {
    i = 0.0
    while i < n {
      x = x * a
      i = i + 1.0
    }
    sum(x)
  }
}
/// Rows of their own length, in a loop, under a condition; the condition of the loop depends on what it carries.
export block Nested() {
  param a: f32[] ~ constant(0.5)
  param b: f32[] ~ constant(3.0)
  loss(x: f32[T], limit: f32[]) -> f32[] {
    total = 0.0
    for t in 0..T {
      y = x[t] * b
      if y > 0.0 {
        while y > limit {
          k = y
          while k > 50.0 { k = k - 50.0 }
          y = y * a + 0.0 * k
        }
        total = total + y
      } else {
        total = total + y * y
      }
    }
    total
  }
}
`;
const { blocks, diagnostics } = compile(POWERS, { targets: ['wasm', 'webgpu'], verify: true });

test('both blocks compile', (t) => t.deepEqual(diagnostics, []));

const gradients = async (m: Model): Promise<number[]> => {
  const all = await Promise.all([...m.parameters()].map(async (p) => [...(await p.grad!.read())]));
  return all.flat();
};

for (const name of ['cpu', 'webgpu'] as const) {
  const lane = name === 'cpu' ? test : onGpu;
  // A GPU in software waits for the host after each short loop.
  const counts = name === 'cpu' ? [0, 1, 2, 63, 64, 65, 128, 129, 300, 1000] : [0, 1, 65, 130];

  lane(`${name}: every iteration is differentiated, whatever their number`, async (t) => {
    const m = await blocks['Powers']!.create({ device: name });
    const [x, A] = [[1, -2], Math.fround(1.001)];
    for (const n of counts) {
      const { loss } = m.backward(await tensor(x).to(m.device), await tensor(n).to(m.device));
      const want = x.map((v) => v * n * A ** (n - 1));
      // n roundings of each product, and as many of the sum: 2^-24 n in the mean, twice that at most here.
      const near = (got: number, w: number): boolean => Math.abs(got - w) <= 1.2e-7 * (n + 2) * (Math.abs(w) + 1);
      t.true(near(await loss.item(), -(A ** n)), `${n}`);
      (await gradients(m)).forEach((g, i) => t.true(near(g, want[i]!), `${n} iterations: ${g}, not ${want[i]!}`));
    }
  });

  lane(`${name}: in a for, under an if, around a while of its own`, async (t) => {
    const m = await blocks['Nested']!.create({ device: name });
    const x = [40, -1, 0.1, 7, 100];
    m.backward(await tensor(x).to(m.device), await tensor(2).to(m.device));
    // y_n = x b a^n with the least n for which y_n <= 2, or (x b)^2 where x is negative.
    let [da, db] = [0, 0];
    for (const v of x) {
      let [y, n] = [v * 3, 0];
      for (; y > 2; n++) y /= 2;
      da += v > 0 ? (n * y) / 0.5 : 0;
      db += v > 0 ? y / 3 : 2 * v * v * 3;
    }
    const [a, b] = await gradients(m);
    // A handful of f32 roundings of sums up to 100.
    t.true(Math.abs(a! - da) < 1e-4 && Math.abs(b! - db) < 1e-4, `${a}, ${b} instead of ${da}, ${db}`);
  });
}
