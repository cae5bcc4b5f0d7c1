/** The functions that pickles of PyTorch make tensors with, on storages and plain numbers. */
import { widthOfDtype } from './dtypes.ts';
import { PyGlobal, type PickleCall } from './pickle.ts';
import { PyDict, PyTuple, typeName, type PyValue } from './pickle-values.ts';
import { DTYPES } from './torch-dtypes.ts';
import { TorchStorage, TorchTensor, type LazyBits } from './torch-tensor.ts';

type Call = (args: readonly PyValue[], c: PickleCall) => PyValue;

/** As PyTorch: a tensor has at most 64 dims. */
const MAX_RANK = 64;

function sizes(v: PyValue | undefined, what: string, c: PickleCall): number[] {
  if (!(v instanceof PyTuple))
    return c.fail(`the ${what} of a tensor is a tuple, not ${v === undefined ? 'missing' : typeName(v)}`);
  if (v.items.length > MAX_RANK) c.fail(`a tensor of ${v.items.length} dims`);
  c.spend(v.items.length);
  return v.items.map((n) => whole(n, what, c));
}

function whole(v: PyValue | undefined, what: string, c: PickleCall): number {
  if (typeof v === 'number' && Number.isSafeInteger(v) && v >= 0) return v;
  return c.fail(
    `the ${what} of a tensor has ${v === undefined ? 'nothing' : typeof v === 'object' ? typeName(v) : String(v)}, no whole number from 0`,
  );
}

/** Storage, offset, size and stride, which must stay inside the storage. */
function viewed(
  args: readonly PyValue[],
  dtype: string | null,
  c: PickleCall,
): { storage: TorchStorage; view: TorchTensor } {
  const [storage] = args;
  if (!(storage instanceof TorchStorage))
    return c.fail(`a tensor is made of a storage, not ${storage === undefined ? 'nothing' : typeName(storage)}`);
  const elem = dtype ?? storage.dtype;
  const offset = whole(args[1], 'offset', c);
  const shape = sizes(args[2], 'size', c);
  const strides = sizes(args[3], 'stride', c);
  if (shape.length !== strides.length) c.fail(`a tensor of ${shape.length} sizes and ${strides.length} strides`);
  const count = shape.reduce((n, d) => n * BigInt(d), 1n);
  const width = BigInt(widthOfDtype(elem)!);
  if (count * width > BigInt(Number.MAX_SAFE_INTEGER))
    c.fail(`a tensor of [${shape.join(', ')}] is larger than any memory`);
  const last = shape.reduce((n, d, i) => n + BigInt(d - 1) * BigInt(strides[i]!), BigInt(offset));
  if (count > 0n && (last + 1n) * width > BigInt(storage.nbytes)) {
    c.fail(
      `a tensor of [${shape.join(', ')}] at element ${offset} ends at element ${last}, and its storage has ${BigInt(storage.nbytes) / width}`,
    );
  }
  return { storage, view: new TorchTensor(storage, { dtype: elem, shape, strides, offset }, { requiresGrad: false }) };
}

function rebuilt(
  args: readonly PyValue[],
  dtype: string | null,
  metadata: PyValue | undefined,
  c: PickleCall,
): TorchTensor {
  const { storage, view } = viewed(args, dtype, c);
  const made = new TorchTensor(storage, view, { requiresGrad: flag(args[4], c), bits: lazyBits(metadata, c) });
  return storage.once(made);
}

function flag(v: PyValue | undefined, c: PickleCall): boolean {
  if (typeof v === 'boolean') return v;
  return c.fail(`requires_grad is ${v === undefined ? 'missing' : typeName(v)}`);
}

function lazyBits(v: PyValue | undefined, c: PickleCall): LazyBits {
  const bits = { neg: false, conj: false };
  if (v === undefined || v === null) return bits;
  if (!(v instanceof PyDict)) return c.fail(`a tensor's metadata is a dict, not ${typeName(v)}`);
  c.spend(v.size);
  for (const [key, on] of v.entries()) {
    if ((key !== 'neg' && key !== 'conj') || typeof on !== 'boolean')
      return c.fail("a tensor's metadata has neg and conj alone");
    bits[key] = on;
  }
  return bits;
}

