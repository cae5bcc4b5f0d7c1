/**
 * `checkpoint` changes what is kept from the forward to the backward and nothing else: losses, gradients, updates, running
 * statistics and random draws are those of the same network without it, to the bit, since the same ops run on the same
 * values in the same order of summation. PyTorch's own torch.utils.checkpoint gives the same numbers.
 */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { absent } from '../support/absent.ts';
import { diskHost } from '../../src/cli/host.ts';
import { compile, tensor, type Model, type Tensor } from '../../src/index.ts';
import type { CompileOptions } from '../../src/compile.ts';
import { plannedBytes } from '../../src/runtime/plan.ts';
import { WORKLOADS } from '../../bench/spec.ts';

const LAYERS = `
import { BatchNorm1d, Dropout, LayerNorm, Linear } from "std/nn"

block Inner(n: int) {
  fc = Linear(n, 2 * n)
  norm = BatchNorm1d(2 * n)
  out = Linear(2 * n, n)
  drop = Dropout(0.25)
  forward(x: f32[B, n]) -> f32[B, n] => drop(out(gelu(norm(fc(x)))))
}

block Layer(n: int) {
  inner = Inner(n)
  norm = LayerNorm(n)
  gate = Linear(n, n)
  mixed(x: f32[B, n]) -> f32[B, n] => sigmoid(gate(x)) * norm(x)
  forward(x: f32[B, n]) -> f32[B, n] => x + mixed(inner(x))
}
`;

interface Case {
  /** What \`checkpoint\` lines say. */
  readonly lines: readonly string[];
  readonly members: string;
  readonly forward: string;
  readonly settings?: string;
  /** How far values may be apart, where sums over the rounds of a loop come in another order. */
  readonly within?: number;
}

const STACK = {
  members: 'layers = [for i in 0..3: Layer(6)]',
  forward: 'y = x\nfor l in layers { y = l(y) }\nhead(y)',
};
const CASES: Readonly<Record<string, Case>> = {
  'layers of a list': { ...STACK, lines: ['checkpoint layers.*'] },
  'one layer': { ...STACK, lines: ['checkpoint layers.1'] },
  'the whole list': { ...STACK, lines: ['checkpoint layers'] },
  'blocks inside of blocks': { ...STACK, lines: ['checkpoint layers.*.inner', 'checkpoint layers.0.gate'] },
  'blocks by type, inside checkpoints too': { ...STACK, lines: ['checkpoint Layer', 'checkpoint Inner'] },
  'in 16 bits': { ...STACK, lines: ['checkpoint layers.*'], settings: 'precision = bf16' },
  'scaled, clipped, accumulated': {
    ...STACK,
    lines: ['checkpoint layers.*'],
    settings: 'precision = f16; scaler = grad_scaler(init_scale: 64.0); clip_norm = 0.5; accumulate = 2',
  },
  'members of a seq': {
    members: 'net = seq { Layer(6); relu; Layer(6); Dropout(0.5); Linear(6, 6) }',
    forward: 'head(net(x))',
    lines: ['checkpoint net.*'],
  },
  'a shared block that is called twice': {
    members: 'first = Layer(6)',
    forward: 'head(first(relu(first(x))))',
    lines: ['checkpoint first'],
  },
  'another method': {
    members: 'first = Layer(6)',
    forward: 'head(first.mixed(first(x)))',
    lines: ['checkpoint first'],
  },
  'tied parameters': {
    members: 'first = Layer(6); second = Layer(6)\ntie second.gate.weight = first.gate.weight',
    forward: 'head(second(first(x)))',
    lines: ['checkpoint first', 'checkpoint second.*'],
  },
  'frozen parameters': {
    ...STACK,
    lines: ['checkpoint layers.*'],
    settings: 'freeze layers.0.**; freeze layers.1.gate.weight',
  },
  'a call in a loop that stays one': {
    members: 'first = Layer(6)',
    forward: 'y = x\nfor i in 0..3 { y = first(y) }\nhead(y)',
    lines: ['checkpoint first'],
    within: 1e-5,
  },
  'a call in a branch': {
    members: 'first = Layer(6)',
    forward: 'y = if sum(x) > 0.0 { first(x) } else { x * 2.0 }\nhead(y)',
    lines: ['checkpoint first'],
  },
};

const source = ({ members, forward, settings = '' }: Case, lines: readonly string[]): string => `${LAYERS}
export block Net {
  ${members}
  head = Linear(6, 2)
  forward(x: f32[B, 6]) -> f32[B, 2] {
    ${forward}
  }
  loss(x: f32[B, 6], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  train { optimizer = SGD(lr: 0.01, momentum: 0.9); ${settings}
    ${lines.join('\n')}
  }
}`;

const wave = (n: number, by: number): number[] => Array.from({ length: n }, (_, i) => Math.sin(i * by));
const X = tensor(wave(48, 0.7), { shape: [8, 6] });
const Y = tensor(wave(16, 1.3), { shape: [8, 2] });

async function made(text: string, options: CompileOptions = {}): Promise<Model> {
  const { blocks, diagnostics } = compile(text, options);
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'].create({ seed: 3 });
}

