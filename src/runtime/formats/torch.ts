/**
 * Reads what `torch.save` writes: the zip archive of today and the stream of pickles before it
 * (torch/serialization.py: `_load`, `_legacy_load`). Nothing in the file is executed; see pickle.ts.
 */
import { CheckpointError } from '../errors.ts';
import type { CheckpointFile } from './checkpoint.ts';
import { widthOfDtype } from './dtypes.ts';
import { unpickle, PyGlobal, type PickleCall, type PickleHost } from './pickle.ts';
import { PyTuple, typeName, type PyValue } from './pickle-values.ts';
import { ByteReader } from './reader.ts';
import { STORAGES } from './torch-dtypes.ts';
import { TORCH_GLOBALS } from './torch-globals.ts';
import { namedTensors, type NamedTensor } from './torch-names.ts';
import { TorchStorage, TorchTensor } from './torch-tensor.ts';
import { quote, readMember, readZip, type ZipFile } from './zip.ts';

export interface TorchFile extends CheckpointFile {
  readonly format: 'torch' | 'torch-legacy';
  /** The saved object: dictionaries, lists, numbers, tensors. */
  readonly root: PyValue;
  /** Every place of the object that holds a tensor. */
  readonly named: readonly NamedTensor[];
}

/** Views may repeat the memory they look at, within reason: an expanded tensor must not fill the memory of its reader. */
const MAX_EXPANSION = 8;
const FREE_EXPANSION = 1 << 26;

/** An archive of `torch.save`. */
export function readTorch(bytes: Uint8Array, file = '', zip: ZipFile = readZip(bytes, file)): TorchFile {
  const fail = (what: string, name = ''): never => {
    throw new CheckpointError(file, what, zip.members.get(name)?.start ?? zip.directory);
  };
  const roots = new Set([...zip.members.keys()].map((n) => n.slice(0, n.indexOf('/') + 1)));
  const [root = ''] = roots;
  if (roots.size !== 1 || root === '') fail(`the archive has ${roots.size} folders at its top, one is expected`);
  const record = (name: string): Uint8Array | null => {
    const m = zip.members.get(root + name);
    return m ? readMember(zip, m, { zeroCrcIsNone: true }) : null;
  };
  if (zip.members.has(`${root}constants.pkl`))
    fail('this is a TorchScript program, not a file of weights: save its state_dict()', `${root}constants.pkl`);
  const order = new TextDecoder('latin1').decode(record('byteorder') ?? new Uint8Array()) || 'little';
  if (order !== 'little' && order !== 'big')
    fail(`its byte order is ${quote(order)}: little or big is expected`, `${root}byteorder`);
  const pickle = record('data.pkl') ?? fail(`the archive has no ${root}data.pkl: not a file of torch.save`);

  const storages = new Map<string, TorchStorage>();
  const host: PickleHost = {
    find: (path) => TORCH_GLOBALS.get(path) ?? null,
    persistent(id, c) {
      const { key, dtype, numel } = storageId(id, 5, c);
      const known = storages.get(key);
      if (known) {
        if (known.dtype !== dtype || known.numel !== numel)
          c.fail(`the storage ${quote(key)} is described in two ways`);
        return known;
      }
      const name = `data/${key}`;
      const member = zip.members.get(root + name) ?? c.fail(`there is no record ${quote(name)} for a storage`);
      const needed = numel * widthOfDtype(dtype)!;
      if (member.size !== needed)
        c.fail(`the storage ${quote(key)} needs ${needed} bytes and its record has ${member.size}`);
      let content: Uint8Array | null = null;
      const storage = new TorchStorage(dtype, numel, () => (content ??= record(name)!), order === 'big');
      storages.set(key, storage);
      return storage;
    },
  };
  const main = zip.members.get(`${root}data.pkl`)!;
  // Offsets of an inflated pickle are its own.
  const value = unpickle(new ByteReader(pickle, file, 0, main.deflated ? 0 : main.start), host);
  return torchFile('torch', value, file, main.start);
}

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** The stream of pickles that `torch.save` wrote before 1.6: magic, version, system, object, storage keys, storages. */
export function readTorchLegacy(bytes: Uint8Array, file = ''): TorchFile {
  const r = new ByteReader(bytes, file);
  const plain: PickleHost = {
    find: (path) => TORCH_GLOBALS.get(path) ?? null,
    persistent: (_, c) => c.fail('a storage is not expected here'),
  };
  if (unpickle(r, plain) !== MAGIC) r.fail('this does not start with the number that torch.save writes', 0);
  let at = r.at;
  if (unpickle(r, plain) !== PROTOCOL) r.fail('the version of the format is not 1001', at);
  unpickle(r, plain);

  const storages = new Map<string, { storage: TorchStorage; content: Uint8Array | null }>();
  const windows = new Map<string, TorchStorage>();
  const value = unpickle(r, {
    find: plain.find,
    persistent(id, c) {
      const { key, dtype, numel } = storageId(id, 6, c);
      let entry = storages.get(key);
      if (!entry) {
        const made: { storage: TorchStorage; content: Uint8Array | null } = {
          storage: new TorchStorage(dtype, numel, () => made.content!, false),
          content: null,
        };
        storages.set(key, (entry = made));
      } else if (entry.storage.dtype !== dtype || entry.storage.numel !== numel) {
        c.fail(`the storage ${quote(key)} is described in two ways`);
      }
      const window = id.items[5] ?? null;
      return window === null ? entry.storage : storageWindow(entry.storage, window, windows, c);
    },
  });
  at = r.at;
  const keys = unpickle(r, plain);
  if (!Array.isArray(keys)) return r.fail('the list of storages is missing', at);
  for (const key of keys) {
    const entry = typeof key === 'string' ? storages.get(key) : undefined;
    if (!entry || entry.content) return r.fail('a storage is listed that no tensor has', r.at);
    at = r.at;
    const numel = r.i64();
    if (numel !== BigInt(entry.storage.numel))
      r.fail(`a storage of ${numel} elements, where the tensors say ${entry.storage.numel}`, at);
    entry.content = r.take(entry.storage.nbytes);
  }
  for (const [key, entry] of storages) if (!entry.content) r.fail(`the storage ${quote(key)} has no bytes`);
  if (r.left > 0) r.fail(`${r.left} bytes follow the last storage`);
  return torchFile('torch-legacy', value, file, 0);
}

