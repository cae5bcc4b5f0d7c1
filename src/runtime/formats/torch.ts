/**
 * Reads what `torch.save` writes: the zip archive of today and the stream of pickles before it
 * (torch/serialization.py: `_load`, `_legacy_load`). Nothing in the file is executed; see pickle.ts.
 */
import { CheckpointError } from '../errors.ts';
import type { CheckpointFile } from './checkpoint.ts';
import { widthOfDtype } from './dtypes.ts';
import { unpickle, PyGlobal, type PickleCall, type PickleHost } from './pickle.ts';
import { PyTuple, typeName, type PyValue } from './pickle-values.ts';
import { ByteReader, parseStart } from './reader.ts';
import type { ByteSource } from '../sources/source.ts';
import { STORAGES } from './torch-dtypes.ts';
import { TORCH_GLOBALS } from './torch-globals.ts';
import { namedTensors, type NamedTensor } from './torch-names.ts';
import { plainNotes } from './torch-notes.ts';
import { TorchStorage, TorchTensor } from './torch-tensor.ts';
import { quote, readMember, type ZipFile } from './zip.ts';

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
export async function openTorch(zip: ZipFile): Promise<TorchFile> {
  const { source } = zip;
  const fail = (what: string, name = ''): never => {
    throw new CheckpointError(source.name, what, zip.members.get(name)?.start ?? zip.directory);
  };
  const roots = new Set([...zip.members.keys()].map((n) => n.slice(0, n.indexOf('/') + 1)));
  const [root = ''] = roots;
  if (roots.size !== 1 || root === '') fail(`the archive has ${roots.size} folders at its top, one is expected`);
  const record = async (name: string): Promise<Uint8Array | null> => {
    const m = zip.members.get(root + name);
    return m ? readMember(zip, m, { zeroCrcIsNone: true }) : null;
  };
  if (zip.members.has(`${root}constants.pkl`))
    fail('this is a TorchScript program, not a file of weights: save its state_dict()', `${root}constants.pkl`);
  const order = new TextDecoder('latin1').decode((await record('byteorder')) ?? new Uint8Array()) || 'little';
  if (order !== 'little' && order !== 'big')
    fail(`its byte order is ${quote(order)}: little or big is expected`, `${root}byteorder`);
  const pickle = (await record('data.pkl')) ?? fail(`the archive has no ${root}data.pkl: not a file of torch.save`);

  // Tensors of one storage tend to follow each other.
  const read = keepLast(async (name) => (await record(name))!);
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
      const storage = new TorchStorage(dtype, numel, () => read(name), order === 'big');
      storages.set(key, storage);
      return storage;
    },
  };
  const main = zip.members.get(`${root}data.pkl`)!;
  // Offsets of an inflated pickle are its own.
  const value = unpickle(new ByteReader(pickle, source.name, 0, main.deflated ? 0 : main.start), host);
  return torchFile('torch', value, source, main.start);
}

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** The stream of pickles that `torch.save` wrote before 1.6: magic, version, system, object, storage keys, storages. */
export async function openTorchLegacy(source: ByteSource): Promise<TorchFile> {
  const { value, storages, keys, at } = await parseStart(source, (r) => readStream(r, source));
  const fail = (what: string, where: number): never => {
    throw new CheckpointError(source.name, what, where);
  };
  let next = at;
  for (const key of keys) {
    const entry = typeof key === 'string' ? storages.get(key) : undefined;
    if (!entry || entry.start !== null) return fail('a storage is listed that no tensor has', next);
    const { numel, nbytes } = entry.storage;
    const told = new ByteReader(await source.read(next, Math.min(8, source.size - next)), source.name, 0, next).i64();
    if (told !== BigInt(numel)) fail(`a storage of ${told} elements, where the tensors say ${numel}`, next);
    entry.start = next + 8;
    next = entry.start + nbytes;
    if (next > source.size)
      fail(`${nbytes} more bytes are needed and ${source.size - entry.start} are left`, entry.start);
  }
  for (const [key, entry] of storages) if (entry.start === null) fail(`the storage ${quote(key)} has no bytes`, next);
  if (next < source.size) fail(`${source.size - next} bytes follow the last storage`, next);
  return torchFile('torch-legacy', value, source, 0);
}

/** A storage of a stream; where its bytes start is known at the end. */
interface Streamed {
  readonly storage: TorchStorage;
  start: number | null;
}

function readStream(
  r: ByteReader,
  source: ByteSource,
): { value: PyValue; storages: Map<string, Streamed>; keys: readonly PyValue[]; at: number } {
  const plain: PickleHost = {
    find: (path) => TORCH_GLOBALS.get(path) ?? null,
    persistent: (_, c) => c.fail('a storage is not expected here'),
  };
  if (unpickle(r, plain) !== MAGIC) r.fail('this does not start with the number that torch.save writes', 0);
  const at = r.at;
  if (unpickle(r, plain) !== PROTOCOL) r.fail('the version of the format is not 1001', at);
  unpickle(r, plain);

  const storages = new Map<string, Streamed>();
  const windows = new Map<string, TorchStorage>();
  const value = unpickle(r, {
    find: plain.find,
    persistent(id, c) {
      const { key, dtype, numel } = storageId(id, 6, c);
      let entry = storages.get(key);
      if (!entry) {
        const content = keepLast(() => source.read(made.start!, made.storage.nbytes));
        const made: Streamed = { storage: new TorchStorage(dtype, numel, () => content(key), false), start: null };
        storages.set(key, (entry = made));
      } else if (entry.storage.dtype !== dtype || entry.storage.numel !== numel) {
        c.fail(`the storage ${quote(key)} is described in two ways`);
      }
      const window = id.items[5] ?? null;
      return window === null ? entry.storage : storageWindow(entry.storage, window, windows, c);
    },
  });
  const listed = r.at;
  const keys = unpickle(r, plain);
  if (!Array.isArray(keys)) return r.fail('the list of storages is missing', listed);
  return { value, storages, keys, at: r.at };
}

/** What was read last, kept: tensors that share a storage tend to follow each other. */
function keepLast(read: (name: string) => Promise<Uint8Array>): (name: string) => Promise<Uint8Array> {
  let last: { readonly name: string; readonly bytes: Promise<Uint8Array> } | null = null;
  return (name) => (last?.name === name ? last : (last = { name, bytes: read(name) })).bytes;
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
      async () => (await root.content()).subarray(offset * width, (offset + numel) * width),
      false,
      root.root,
    );
  known.set(key, made);
  if (made.root !== root.root || made.numel !== numel) c.fail(`the storage ${quote(key)} is described in two ways`);
  return made;
}

function torchFile(format: TorchFile['format'], root: PyValue, source: ByteSource, at: number): TorchFile {
  const named = namedTensors(root, source.name, at);
  const distinct = new Set(named.map((n) => n.tensor));
  const storages = new Set([...distinct].map((t) => t.storage));
  const total = (list: Iterable<{ readonly nbytes: number }>): number => [...list].reduce((n, x) => n + x.nbytes, 0);
  const [shown, held] = [total(distinct), total(storages)];
  if (shown > MAX_EXPANSION * held + FREE_EXPANSION)
    throw new CheckpointError(
      source.name,
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
  const metadata = plainNotes(root, tensors);
  return { format, file: source.name, root, named, tensors, metadata, close: () => source.close() };
}
