/** Initialisers after construction give the bits that an `init` block gives, for the same path and seed. */
import test from 'ava';
import { readFileSync } from 'node:fs';
import {
  apply,
  compile,
  init,
  initialise,
  Tensor,
  UsageError,
  zeros,
  type Model,
  type Parameter,
} from '../../src/index.ts';

const FAR = `
fn far(a: float) -> f32[...S] {
  w = uniform(-a, a)
  where(abs(w) >= a / 2.0, w, 0.0)
}`;
const net = (rules: string): string =>
  `
import { BatchNorm1d, Conv2d, Linear } from "std/nn"
${FAR}
block Head(n: int) {
  fc = Linear(n, 3)
  forward(x: f32[B, n]) -> f32[B, 3] => fc(x)
}
export block Net {
  conv = Conv2d(1, 2, 3)
  net = seq { Linear(4, 6); BatchNorm1d(6); relu; Linear(6, 8) }
  head = Head(8)
  back = Linear(8, 3, bias: false)
  tie back.weight = head.fc.weight
  ${rules === '' ? '' : `init { ${rules} }`}
  forward(x: f32[B, 4]) -> f32[B, 3] => head(net(x))
}`;

async function modelOf(rules: string, seed: number): Promise<Model> {
  const { blocks, diagnostics } = compile(net(rules));
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'].create({ seed });
}
const bits = (m: Model): unknown => [...m.state_dict()].map(([k, x]) => [k, [...x.readSync()]]);

const RULES: readonly (readonly [string, string])[] = [
  ['Linear.weight', 'xavier_uniform(gain: 2.0)'],
  ['**.bias', 'normal(1.0, 0.5)'],
  ['net.0.weight', 'orthogonal()'],
  ['Conv2d.weight', 'dirac()'],
  ['head.**', 'trunc_normal(std: 0.02)'],
  ['head.fc.weight', 'sparse(0.5)'],
  ['**.weight', 'far(10.0)'],
  ['**.running_var', 'constant(2.0)'],
];

for (const [selector, rule] of RULES) {
  test(`${selector} ~ ${rule}, afterwards as in the file`, async (t) => {
    const [written, applied] = [await modelOf(`${selector} ~ ${rule}`, 7), await modelOf('', 7)];
    t.notDeepEqual(bits(applied), bits(written));
    const names = await apply(applied, selector, rule, { source: FAR });
    t.deepEqual(bits(applied), bits(written));
    t.is(new Set(names).size, names.length);
  });
}

test('another seed gives other values, the seed of the model those of its file', async (t) => {
  const [a, b] = [await modelOf('**.weight ~ normal()', 3), await modelOf('', 9)];
  await apply(b, '**.weight', 'normal()');
  t.notDeepEqual(bits(b), bits(a));
  await apply(b, '**.weight', 'normal()', { seed: 3 });
  const weights = (m: Model): unknown => (bits(m) as [string, number[]][]).filter(([k]) => k.endsWith('weight'));
  t.deepEqual(weights(b), weights(a));
});

test('one tensor: a parameter draws under its own name, another tensor under the path that it is given', async (t) => {
  const [written, model] = [
    await modelOf('net.0.weight ~ kaiming_normal(mode: "fan_out", nonlinearity: "relu")', 5),
    await modelOf('', 5),
  ];
  const { weight } = (model as unknown as { net: { weight: Parameter }[] }).net[0]!;
  const rule = { mode: 'fan_out', nonlinearity: 'relu', seed: 5 } as const;
  t.is(await init.kaiming_normal(weight, rule), weight);
  const expected = [...written.state_dict().get('net.0.weight')!.readSync()];
  t.deepEqual([...weight.data.readSync()], expected);
  const alone = await init.kaiming_normal(zeros([6, 4]), { ...rule, path: 'net.0.weight' });
  t.deepEqual([...alone.readSync()], expected);
  t.notDeepEqual([...(await init.kaiming_normal(zeros([6, 4]), rule)).readSync()], expected);
  const half = await initialise(
    zeros([6, 4], { dtype: 'bf16' }),
    'kaiming_normal(mode: "fan_out", nonlinearity: "relu")',
    { seed: 5, path: 'net.0.weight' },
  );
  // bf16 has 8 bits: half a unit of the last is 2^-9 of the value.
  t.true([...half.readSync()].every((v, i) => Math.abs(v - expected[i]!) <= Math.abs(expected[i]!) * 2 ** -8));
});

test('every initialiser of the library is there, by its name and with its arguments', async (t) => {
  const listed = [
    ...readFileSync('stdlib/init.net', 'utf8').matchAll(/^export fn (\w+)\([^)]*\)\s*-> (f32|E)\[/gm),
  ].map((m) => m[1]!);
  t.deepEqual(Object.keys(init).sort(), listed.sort());
  const x = zeros([4, 4]);
  t.deepEqual([...(await init.constant(x, { val: 3 })).readSync()], Array<number>(16).fill(3));
  t.deepEqual(
    [...(await init.eye(x)).readSync()].flatMap((v, i) => (v === 1 ? [i] : [])),
    [0, 5, 10, 15],
  );
  t.true([...(await init.uniform(x, { a: -3, b: -1e-7 })).readSync()].every((v) => v >= -3 && v < 0));
  t.is([...(await init.sparse(x, { sparsity: 0.5, std: 1 })).readSync()].filter((v) => v === 0).length, 8);
  await init.ones(x);
  await init.normal(x, { mean: 5, std: 0 });
  t.deepEqual([...x.readSync()], Array<number>(16).fill(5));
  await init.dirac(zeros([2, 2, 3]), { groups: 2 });
  for (const fill of [
    init.zeros,
    init.xavier_normal,
    init.xavier_uniform,
    init.kaiming_uniform,
    init.orthogonal,
    init.trunc_normal,
  ])
    t.true((await fill(x)) instanceof Tensor);
});

test('a function gets every parameter that the selector picks, with its name', async (t) => {
  const model = await modelOf('', 1);
  const seen: string[] = [];
  const names = await apply(model, 'Linear.bias', (p, name) => {
    seen.push(`${name} ${String(p.shape)}`);
    p.data.copy_(new Float32Array(p.size).fill(0.25));
  });
  t.deepEqual(seen, ['net.0.bias 6', 'net.3.bias 8', 'head.fc.bias 3']);
  t.deepEqual(names, ['net.0.bias', 'net.3.bias', 'head.fc.bias']);
  t.deepEqual([...model.state_dict().get('head.fc.bias')!.readSync()], [0.25, 0.25, 0.25]);
});

test('what cannot be is said, and nothing changes', async (t) => {
  const model = await modelOf('', 1);
  const before = bits(model);
  const fault = async (made: Promise<unknown>, message: RegExp): Promise<void> =>
    void (await t.throwsAsync(made, { instanceOf: UsageError, message }));
  await fault(
    apply(model, 'Linaer.weight', 'zeros()'),
    /Linaer\.weight picks nothing in Net: did you mean `Linear\.weight`/,
  );
  await fault(apply(model, 'a b', 'zeros()'), /a b is no selector[^]*NW1/);
  await fault(apply(model, '**.weight', 'xavier_unifrom()'), /xavier_unifrom\(\) cannot fill[^]*NW2[^]*xavier_uniform/);
  await fault(apply(model, '**.bias', 'xavier_uniform()'), /cannot fill/);
  await fault(init.uniform(zeros([2]), { a: NaN }), /a is NaN/);
  t.deepEqual(bits(model), before);
});
