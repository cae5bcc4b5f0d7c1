/**
 * Hyper-parameters of optimizers are numbers of the run, items of tuples included: groups that differ in them share kernels, and a
 * change needs no compiling. An optimizer that a user writes becomes the same kernels as the library's.
 */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { compile, tensor, type Artifact, type Model, type Tensor } from '../../src/index.ts';
import type { Step } from '../../src/runtime/artifact.ts';
import { evaluateNumber } from '../../src/runtime/numbers.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';

const withPyTorch = onPyTorch();

const net = (train: string, more = ''): string => `import { Linear } from "std/nn"
${more}
export block Net {
  a = Linear(4, 5)
  b = Linear(5, 3)
  loss(x: f32[B, 4], y: f32[B, 3]) -> f32[] => mse_loss(b(tanh(a(x))), y)
  train { loss = loss; ${train} }
}`;

function build(train: string, more = ''): Artifact {
  const { artifacts, diagnostics } = compile(net(train, more), { targets: ['wasm', 'webgpu'], verify: true });
  if (!artifacts[0]) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return artifacts[0];
}

async function model(train: string, more = ''): Promise<Model> {
  const { blocks, diagnostics } = compile(net(train, more));
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'].create({ seed: 3 });
}

const sines = (shape: number[], scale: number): Tensor => {
  const n = shape.reduce((p, d) => p * d, 1);
  return tensor(
    Array.from({ length: n }, (_, i) => Math.sin(i * scale)),
    { shape },
  );
};
const [X, Y] = [sines([6, 4], 1), sines([6, 3], 2)];

async function weights(m: Model): Promise<number[]> {
  const all = await Promise.all([...m.parameters()].map(async (p) => [...(await p.data.read())]));
  return all.flat();
}

async function stepped(m: Model, steps: number): Promise<number[]> {
  for (let i = 0; i < steps; i++) m.train_step(X, Y);
  return weights(m);
}

const kernelsOf = (steps: readonly Step[]): number[] => steps.flatMap((s) => (s.kind === 'kernel' ? [s.kernel] : []));
const stepOf = (a: Artifact): readonly Step[] => a.programs.find((p) => p.name === 'train_step')!.steps;

test('groups that differ in a tuple share their kernels', (t) => {
  const plain = build('optimizer = AdamW(lr: 0.1)');
  const groups = build('optimizer = AdamW(lr: 0.1); override **.bias { betas = (0.5, 0.75); eps = 1e-3 }');
  t.deepEqual(
    groups.train!.groups.map((g) => [g.hyper['betas.0'], g.hyper['betas.1'], g.hyper['eps']]),
    [
      [0.9, 0.999, 1e-8],
      [0.5, 0.75, 1e-3],
    ],
  );
  const [one, two] = [kernelsOf(stepOf(plain)), kernelsOf(stepOf(groups))];
  t.is(new Set(two).size, new Set(one).size, 'no kernel is made for the second group');
  t.is(two.length, one.length + 2, 'the update, and what counts its steps');
  const onGpu = (x: Artifact): number =>
    new Set(kernelsOf(x.webgpu!.programs.find((p) => p.name === 'train_step')!.steps)).size;
  t.is(onGpu(groups), onGpu(plain));
});

test('a change while it runs is what compiling with it would have been, bit for bit', async (t) => {
  for (const [name, from, to] of [
    ['AdamW', '(0.9, 0.999)', [0.5, 0.75]],
    ['RAdam', '(0.9, 0.999)', [0.8, 0.9]],
    ['Lion', '(0.9, 0.99)', [0.25, 0.5]],
  ] as const) {
    const changed = await model(`optimizer = ${name}(lr: 0.1, betas: ${from})`);
    to.forEach((b, i) => (changed.optimizer!.groups[0]![`betas.${i}`] = b));
    const got = await stepped(changed, 4);
    t.deepEqual(got, await stepped(await model(`optimizer = ${name}(lr: 0.1, betas: (${to.join()}))`), 4));
    t.notDeepEqual(got, await stepped(await model(`optimizer = ${name}(lr: 0.1, betas: ${from})`), 4));
  }
});

/** The library's own text in the user's file, one of its optimizers under another name. */
function copied(name: string): string {
  const library = readFileSync(new URL('../../stdlib/optim/optimizers.net', import.meta.url), 'utf8');
  return library.replaceAll(/^export /gm, '').replace(`optimizer ${name}(`, 'optimizer Mine(');
}

