/** Files of weights against PyTorch and the safetensors package themselves, where NETWRIGHT_PYTHON names a Python that has them. */
import test from 'ava';
import { absent } from '../support/absent.ts';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, tensor, type Model, type Tensor } from '../../src/index.ts';

const python = process.env['NETWRIGHT_PYTHON'];
const required = process.env['NETWRIGHT_REQUIRE_ALL'] !== undefined;
const withPython = python !== undefined || required ? test : test.skip;
if (python === undefined && !required) {
  test('skipped: no PyTorch (set NETWRIGHT_PYTHON to a Python with torch and safetensors)', absent);
}

const { blocks, diagnostics } = compile(`
import { BatchNorm1d, Linear } from "std/nn"
export block Net {
  net = seq { Linear(4, 8); relu; BatchNorm1d(8); Linear(8, 3) }
  again = Linear(4, 8)
  tie again.weight = net.0.weight
  forward(x: f32[B, 4]) -> f32[B, 3] => net(x)
}`);

const MODULE = `
import sys, torch
from torch import nn
from safetensors.torch import load_file, save_file, load_model
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 3))
        self.again = nn.Linear(4, 8)
        self.again.weight = self.net[0].weight
    def forward(self, x):
        return self.net(x)
`;

const run = (script: string, ...args: string[]): string =>
  execFileSync(python ?? 'python3', ['-c', MODULE + script, ...args], { encoding: 'utf8' });

const X = Array.from({ length: 12 }, (_, i) => Math.fround(Math.sin(i)));

async function withModel(use: (model: Model, folder: string) => Promise<void>): Promise<void> {
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const folder = mkdtempSync(join(tmpdir(), 'netwright-pytorch-'));
  try {
    await use(await blocks['Net'].create({ seed: 4 }), folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const forward = async (model: Model): Promise<number[]> => [
  ...(await (model.call('forward', [tensor(X, { shape: [3, 4] })]) as Tensor).read()),
];

withPython('PyTorch loads what is saved, key for key, and computes the same', async (t) => {
  await withModel(async (model, folder) => {
    const path = join(folder, 'a.safetensors');
    await model.save(path);
    const out = JSON.parse(
      run(
        `
import json
net = Net()
load_model(net, sys.argv[1])
net.eval()
x = torch.tensor(json.loads(sys.argv[2])).reshape(3, 4)
state = {k: [str(v.dtype), list(v.shape), v.double().flatten().tolist()] for k, v in net.state_dict().items()}
print(json.dumps([state, net(x).double().flatten().tolist()]))`,
        path,
        JSON.stringify(X),
      ),
    ) as [Record<string, [string, number[], number[]]>, number[]];
    const own = model.state_dict();
    t.deepEqual(Object.keys(out[0]), [...own.keys()]);
    for (const [name, [dtype, shape, values]] of Object.entries(out[0])) {
      t.is(dtype, name.endsWith('num_batches_tracked') ? 'torch.int64' : 'torch.float32');
      t.deepEqual(shape, [...own.get(name)!.shape]);
      t.deepEqual(values, [...own.get(name)!.readSync()]);
    }
    // Sums of eight products of numbers below 1, in another order: a few units in the last place of 1.
    (await forward(model)).forEach((v, i) => t.true(Math.abs(v - out[1][i]!) < 1e-6));
  });
});

withPython('what PyTorch saves is loaded bit for bit', async (t) => {
  await withModel(async (model, folder) => {
    const path = join(folder, 'b.safetensors');
    const out = run(
      `
import json
from safetensors.torch import save_model
torch.manual_seed(0)
net = Net()
net.train()
net(torch.randn(16, 4))
save_model(net, sys.argv[1])
print(json.dumps({k: v.double().flatten().tolist() for k, v in net.state_dict().items()}))`,
      path,
    );
    const want = JSON.parse(out) as Record<string, number[]>;
    t.deepEqual(await model.load(path), { missing_keys: [], unexpected_keys: [] });
    const own = model.state_dict();
    for (const [name, values] of Object.entries(want)) t.deepEqual([...own.get(name)!.readSync()], values, name);
    t.is(own.get('net.2.num_batches_tracked')!.readSync()[0], 1);
  });
});
