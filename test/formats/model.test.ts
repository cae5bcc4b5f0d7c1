/** Models from and to files of every format, by content; with PyTorch itself where NETWRIGHT_PYTHON names a Python that has it. */
import test from 'ava';
import { absent } from '../support/absent.ts';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CheckpointError, compile, type Model } from '../../src/index.ts';
import { PyDict } from '../../src/runtime/formats/pickle-values.ts';
import { torchTensor, writeTorch } from '../../src/runtime/formats/torch-write.ts';
import { toStored } from '../../src/runtime/stored.ts';
import { writeSharded } from '../../src/runtime/formats/sharded.ts';
import { inFile } from '../../src/runtime/formats/checkpoint.ts';
import { collect } from './corpus.ts';

const python = process.env['NETWRIGHT_PYTHON'];
const required = process.env['NETWRIGHT_REQUIRE_ALL'] !== undefined;
const withPython = python !== undefined || required ? test : test.skip;
if (python === undefined && !required) {
  test('skipped: no PyTorch (set NETWRIGHT_PYTHON to a Python with torch)', absent);
}

const { blocks, diagnostics } = compile(`
import { BatchNorm1d, Linear } from "std/nn"
export block Net {
  net = seq { Linear(4, 8); relu; BatchNorm1d(8); Linear(8, 4) }
  again = Linear(4, 8)
  back = Linear(8, 4)
  tie again.weight = net.0.weight
  tie back.weight = transpose(net.0.weight)
  forward(x: f32[B, 4]) -> f32[B, 4] => net(x)
}`);

const create = (seed: number): Promise<Model> => {
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'].create({ seed });
};

const values = (model: Model): unknown => [...model.state_dict()].map(([k, x]) => [k, x.shape, [...x.readSync()]]);

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-formats-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const name of ['a.safetensors', 'a.pt', 'a.pth', 'a.npz']) {
  test(`a model saved as ${name} loads again, whatever the file is called`, async (t) => {
    await withFolder(async (folder) => {
      const model = await create(1);
      await model.save(join(folder, name));
      const other = await create(2);
      t.notDeepEqual(values(other), values(model));
      await other.load(join(folder, name));
      t.deepEqual(values(other), values(model));
    });
  });
}

test('a model in several files loads by their index', async (t) => {
  await withFolder(async (folder) => {
    const model = await create(1);
    const tensors = new Map(
      await Promise.all([...model.state_dict()].map(async ([k, x]) => [k, inFile(await toStored(x, null))] as const)),
    );
    for (const [name, parts] of writeSharded(tensors, 100)) writeFileSync(join(folder, name), await collect(parts));
    const other = await create(2);
    await other.load(join(folder, 'model.safetensors.index.json'));
    t.deepEqual(values(other), values(model));
    rmSync(
      join(
        folder,
        readdirSync(folder).find((n) => n.startsWith('model-00002-of'))!,
      ),
    );
    await t.throwsAsync(other.load(join(folder, 'model.safetensors.index.json')), {
      code: 'file',
      message: /there is no such file/,
    });
  });
});

test('weights inside a larger object, or under a common name, are found', async (t) => {
  await withFolder(async (folder) => {
    const model = await create(1);
    const state = new PyDict();
    const prefixed = new PyDict();
    for (const [k, x] of model.state_dict()) {
      const stored = await toStored(x, null);
      const made = torchTensor(inFile(stored));
      state.set(k, made);
      prefixed.set(`module.${k}`, made);
    }
    const whole = new PyDict();
    whole.set('epoch', 3);
    whole.set('state_dict', state);
    whole.set('optimizer', new PyDict());
    for (const root of [whole, prefixed]) {
      writeFileSync(join(folder, 'a.pt'), await collect(writeTorch(root)));
      const other = await create(2);
      await other.load(join(folder, 'a.pt'));
      t.deepEqual(values(other), values(model));
    }
    whole.set('ema', state);
    writeFileSync(join(folder, 'a.pt'), await collect(writeTorch(whole)));
    const e = await t.throwsAsync((await create(2)).load(join(folder, 'a.pt')), { instanceOf: CheckpointError });
    t.regex(e.message, /missing: net\.0\.weight/);
  });
});

const MODULE = `
import sys, torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 4))
        self.again = nn.Linear(4, 8)
        self.back = nn.Linear(8, 4)
        self.again.weight = self.net[0].weight
net = Net()
`;

withPython('PyTorch loads what a model saves, ties as shared memory, and the other way', async (t) => {
  await withFolder(async (folder) => {
    const [ours, theirs, legacy] = ['ours.pt', 'theirs.pt', 'legacy.pt'].map((n) => join(folder, n)) as [
      string,
      string,
      string,
    ];
    const model = await create(1);
    await model.save(ours);
    const script = `${MODULE}
sd = torch.load(sys.argv[1], weights_only=True, mmap=True)
sd = torch.load(sys.argv[1])
print(net.load_state_dict(sd))
print(sd['again.weight'].data_ptr() == sd['net.0.weight'].data_ptr(), sd['back.weight'].data_ptr() == sd['net.0.weight'].data_ptr())
print(torch.equal(sd['back.weight'], sd['net.0.weight'].T), sd['net.2.num_batches_tracked'].dtype)
torch.save(sd, sys.argv[2])
torch.save({'model': net.state_dict(), 'lr': 0.1}, sys.argv[3], _use_new_zipfile_serialization=False)`;
    const said = execFileSync(python ?? 'python3', ['-c', script, ours, theirs, legacy], { encoding: 'utf8' });
    t.is(said.trim(), '<All keys matched successfully>\nTrue True\nTrue torch.int64');
    for (const file of [theirs, legacy]) {
      const other = await create(2);
      await other.load(file);
      t.deepEqual(values(other), values(model));
    }
  });
});