/** ("storage", class, key, location, numel): where it was does not matter here. */
function storageId(id: PyTuple, length: number, c: PickleCall): { key: string; dtype: string; numel: number } {
  const [word, type, key, , numel] = id.items;
  if (word !== 'storage' || id.items.length !== length) return c.fail('a persistent id that is no storage');
  const name = type instanceof PyGlobal ? type.name : '';
  const dtype = name === 'torch.storage.UntypedStorage' ? 'U8' : STORAGES.get(name.replace(/^torch\.(cuda\.)?/, ''));
  if (dtype === undefined)
    return c.fail(`a storage of ${name || (type === undefined ? 'nothing' : typeName(type))}, which is not read`);
  if (typeof key !== 'string') return c.fail('a storage is called by a str');
  if (typeof numel !== 'number' || !Number.isSafeInteger(numel) || numel < 0 || !Number.isSafeInteger(numel * 16))
    return c.fail(`a storage of ${String(numel)} elements`);
  return { key, dtype, numel };
}

/** A range of a storage that was a storage of its own: (key, offset, numel). */
function storageWindow(
  root: TorchStorage,
  window: PyValue,
  known: Map<string, TorchStorage>,
  c: PickleCall,
): TorchStorage {
  const [key, offset, numel] = window instanceof PyTuple ? window.items : [];
  const whole = (v: PyValue | undefined): v is number => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0;
  if (typeof key !== 'string' || !whole(offset) || !whole(numel) || offset + numel > root.numel)
    return c.fail('a view of a storage that is not inside it');
  const width = widthOfDtype(root.dtype)!;
  const made =
    known.get(key) ??
    new TorchStorage(
      root.dtype,
      numel,
      () => root.content().subarray(offset * width, (offset + numel) * width),
      false,
      root.root,
    );
  known.set(key, made);
  if (made.root !== root.root || made.numel !== numel) c.fail(`the storage ${quote(key)} is described in two ways`);
  return made;
}

function torchFile(format: TorchFile['format'], root: PyValue, file: string, at: number): TorchFile {
  const named = namedTensors(root, file, at);
  const distinct = new Set(named.map((n) => n.tensor));
  const storages = new Set([...distinct].map((t) => t.storage));
  const total = (list: Iterable<{ readonly nbytes: number }>): number => [...list].reduce((n, x) => n + x.nbytes, 0);
  const [shown, held] = [total(distinct), total(storages)];
  if (shown > MAX_EXPANSION * held + FREE_EXPANSION)
    throw new CheckpointError(
      file,
      `its tensors are ${shown} bytes on ${held} bytes of storage: views that repeat themselves`,
      at,
    );
  const tensors = new Map<string, TorchTensor>();
  for (const { name, tensor } of named) {
    // An integer and a text may spell the same key.
    let free = name;
    for (let i = 2; tensors.has(free); i++) free = `${name}~${i}`;
    tensors.set(free, tensor);
  }
  return { format, root, named, tensors, metadata: new Map() };
}
