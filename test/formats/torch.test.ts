/** PyTorch's files against what PyTorch itself reads from them, and damaged and hostile ones against the manifest. */
import test from 'ava';
import { CheckpointError } from '../../src/runtime/errors.ts';
import { PyGlobal } from '../../src/runtime/formats/pickle.ts';
import { PyCall, PyComplex, PyDict, PySet, PyTuple, type PyValue } from '../../src/runtime/formats/pickle-values.ts';
import type { TorchFile } from '../../src/runtime/formats/torch.ts';
import { TorchTensor } from '../../src/runtime/formats/torch-tensor.ts';
import { badFiles, bytesOf, expectedOf, goodFiles, hex, read as readAny, sameBytes } from './corpus.ts';

async function read(bytes: Uint8Array, file: string): Promise<TorchFile> {
  const opened = await readAny(bytes, file);
  if (opened.format !== 'torch' && opened.format !== 'torch-legacy')
    throw new CheckpointError(file, 'another format', 0);
  return opened as TorchFile;
}

/** The object in the notation of the expectations. */
function tree(v: PyValue, tensors: readonly TorchTensor[]): unknown {
  const go = (x: PyValue): unknown => tree(x, tensors);
  if (v === null || typeof v === 'boolean' || typeof v === 'string') return v;
  if (typeof v === 'bigint') return String(v);
  if (typeof v === 'number') return Number.isFinite(v) && !Object.is(v, -0) ? v : Object.is(v, -0) ? '-0' : String(v);
  if (Array.isArray(v)) return { $list: v.map(go) };
  if (v instanceof Uint8Array) return { $bytes: hex(v) };
  if (v instanceof PyTuple) return v.isSize ? { $size: v.items } : { $tuple: v.items.map(go) };
  if (v instanceof PyDict) return { $map: [...v.entries()].map(([k, x]) => [go(k), go(x)]) };
  if (v instanceof PySet) return { $set: [...v.items()].map(go) };
  if (v instanceof PyComplex) return [v.re, v.im];
  if (v instanceof PyCall) return { $repr: v.args.join(':') };
  if (v instanceof PyGlobal) return { $repr: v.name };
  return { $tensor: tensors.indexOf(v as TorchTensor) };
}

for (const f of goodFiles('torch-zip', 'torch-legacy')) {
  test(`reads ${f.file}: ${f.note}`, async (t) => {
    const want = expectedOf(f);
    const got = await read(bytesOf(`good/${f.file}`), f.file);
    t.deepEqual(
      got.named.map((n) => n.path),
      want.tensors.map((w) => w.path!),
    );
    for (const [i, w] of want.tensors.entries()) {
      const { tensor } = got.named[i]!;
      t.is(tensor.dtype, w.dtype!);
      t.deepEqual(tensor.shape, w.shape);
      t.true(await sameBytes(tensor, w), w.name);
      t.deepEqual(
        [tensor.strides, tensor.offset, tensor.requiresGrad, tensor.parameter],
        [w.stride, w.storage_offset, w.requires_grad, w.parameter],
      );
    }
    // A tensor that is there twice is told apart by its place, so only the shape of the tree can be compared then.
    const list = got.named.map((n) => n.tensor);
    if (new Set(list).size === list.length) t.deepEqual(tree(got.root, list), want.tree);
    t.deepEqual(sharing(got), want.shared_storage);
  });
}

/** Names that look at one memory, where there is more than one. */
function sharing(file: TorchFile): string[][] {
  const groups = new Map<object, string[]>();
  for (const { path, tensor } of file.named) {
    const root = tensor.storage.root;
    groups.set(root, [...(groups.get(root) ?? []), path.join('/')]);
  }
  return [...groups.values()].filter((g) => g.length > 1);
}

for (const f of badFiles('torch-zip', 'torch-legacy')) {
  test(`${f.expect}s ${f.file}: ${f.why}`, async (t) => {
    const before = Object.getOwnPropertyNames(Object.prototype).length;
    const started = performance.now();
    try {
      const file = await read(bytesOf(`bad/${f.file}`), f.file);
      for (const { tensor } of file.named) await tensor.bytes();
      t.not(f.expect, 'reject');
    } catch (e) {
      t.true(e instanceof CheckpointError, String(e));
      t.true((e as Error).message.startsWith(`${f.file}: `));
      t.not(f.expect, 'accept');
    }
    t.true(performance.now() - started < 1000);
    t.is(Object.getOwnPropertyNames(Object.prototype).length, before);
  });
}
