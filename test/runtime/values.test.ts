/** Tensors alone, in lists and dictionaries, through files; PyTorch reads and writes the same nesting. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { absent } from '../support/absent.ts';
import { CheckpointError, load, save, tensor, Tensor, UsageError, zeros, type Saved } from '../../src/runtime/index.ts';

const python = process.env['NETWRIGHT_PYTHON'];
const required = process.env['NETWRIGHT_REQUIRE_ALL'] !== undefined;
const withPython = python !== undefined || required ? test : test.skip;
if (python === undefined && !required) {
  test('skipped: no PyTorch (set NETWRIGHT_PYTHON to a Python with torch)', absent);
}

const x = tensor([0, 1, 2, 3]);
const y = zeros([2, 2]);
const VALUES: Readonly<Record<string, Saved>> = {
  'x-file': x,
  'x-files': [x, y],
  mydict: { x, y },
  nested: {
    layers: [{ w: x, 'a.b': y }, { w: x }],
    step: 3,
    lr: 0.5,
    name: 'é',
    done: true,
    none: null,
    empty: [],
    more: {},
  },
  odd: { a: { b: x }, 'a.b': y, ['__proto__']: tensor([1n, -2n]), flags: tensor([true, false]) },
};

/** Tensors as their type, shape and values. */
const plain = (v: Saved): unknown =>
  v instanceof Tensor
    ? { $: [v.dtype, v.shape, [...v.readSync()]] }
    : Array.isArray(v)
      ? v.map((i: Saved) => plain(i))
      : typeof v === 'object' && v !== null
        ? Object.entries(v).map(([k, i]) => [k, plain(i as Saved)])
        : v;

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-values-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const [name, value] of Object.entries(VALUES)) {
  for (const ending of ['.safetensors', '.pt', '']) {
    test(`${name}${ending} reads back as it was`, async (t) => {
      await withFolder(async (folder) => {
        const path = join(folder, name + ending);
        await save(path, value);
        t.deepEqual(plain(await load(path)), plain(value));
        t.is(({} as Record<string, unknown>)['polluted'], undefined);
      });
    });
  }
}

test('one tensor in two places is one tensor again', async (t) => {
  await withFolder(async (folder) => {
    for (const name of ['a.pt', 'a.safetensors']) {
      await save(join(folder, name), [x, x]);
      const [a, b] = (await load(join(folder, name))) as readonly [Saved, Saved];
      t.is(a, b);
    }
  });
});

test('NumPy holds one array, or several by name', async (t) => {
  await withFolder(async (folder) => {
    await save(join(folder, 'a.npy'), x);
    t.deepEqual(plain(await load(join(folder, 'a.npy'))), plain(x));
    await save(join(folder, 'a.npz'), { x, y });
    t.deepEqual(plain(await load(join(folder, 'a.npz'))), plain({ x, y }));
    await t.throwsAsync(save(join(folder, 'b.npz'), [x, [y]]), { instanceOf: UsageError, message: /no nesting/ });
  });
});

test('what is no value, and a note that does not fit, are told', async (t) => {
  await withFolder(async (folder) => {
    const wrong = { f: () => 1 } as unknown as Saved;
    await t.throwsAsync(save(join(folder, 'a.pt'), wrong), { instanceOf: UsageError, message: /^f is function/ });
    for (const note of ['[', '["tensor","gone"]', '["list",["dict",[1,2]]]', '7', '["what","x"]']) {
      const header = JSON.stringify({ __metadata__: { 'netwright.nesting': note } });
      const head = Buffer.alloc(8);
      head.writeBigUInt64LE(BigInt(header.length));
      writeFileSync(join(folder, 'n.safetensors'), Buffer.concat([head, Buffer.from(header)]));
      await t.throwsAsync(load(join(folder, 'n.safetensors')), {
        instanceOf: CheckpointError,
        message: /does not describe/,
      });
    }
  });
});

withPython('PyTorch reads the same nesting, and what it writes comes back', async (t) => {
  await withFolder(async (folder) => {
    const names = ['x-file', 'x-files', 'mydict', 'nested'];
    for (const n of names) await save(join(folder, `${n}.pt`), VALUES[n]!);
    const script = `
import sys, torch
x, y = torch.arange(4.), torch.zeros(2, 2)
want = {'x-file': x, 'x-files': [x, y], 'mydict': {'x': x, 'y': y},
  'nested': {'layers': [{'w': x, 'a.b': y}, {'w': x}], 'step': 3, 'lr': 0.5, 'name': 'é', 'done': True, 'none': None, 'empty': [], 'more': {}}}
def same(a, b):
    if torch.is_tensor(a): return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict): return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list): return type(b) is list and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b
for name, value in want.items():
    assert same(torch.load(f'{sys.argv[1]}/{name}.pt', weights_only=True), value), name
    torch.save(value, f'{sys.argv[1]}/{name}.theirs.pt')
`;
    execFileSync(python ?? 'python3', ['-c', script, folder]);
    for (const n of names) t.deepEqual(plain(await load(join(folder, `${n}.theirs.pt`))), plain(VALUES[n]!));
  });
});
