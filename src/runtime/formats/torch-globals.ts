/**
 * The globals of PyTorch's `weights_only` unpickler (`_get_allowed_globals` of torch 2.13), each as a function on plain
 * data. Names that are on its list and make things that are no dense tensor (sparse, quantized, nested ones) are known,
 * and refused when they are used.
 */
import { PyGlobal, type PickleCall } from './pickle.ts';
import { keyWork, PyCall, PyComplex, PyDict, PySet, PyTuple, typeName, type PyValue } from './pickle-values.ts';
import { DTYPES, STORAGES } from './torch-dtypes.ts';
import { REBUILDERS } from './torch-rebuild.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);
/** On PyTorch's list, as values that no dense tensor has. */
const KNOWN_VALUES =
  words(`bits16 bits1x8 bits2x4 bits4x2 bits8 float4_e2m1fn_x2 int1 int2 int3 int4 int5 int6 int7 uint1 uint2
  uint3 uint4 uint5 uint6 uint7 qint32 qint8 quint2x4 quint4x2 quint8 per_channel_affine per_channel_affine_float_qparams
  per_channel_symmetric per_tensor_affine per_tensor_symmetric QInt32Storage QInt8Storage QUInt2x4Storage QUInt4x2Storage
  QUInt8Storage storage.TypedStorage Tensor`);
const TENSOR_CLASSES = words('BFloat16 Bool Byte Char Double Float Half Int Long Short').map((n) => `${n}Tensor`);

function build(): Map<string, PyGlobal> {
  const all = new Map<string, PyGlobal>();
  const add = (name: string, call: PyGlobal['call'] = null, construct: PyGlobal['construct'] = null): void =>
    void all.set(name, new PyGlobal(name, call, construct));
  for (const name of [...DTYPES.keys(), ...KNOWN_VALUES]) add(`torch.${name}`);
  for (const name of STORAGES.keys()) for (const device of ['', 'cuda.']) add(`torch.${device}${name}`);
  add('torch.storage.UntypedStorage');
  for (const name of TENSOR_CLASSES) for (const path of ['', 'cuda.']) add(`torch.${path}${name}`);
  for (const name of TENSOR_CLASSES) {
    if (name !== 'BoolTensor') for (const path of ['sparse.', 'cuda.sparse.']) add(`torch.${path}${name}`);
  }
  add('collections.OrderedDict', dict('OrderedDict'), dict('OrderedDict'));
  add('collections.Counter', dict('Counter'), dict('Counter'));
  add('torch.Size', size, size);
  add('torch.device', device);
  add('torch.serialization._get_layout', ([name], c) =>
    typeof name === 'string'
      ? new PyCall('torch.serialization._get_layout', [name])
      : c.fail('a layout is called by a str'),
  );
  add('_codecs.encode', encoded);
  add('builtins.bytearray', encoded);
  add('builtins.set', set, set);
  add('builtins.complex', ([re = 0, im = 0], c) =>
    typeof re === 'number' && typeof im === 'number' ? new PyComplex(re, im) : c.fail('complex() takes two numbers'),
  );
  for (const [name, { call, construct }] of REBUILDERS) add(name, call, construct ?? null);
  return all;
}

function dict(kind: 'OrderedDict' | 'Counter'): NonNullable<PyGlobal['call']> {
  return (args, c) => {
    const out = new PyDict(kind);
    const [from] = args;
    if (args.length > 1) c.fail(`${kind} takes one argument`);
    if (from === undefined || from === null) return out;
    const pairs = from instanceof PyDict ? [...from.entries()] : kind === 'OrderedDict' ? pairsOf(from) : null;
    if (!pairs) return c.fail(`${kind} is not made of ${typeName(from)}`);
    c.spend(2 * pairs.length);
    for (const [k, v] of pairs) {
      c.spend(keyWork(k));
      if (!out.set(k, v)) c.fail(`${typeName(k)} cannot be a key`);
    }
    return out;
  };
}

function pairsOf(v: PyValue): (readonly [PyValue, PyValue])[] | null {
  const items = sequence(v);
  const pairs = items?.map(sequence);
  if (!pairs || pairs.some((p) => p?.length !== 2)) return null;
  return pairs as unknown as (readonly [PyValue, PyValue])[];
}

const sequence = (v: PyValue): readonly PyValue[] | null =>
  Array.isArray(v) ? v : v instanceof PyTuple ? v.items : null;

function set(args: readonly PyValue[], c: PickleCall): PySet {
  const out = new PySet();
  const [from = new PyTuple([])] = args;
  const items = from instanceof PySet ? [...from.items()] : sequence(from);
  if (args.length > 1 || !items) return c.fail('a set is made of a list');
  c.spend(items.length);
  for (const item of items) {
    c.spend(keyWork(item));
    if (!out.add(item)) c.fail(`${typeName(item)} cannot be in a set`);
  }
  return out;
}

function size([from]: readonly PyValue[], c: PickleCall): PyTuple {
  const items = sequence(from ?? new PyTuple([]));
  if (!items?.every((n) => Number.isSafeInteger(n))) return c.fail('a torch.Size is made of whole numbers');
  c.spend(items.length);
  return new PyTuple(items, true);
}

function device(args: readonly PyValue[], c: PickleCall): PyCall {
  const [type, index = 0] = args;
  if (typeof type === 'string' && typeof index === 'number' && args.length <= 2)
    return new PyCall('torch.device', args);
  return c.fail('a torch.device is called by a str and a number');
}

/** Bytes come as text of code points below 256 in protocol 2. */
function encoded([text, encoding]: readonly PyValue[], c: PickleCall): Uint8Array {
  if (text === undefined) return new Uint8Array(0);
  if (text instanceof Uint8Array) {
    c.spend(text.length);
    return text.slice();
  }
  if (typeof text !== 'string') return c.fail(`bytes are made of a str, not ${typeName(text)}`);
  c.spend(text.length);
  if (encoding === undefined || encoding === 'utf-8' || encoding === 'utf8') return new TextEncoder().encode(text);
  if (encoding !== 'latin1' && encoding !== 'latin-1') return c.fail('bytes come as latin-1');
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) c.fail(`character ${i} of the bytes is not latin-1`);
    out[i] = code;
  }
  return out;
}

/** Read-only: the functions keep nothing between calls. */
export const TORCH_GLOBALS: ReadonlyMap<string, PyGlobal> = build();