/** Bits of everything that training changes. */
async function transcript(model: Model): Promise<Record<string, readonly number[]>> {
  const out: Record<string, readonly number[]> = {};
  const { loss } = model.backward(X, Y);
  out['loss'] = [...(await loss.read())];
  for (const [name, p] of model.named_parameters()) if (p.grad) out[`grad ${name}`] = [...(await p.grad.read())];
  for (let i = 0; i < 4; i++) out[`step ${i}`] = [...(await model.train_step(X, Y).loss.read())];
  for (const [name, t] of model.state_dict()) out[name] = [...(await t.read())];
  return out;
}

for (const [name, c] of Object.entries(CASES))
  test(`${name}: the same bits`, async (t) => {
    const kept = await transcript(await made(source(c, [])));
    const again = await transcript(await made(source(c, c.lines)));
    t.true(kept['loss']!.every(Number.isFinite));
    t.deepEqual(Object.keys(again), Object.keys(kept));
    for (const [key, values] of Object.entries(kept))
      values.forEach((v, i) => {
        const far = Math.abs(again[key]![i]! - v);
        t.true(far <= (c.within ?? 0), `${key}[${i}] is ${far} away from ${v}`);
      });
  });

const W5 = WORKLOADS['W5']!;
const gpt = (checkpoint: string): number => {
  const text = diskHost('.').read('bench/networks/gpt.net')!;
  const marked = text.replace('train { loss = loss; ', `train { loss = loss; ${checkpoint}; `);
  const { artifacts, diagnostics } = compile(marked, { hyper: { ...W5.hyper, depth: 8 }, block: W5.block });
  if (!artifacts[0]) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const step = artifacts[0].programs.find((p) => p.name === 'train_step')!;
  return plannedBytes(step, new Map(step.symbols.map((s) => [s, 8])))!;
};

test('eight layers of GPT keep their inputs and what one of them needs', (t) => {
  const [all, ends, inner] = [gpt('clip_norm = 1.0'), gpt('checkpoint h.*'), gpt('checkpoint h.*.mlp')];
  // A layer keeps 10 times as much as its input is; its MLP is a third of that.
  t.true(ends < 0.5 * all, `${ends} of ${all}`);
  t.true(inner < 0.8 * all && inner > ends, `${inner} of ${all}`);
});

const python = process.env['NETWRIGHT_PYTHON'];
const withPython = python !== undefined || process.env['NETWRIGHT_REQUIRE_ALL'] !== undefined ? test : test.skip;
if (python === undefined) test('PyTorch: skipped (set NETWRIGHT_PYTHON to a Python with torch)', absent);

const PYTORCH = `
import json, sys, torch
from torch import nn
from torch.utils.checkpoint import checkpoint
torch.set_num_threads(1)
class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm, self.out = nn.Linear(6, 12), nn.LayerNorm(12), nn.Linear(12, 6)
    def forward(self, x):
        return x + self.out(nn.functional.gelu(self.norm(self.fc(x))))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList([Layer() for _ in range(3)]), nn.Linear(6, 2)
    def forward(self, x):
        for l in self.layers: x = checkpoint(l, x, use_reentrant=False)
        return self.head(x)
given = json.load(sys.stdin)
t = lambda v: torch.tensor(v['data']).reshape(v['shape'])
net = Net()
net.load_state_dict({k: t(v) for k, v in given['weights'].items()})
x, y = t(given['x']), t(given['y'])
opt = torch.optim.SGD(net.parameters(), lr=0.1)
losses = []
for i in range(3):
    opt.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    if i == 0: grads = {k: p.grad.flatten().tolist() for k, p in net.named_parameters()}
    opt.step()
    losses.append(loss.item())
print(json.dumps({'losses': losses, 'grads': grads}))
`;

withPython('losses and gradients are those of torch.utils.checkpoint', async (t) => {
  const model = await made(`
import { LayerNorm, Linear } from "std/nn"
block Layer() {
  fc = Linear(6, 12)
  norm = LayerNorm(12)
  out = Linear(12, 6)
  forward(x: f32[B, 6]) -> f32[B, 6] => x + out(gelu(norm(fc(x))))
}
export block Net {
  layers = [for i in 0..3: Layer()]
  head = Linear(6, 2)
  forward(x: f32[B, 6]) -> f32[B, 2] {
    y = x
    for l in layers { y = l(y) }
    head(y)
  }
  loss(x: f32[B, 6], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  train { optimizer = SGD(lr: 0.1); checkpoint layers.* }
}`);
  const plain = async (v: Tensor): Promise<object> => ({ data: [...(await v.read())], shape: v.shape });
  const weights: Record<string, object> = {};
  for (const [name, v] of model.state_dict()) weights[name] = await plain(v);
  const input = JSON.stringify({ weights, x: await plain(X), y: await plain(Y) });
  const expected = JSON.parse(execFileSync(python ?? 'python3', ['-c', PYTORCH], { input, encoding: 'utf8' })) as {
    losses: number[];
    grads: Record<string, number[]>;
  };
  // f32 on both sides, sums of at most 12 terms in different order; values are below 2.
  const near = (found: ArrayLike<number>, wanted: readonly number[], what: string): void =>
    wanted.forEach((w, i) => t.true(Math.abs(found[i]! - w) <= 2e-6, `${what}[${i}]: ${found[i]} for ${w}`));
  model.backward(X, Y);
  for (const [name, p] of model.named_parameters()) near(await p.grad!.read(), expected.grads[name]!, name);
  const losses: number[] = [];
  for (let i = 0; i < 3; i++) losses.push(await model.train_step(X, Y).loss.item());
  near(losses, expected.losses, 'loss');
});
