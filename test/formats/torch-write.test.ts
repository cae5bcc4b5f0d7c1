/** `.pt` files that are written, read back here, and by PyTorch where NETWRIGHT_PYTHON names a Python that has it. */
import test from 'ava';
import { absent } from '../support/absent.ts';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inFile, type FileTensor } from '../../src/runtime/formats/checkpoint.ts';
import { PyDict, PyTuple, type PyValue } from '../../src/runtime/formats/pickle-values.ts';
import type { TorchFile } from '../../src/runtime/formats/torch.ts';
import { TORCH_GLOBALS } from '../../src/runtime/formats/torch-globals.ts';
import { torchTensor, writeTorch, writeTorchStateDict } from '../../src/runtime/formats/torch-write.ts';
import { bytesOf, collect, goodFiles, hex, read } from './corpus.ts';

const python = process.env['NETWRIGHT_PYTHON'];
const required = process.env['NETWRIGHT_REQUIRE_ALL'] !== undefined;
const withPython = python !== undefined || required ? test : test.skip;
if (python === undefined && !required) {
  test('skipped: no PyTorch (set NETWRIGHT_PYTHON to a Python with torch)', absent);
}

const good = (f: { file: string }): Promise<TorchFile> => torch(bytesOf(`good/${f.file}`), f.file);
const torch = async (bytes: Uint8Array, file = ''): Promise<TorchFile> => (await read(bytes, file)) as TorchFile;
const FILES = goodFiles('torch-zip', 'torch-legacy');

const facts = (file: TorchFile): Promise<unknown> =>
  Promise.all(
    file.named.map(async ({ path, tensor: x }) => {
      const bytes = hex(await x.bytes());
      return [path, x.dtype, x.shape, x.requiresGrad, x.parameter, bytes];
    }),
  );

for (const f of FILES) {
  test(`writes what it read from ${f.file}`, async (t) => {
    const file = await good(f);
    const bytes = await collect(writeTorch(file.root));
    const again = await torch(bytes, f.file);
    t.deepEqual(await facts(again), await facts(file));
    t.deepEqual(await collect(writeTorch(again.root)), bytes);
  });
}

const f32 = (shape: number[], ...values: number[]): FileTensor =>
  inFile({ dtype: 'F32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) });

test('records start at multiples of 64 bytes, and one tensor under two names is one record', async (t) => {
  const w = f32([2, 2], 1, 2, 3, 4);
  const file = await torch(
    await collect(
      writeTorchStateDict(
        new Map([
          ['a', w],
          ['b', f32([1], 5)],
          ['c', w],
        ]),
      ),
    ),
  );
  t.deepEqual([...file.tensors.keys()], ['a', 'b', 'c']);
  t.is(file.tensors.get('a'), file.tensors.get('c'));
  for (const x of file.tensors.values()) t.is((await x.bytes()).byteOffset % 64, 0);
});

const SCRIPT = `
import sys, json, torch
def tree(x):
    if isinstance(x, torch.Tensor):
        y = x.detach().resolve_neg().resolve_conj().contiguous()
        return {'dtype': str(x.dtype), 'shape': list(x.shape), 'grad': x.requires_grad, 'param': isinstance(x, torch.nn.Parameter),
                'hex': bytes(y.flatten().view(torch.uint8).tolist()).hex() if y.numel() else ''}
    if isinstance(x, dict): return {'map': [[str(k), tree(v)] for k, v in x.items()]}
    if isinstance(x, (list, tuple)): return [type(x).__name__] + [tree(v) for v in x]
    return repr(x)
for path in sys.argv[1:]:
    a = torch.load(path, weights_only=True)
    b = torch.load(path, weights_only=True, mmap=True)
    assert json.dumps(tree(a)) == json.dumps(tree(b)), path
    print(json.dumps(tree(a)))
`;

withPython('PyTorch loads what is written, mapped too, as it loads the files that it came from', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-torch-'));
  try {
    const files = FILES.filter((f) => f.format === 'torch-zip');
    const paths = files.map((f) => join(folder, f.file));
    for (const [i, f] of files.entries()) writeFileSync(paths[i]!, await collect(writeTorch((await good(f)).root)));
    const load = (list: readonly string[]): string[] =>
      execFileSync(python ?? 'python3', ['-c', SCRIPT, ...list], { encoding: 'utf8' })
        .trim()
        .split('\n');
    const copies = files.map((f) => join(folder, `original-${f.file}`));
    files.forEach((f, i) => writeFileSync(copies[i]!, bytesOf(`good/${f.file}`)));
    // mmap=True refuses deflated records, and Python's floats that are whole come back as ints.
    const kept = files.map((f) => !['pt_rezipped_deflate.pt', 'pt_checkpoint.pt', 'pt_big_endian.pt'].includes(f.file));
    t.deepEqual(load(paths.filter((_, i) => kept[i])), load(copies.filter((_, i) => kept[i])));
    t.is(load(paths).length, files.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

withPython('PyTorch loads lists, tuples, numbers and text', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-torch-'));
  try {
    const dict = new PyDict();
    const values: PyValue[] = [
      1,
      -1,
      255,
      256,
      65536,
      -70000,
      2 ** 40,
      1.5,
      -0,
      12345678901234567890n,
      -128n,
      128n,
      'é😀',
      true,
      null,
    ];
    dict.set('values', values);
    dict.set(3, new PyTuple([new PyTuple([]), new PyTuple([1, 2, 3, 4]), Uint8Array.of(0, 255)]));
    dict.set('x', torchTensor(f32([2], 1, 2)));
    const path = join(folder, 'a.pt');
    writeFileSync(path, await collect(writeTorch(dict)));
    const got = execFileSync(python ?? 'python3', ['-c', 'import sys,torch; print(torch.load(sys.argv[1]))', path], {
      encoding: 'utf8',
    });
    t.is(
      got.trim(),
      "{'values': [1, -1, 255, 256, 65536, -70000, 1099511627776, 1.5, -0.0, 12345678901234567890, -128, 128, 'é😀', True, None], " +
        "3: ((), (1, 2, 3, 4), b'\\x00\\xff'), 'x': tensor([1., 2.])}",
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

withPython("the names that pickles may use are PyTorch's own list", (t) => {
  const script = 'from torch._weights_only_unpickler import _get_allowed_globals as g; print(" ".join(sorted(g())))';
  const said = execFileSync(python ?? 'python3', ['-c', script], { encoding: 'utf8' });
  t.deepEqual([...TORCH_GLOBALS.keys()].sort(), said.trim().split(' ').sort());
});
