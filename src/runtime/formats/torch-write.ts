/** Writes files that `torch.load(weights_only=True)` reads, `mmap=True` too: stored records at multiples of 64 bytes. */
import { DTypeError } from '../errors.ts';
import type { FileTensor } from './checkpoint.ts';
import { widthOfDtype } from './dtypes.ts';
import { PyGlobal } from './pickle.ts';
import { PyCall, PyDict, PyTuple, type PyValue } from './pickle-values.ts';
import { PickleWriter, PyPersistent } from './pickle-write.ts';
import { rowMajor } from './strided.ts';
import { DTYPES, STORAGES } from './torch-dtypes.ts';
import { TorchStorage, TorchTensor } from './torch-tensor.ts';
import { writeZip } from './zip-write.ts';

const ALIGNMENT = 64;
const invert = (m: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map([...m].map(([k, v]) => [v, k] as const));
const STORAGE_OF = invert(STORAGES);
const DTYPE_OF = invert(DTYPES);

/**
 * The archive of a saved object, in pieces. Tensors that share a storage share it in the file. Whole numbers are saved as
 * ints: in JavaScript they are not told from floats.
 */
export function writeTorch(root: PyValue): AsyncGenerator<Uint8Array> {
  const records = new Map<TorchStorage, { readonly key: string; readonly typed: boolean }>();
  const writer = new PickleWriter((o) => (o instanceof TorchTensor ? rebuild(o, records) : null));
  const ascii = (text: string) => () => [new TextEncoder().encode(text)];
  const pickle = writer.dump(root);
  return writeZip(
    [
      ['archive/data.pkl', () => [pickle]],
      ['archive/byteorder', ascii('little')],
      ...[...records].map(([s, { key }]) => [`archive/data/${key}`, async () => [await s.content()]] as const),
      ['archive/version', ascii('3\n')],
    ],
    ALIGNMENT,
  );
}

/** Named tensors as PyTorch saves a state dict. The same tensor under two names is saved once. */
export function writeTorchStateDict(tensors: ReadonlyMap<string, FileTensor>): AsyncGenerator<Uint8Array> {
  const dict = new PyDict('OrderedDict');
  const made = new Map<FileTensor, TorchTensor>();
  for (const [name, t] of tensors) {
    const known = made.get(t) ?? (t instanceof TorchTensor ? t : torchTensor(t));
    made.set(t, known);
    dict.set(name, known);
  }
  return writeTorch(dict);
}

/** A tensor on a storage of its own; nothing is copied. */
export function torchTensor(t: FileTensor): TorchTensor {
  if (!DTYPE_OF.has(t.dtype)) throw new DTypeError(`PyTorch has no element type ${t.dtype}: cast it first`);
  const storage = new TorchStorage(t.dtype, t.nbytes / widthOfDtype(t.dtype)!, () => t.bytes(), false);
  const { dtype, shape } = t;
  return new TorchTensor(storage, { dtype, shape, strides: rowMajor(shape), offset: 0 }, { requiresGrad: false });
}

function rebuild(t: TorchTensor, records: Map<TorchStorage, { key: string; typed: boolean }>): PyCall {
  const className = STORAGE_OF.get(t.dtype);
  const typed = t.storage.dtype === t.dtype && className !== undefined;
  // What is not plain memory, or is seen as two element types, is written out as values of its own.
  const known = records.get(t.storage);
  const view =
    t.isPlain && (known?.typed ?? typed) === typed ? t : { ...plainView(t), storage: torchTensor(t).storage };
  const { storage } = view;
  if (!records.has(storage)) records.set(storage, { key: String(records.size), typed });
  const id = new PyTuple([
    'storage',
    new PyGlobal(typed ? `torch.${className}` : 'torch.storage.UntypedStorage'),
    records.get(storage)!.key,
    'cpu',
    typed ? storage.numel : storage.nbytes,
  ]);
  const data = new PyCall(`torch._utils._rebuild_tensor_v${typed ? 2 : 3}`, [
    new PyPersistent(id),
    view.offset,
    new PyTuple(view.shape),
    new PyTuple(view.strides),
    t.requiresGrad && !t.parameter,
    new PyDict('OrderedDict'),
    ...(typed ? [] : [new PyGlobal(`torch.${DTYPE_OF.get(t.dtype)}`)]),
  ]);
  if (!t.parameter) return data;
  return new PyCall('torch._utils._rebuild_parameter', [data, t.requiresGrad, new PyDict('OrderedDict')]);
}

function plainView(t: TorchTensor): { shape: readonly number[]; strides: readonly number[]; offset: number } {
  return { shape: t.shape, strides: rowMajor(t.shape), offset: 0 };
}
