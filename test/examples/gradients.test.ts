/** `check --grad` over the examples and over every gradient that the library states: each is that of the value, by differences. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { elaborate } from '../../src/check/index.ts';
import type { StaticValue } from '../../src/check/elaborated.ts';
import { checkGradients } from '../../src/check-gradients.ts';
import { diskHost } from '../../src/cli/host.ts';
import { openProject } from '../../src/compile.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { STDLIB } from '../../src/stdlib.generated.ts';
import { ROOT } from '../support/cli.ts';
import { elaborated as programs } from '../support/elaborated.ts';

const elaborated = (source: string) => programs(source).block;

/** Widths at which one draw takes seconds. */
const SMALL: Readonly<Record<string, Readonly<Record<string, StaticValue>>>> = {
  alexnet: { width: 2, dropout: 0 },
  resnet18: { width: 4, num_classes: 10 },
  dcgan: { width: 2 },
  vgg: { widths: [4, 4, 8] },
  nin: { width: 4 },
  densenet: { growth: 4 },
  convnext: { depths: [1, 1], dims: [4, 8] },
  mamba: { vocab: 16, d_model: 8 },
  moe: { vocab: 16, d: 8, heads: 2, d_ff: 8 },
};
/** One point tells as much as it tells anywhere. */
const once = { draws: 1, seconds: Infinity, clock: () => 0 };

for (const file of readdirSync(join(ROOT, 'examples')).filter((f) => f.endsWith('.net'))) {
  const name = file.replace('.net', '');
  test.serial(`${name}: the gradient of the loss`, (t) => {
    t.timeout(120_000);
    const open = openProject(diskHost(join(ROOT, 'examples')), file);
    const checks = open.exports.flatMap((block) => {
      const made = elaborate(open.project, block, SMALL[name] ?? {}, new DiagnosticBag())!;
      return checkGradients(made, 0, once);
    });
    t.true(checks.length > 0);
    for (const { what, outcome } of checks) t.is(outcome.kind, 'agrees', `${what}: ${JSON.stringify(outcome)}`);
  });
}

/** A loss through each function of the library that states a gradient, w being f32[2, 3] around zero; null where they differ on purpose. */
const STATED: Readonly<Record<string, string | null>> = {
  atan: 'atan(4.0 * w)',
  asin: 'asin(0.9 * sin(w))',
  acos: 'acos(0.9 * sin(w))',
  sinh: 'sinh(w)',
  asinh: 'asinh(4.0 * w)',
  acosh: 'acosh(1.5 + w * w)',
  atanh: 'atanh(0.9 * sin(w))',
  lgamma: 'lgamma(0.5 + 3.0 * w * w)',
  gelu_erf: 'gelu(2.0 * w)',
  gelu_tanh: 'gelu(2.0 * w, approximate: "tanh")',
  length: 'norm(w, dim: [1])',
  put_at: 'max_unpool1d(reshape(w, [1, 2, 3]), reshape(arange(6), [1, 2, 3]), 2)',
  // As in PyTorch, which changes the table by `max_norm` before it reads, and divides gradients by how often a row is read.
  shortened: null,
  by_frequency: null,
};

test('every gradient that the library states is here', (t) => {
  const found = Object.values(STDLIB).flatMap((text) => {
    const functions = text.split(/^(?=(?:export )?fn )/m);
    return functions.flatMap((f) => (/^grad \(/m.test(f) ? [/fn (\w+)/.exec(f)![1]!] : []));
  });
  t.deepEqual([...found].sort(), Object.keys(STATED).sort());
});

for (const [name, call] of Object.entries(STATED)) {
  if (call === null) continue;
  test(`the library's ${name}`, (t) => {
    const block = elaborated(`export block Net {
      param w: f32[2, 3] ~ uniform(-1.0, 1.0)
      loss() -> f32[] {
        y = ${call}
        sum(sin(y) + y * y)
      }
    }`);
    const checks = checkGradients(block, 1);
    t.true(checks.some((c) => c.what === 'loss' && c.outcome.kind !== 'unknown'));
    // Some values are polynomials of the precision of f32, whose slopes are good to four digits.
    for (const { what, outcome: o } of checks)
      t.true(o.kind !== 'disagrees' || Math.abs(o.found / o.expected - 1) < 1e-4, `${what}: ${JSON.stringify(o)}`);
  });
}

test('what stands in stop_gradient is held while differences are taken, in loops and branches too', (t) => {
  const check = (body: string) =>
    checkGradients(
      elaborated(`export block Net { param w: f32[3] ~ uniform(0.2, 1.0); loss() -> f32[] { ${body} } }`),
      0,
    )[0]!.outcome.kind;
  t.is(check('sum(w * stop_gradient(w * w))'), 'agrees');
  t.is(check('h = w; for t in 0..3 { h = h * stop_gradient(sin(h)) + w }; sum(h)'), 'agrees');
  t.is(check('h = w; while sum(h) < 9.0 { h = h * (1.0 + stop_gradient(h)) }; sum(h)'), 'agrees');
  // A straight-through gradient, written with it: exact under this reading.
  t.is(check('sum(w * (w + stop_gradient(round(w) - w)))'), 'agrees');
});

test('a gradient without a factor is found, beside stop_gradient too', (t) => {
  const [stated] = checkGradients(
    elaborated(`
fn square(x: f32[N]) -> f32[N] => x * x
grad (dy) => dy * x
export block Net { param w: f32[3] ~ ones(); loss() -> f32[] => sum(square(w) * stop_gradient(w)) }`),
    0,
  );
  t.is(stated!.outcome.kind, 'disagrees');
});

test('no time is no answer, and no fault', (t) => {
  let now = 0;
  const clock = (): number => (now += 1000);
  const block = elaborated('export block Net { param w: f32[3] ~ ones(); loss() -> f32[] => sum(w * w) }');
  t.deepEqual(checkGradients(block, 0, { seconds: 1, clock })[0]!.outcome, {
    kind: 'unknown',
    reason: '1 s are not enough',
  });
});