for (const name of ['SGD', 'Adam', 'AdamW', 'RAdam', 'LAMB']) {
  test(`${name} in the user's file: the same kernels, calls and dispatches`, async (t) => {
    const library = build(`optimizer = ${name}(lr: 0.05)`);
    const own = build('optimizer = Mine(lr: 0.05)', copied(name));
    const shape = (a: Artifact) => ({
      kernels: a.kernels.length,
      steps: stepOf(a).map((s) => (s.kind === 'kernel' ? [s.kernel, s.slots] : s.kind)),
      dispatches: a.webgpu!.programs.find((p) => p.name === 'train_step')!.steps.length,
      wgsl: a.webgpu!.kernels.map((k) => k.code.replace(/^ *\/\/.*\n/gm, '')),
      state: a.segments,
    });
    t.deepEqual(shape(own), shape(library));
    const [a, b] = [
      await model(`optimizer = ${name}(lr: 0.05)`),
      await model('optimizer = Mine(lr: 0.05)', copied(name)),
    ];
    t.deepEqual(await stepped(b, 3), await stepped(a, 3));
  });
}

test('an elementwise optimizer is one call over all parameters of a group, however many there are', (t) => {
  const OWN = `optimizer Own(lr: float = 0.1, mix: (float, float) = (0.5, 0.25)) {
    buffer old: f32[...S] ~ zeros()
    step(p: f32[...S], g: f32[...S]) -> f32[...S] {
      d = mix.0 * old + (1.0 - mix.0) * sqrt(mix.1) * g
      update old = d
      p - lr * select(mix.1 > 0.5, sign(d), d)
    }
  }`;
  const updates = (train: string, more = ''): number =>
    stepOf(build(train, more)).length - build(train, more).programs.find((p) => p.name === 'backward')!.steps.length;
  t.true(updates('optimizer = Own()', OWN) <= updates('optimizer = AdamW()') + 1);
});

test('a condition on a hyper-parameter inside a step is asked in every step', async (t) => {
  const OWN = `optimizer Own(lr: float = 0.5, way: float = 1.0) {
    step(p: f32[...S], g: f32[...S]) -> f32[...S] => if way > 0.5 { p - lr * g } else { p + lr * g }
  }`;
  const m = await model('optimizer = Own()', OWN);
  const before = await weights(m);
  const down = await stepped(m, 1);
  m.optimizer!.groups[0]!['way'] = 0.25;
  const other = await model('optimizer = Own(way: 0.0)', OWN);
  const up = await stepped(other, 1);
  before.forEach((w, i) => t.true(Math.abs(down[i]! - w + (up[i]! - w)) <= 1e-6));
  t.notDeepEqual(await stepped(m, 1), down);
});

test('what is computed from hyper-parameters alone is rounded once', (t) => {
  const { programs } = build('optimizer = AdamW()');
  const numbers = programs
    .find((p) => p.name === 'train_step')!
    .inputs.flatMap((i) => (i.role === 'hyper' ? [i.number] : []));
  const values: Record<string, number> = { lr: 1e-3, eps: 1e-8, weight_decay: 0.01, 'betas.0': 0.9, 'betas.1': 0.999 };
  const made = numbers.map((n) => evaluateNumber(n, (name) => values[name]!));
  t.true(made.includes(1 - 0.999), 'not 1 - fround(0.999), which is 1.3e-5 off');
  t.true(made.includes(Math.log(0.999)));
});

withPyTorch("groups with betas of their own, changed in between, against PyTorch's", async (t) => {
  const m = await model('optimizer = Adam(lr: 0.05); override **.bias { betas = (0.5, 0.75); weight_decay = 0.1 }');
  const start = await weights(m);
  const want = askPyTorch<number[]>(
    `
from torch import nn
a, b = nn.Linear(4, 5), nn.Linear(5, 3)
ps = [a.weight, a.bias, b.weight, b.bias]
flat, at = torch.tensor(given["start"]), 0
for p in ps:
    p.data = flat[at:at + p.numel()].reshape(p.shape).clone(); at += p.numel()
o = torch.optim.Adam([{"params": [a.weight, b.weight]}, {"params": [a.bias, b.bias], "betas": (.5, .75), "weight_decay": .1}], lr=.05)
x, y = torch.tensor(given["x"]).reshape(6, 4), torch.tensor(given["y"]).reshape(6, 3)
for i in range(6):
    if i == 3: o.param_groups[0]["betas"] = (.25, .9)
    o.zero_grad(); nn.functional.mse_loss(b(torch.tanh(a(x))), y).backward(); o.step()
print(json.dumps([v for p in ps for v in p.detach().flatten().tolist()]))`,
    { start, x: [...X.readSync()], y: [...Y.readSync()] },
  );
  await stepped(m, 3);
  const [group] = m.optimizer!.groups;
  [group!['betas.0'], group!['betas.1']] = [0.25, 0.9];
  const got = await stepped(m, 3);
  // Six steps of f32, each of a few roundings of numbers below 1; betas that were not changed differ by 1e-2.
  got.forEach((g, i) => t.true(Math.abs(g - want[i]!) <= 2e-6, `${i}: ${g} for ${want[i]}`));
});