function dtypeOf(v: PyValue | undefined, c: PickleCall): string {
  const name = v instanceof PyGlobal ? v.name : '';
  return (
    (name.startsWith('torch.') ? DTYPES.get(name.slice(6)) : undefined) ??
    c.fail(`a tensor of ${name || 'no dtype'}, which is not read`)
  );
}

function parameter(args: readonly PyValue[], c: PickleCall): TorchTensor {
  const [data, requiresGrad = true] = args;
  if (!(data instanceof TorchTensor))
    return c.fail(`a parameter is made of a tensor, not ${data === undefined ? 'nothing' : typeName(data)}`);
  return data.asParameter(flag(requiresGrad, c));
}

/** A tensor with attributes: the function that makes it, its class, the arguments, the attributes (not kept). */
const fromType: Call = ([func, type, args], c) => {
  if (!(func instanceof PyGlobal) || !DENSE.has(func.name)) return c.fail('a tensor of a subclass is not read');
  if (!(type instanceof PyGlobal) || !['torch.Tensor', PARAMETER].includes(type.name))
    return c.fail('a tensor of a subclass is not read');
  if (!(args instanceof PyTuple)) return c.fail('arguments are a tuple');
  const made = func.call!(args.items, c);
  return type.name === PARAMETER && made instanceof TorchTensor ? made.asParameter(made.requiresGrad) : made;
};

const fromCpu: Call = ([data, dtype, , requiresGrad], c) => {
  if (!(data instanceof TorchTensor)) return c.fail('a tensor of a device is made of a tensor');
  if (dtypeOf(dtype, c) !== data.dtype) return c.fail('a tensor of a device changes its type on the way');
  return new TorchTensor(data.storage, data, { requiresGrad: flag(requiresGrad, c) });
};

const refused =
  (what: string): Call =>
  (_, c) =>
    c.fail(`${what} is not read: convert it to a dense tensor before it is saved`);

const PARAMETER = 'torch.nn.parameter.Parameter';
const DENSE: ReadonlySet<string> = new Set(
  ['_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3', '_rebuild_parameter'].map((n) => `torch._utils.${n}`),
);

export const REBUILDERS: ReadonlyMap<string, { readonly call: Call; readonly construct?: Call }> = new Map([
  ['torch._utils._rebuild_tensor', { call: (args, c) => viewed(args, null, c).view }],
  ['torch._utils._rebuild_tensor_v2', { call: (args, c) => rebuilt(args, null, args[6], c) }],
  ['torch._utils._rebuild_tensor_v3', { call: (args, c) => rebuilt(args, dtypeOf(args[6], c), args[7], c) }],
  ['torch._utils._rebuild_parameter', { call: parameter }],
  ['torch._utils._rebuild_parameter_with_state', { call: parameter }],
  ['torch._utils._rebuild_device_tensor_from_cpu_tensor', { call: fromCpu }],
  ['torch._tensor._rebuild_from_type_v2', { call: fromType }],
  [PARAMETER, { call: parameter, construct: parameter }],
  ['torch._utils._rebuild_qtensor', { call: refused('a quantized tensor') }],
  ['torch._utils._rebuild_sparse_tensor', { call: refused('a sparse tensor') }],
  ['torch._utils._rebuild_nested_tensor', { call: refused('a nested tensor') }],
  ['torch._utils._rebuild_meta_tensor_no_storage', { call: refused('a tensor without values (device meta)') }],
  ['torch._utils._rebuild_wrapper_subclass', { call: refused('a tensor of a subclass') }],
  ['torch._utils._rebuild_device_tensor_from_numpy', { call: refused('a tensor inside a NumPy array') }],
] as [string, { call: Call; construct?: Call }][]);
