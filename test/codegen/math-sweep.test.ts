/**
 * The mathematical functions as compiled kernels, over all of f32: every 2039th bit pattern, which is 2.1 million numbers of all
 * magnitudes and both signs. Bounds are those that math.ts states; docs/guarantees.md lists them.
 */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { erf } from '../../src/ir/ops/special.ts';
import { tensor, thisMachine, type Tensor } from '../../src/runtime/index.ts';
import { onNative } from '../support/native.ts';

const STRIDE = 2039;
const SMALLEST_NORMAL = 2 ** -126;

interface Bound {
  readonly exact: (x: number) => number;
  readonly ulps: number;
  /** What is below the normal numbers may become 0. */
  readonly flushes?: true;
  /** In last places of 1: near its zeros a sine of a large number has the error of those, not of itself. */
  readonly ofOne?: true;
}

const BOUNDS: Readonly<Record<string, Bound>> = {
  exp: { exact: Math.exp, ulps: 1.2 },
  expm1: { exact: Math.expm1, ulps: 2 },
  log: { exact: Math.log, ulps: 1 },
  log1p: { exact: Math.log1p, ulps: 1.5 },
  tanh: { exact: Math.tanh, ulps: 6.5 },
  sigmoid: { exact: (x) => 1 / (1 + Math.exp(-x)), ulps: 2.5, flushes: true },
  erf: { exact: erf, ulps: 1.5 },
  sin: { exact: Math.sin, ulps: 1.01, ofOne: true },
  cos: { exact: Math.cos, ulps: 1.01, ofOne: true },
  rsqrt: { exact: (x) => 1 / Math.sqrt(x), ulps: 1.5 },
};

const inputs = new Float32Array(Uint32Array.from({ length: Math.ceil(2 ** 32 / STRIDE) }, (_, i) => i * STRIDE).buffer);

/** A float of the size of x has a last place of this size. */
function lastPlace(x: number): number {
  const size = Math.max(Math.abs(x), SMALLEST_NORMAL);
  return 2 ** (Math.floor(Math.log2(size)) - 23);
}

const lanes = { cpu: test, native: await onNative() };
const machine = await thisMachine();

/** All functions in one block: a C compiler starts once. */
const source = `export block F() { ${Object.keys(BOUNDS)
  .map((name) => `of_${name}(x: f32[N]) => ${name}(x)`)
  .join('; ')} }`;

for (const [name, { exact, ulps, flushes, ofOne }] of Object.entries(BOUNDS))
  for (const [device, lane] of Object.entries(lanes))
    lane(`${name} on ${device}: at most ${ulps} units in the last place, anywhere`, async (t) => {
      const { blocks, diagnostics } = compile(source, { targets: ['wasm', 'native'], ...(machine && { machine }) });
      if (!blocks['F']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
      const model = await blocks['F'].create({ device });
      const got = (model.call(`of_${name}`, [tensor(inputs, { device: model.device })]) as Tensor).readSync();
      let [worst, at] = [0, 0];
      inputs.forEach((x, i) => {
        const want = exact(x);
        const y = got[i]!;
        // Not a number, infinite, or too large for f32: the same, whatever the bound.
        if (!Number.isFinite(Math.fround(want))) {
          if (!Object.is(y, Math.fround(want))) [worst, at] = [Infinity, x];
          return;
        }
        if (flushes && Math.abs(want) < SMALLEST_NORMAL) return;
        const error = Math.abs(y - want) / lastPlace(ofOne ? 1 : want);
        if (!(error <= worst)) [worst, at] = [error, x];
      });
      t.true(worst <= ulps, `${name}(${at}) is off by ${worst} units in the last place`);
    });
