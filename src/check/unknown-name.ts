/** What to do about a name that is not there: import it, spell it right, or leave PyTorch's prefix out. */
import { didYouMean, didYouMeanOf } from '../diagnostics/index.ts';
import { STDLIB } from '../stdlib.generated.ts';

const PREFIX = 'layers and functions go by their own names, without a prefix: `Linear(4, 2)`, `relu(x)`';

/** Names that people bring along from Python. */
const FOREIGN: Readonly<Record<string, string>> = {
  ...{
    torch: PREFIX,
    nn: PREFIX,
    F: PREFIX,
    np: PREFIX,
    numpy: PREFIX,
    jnp: PREFIX,
    jax: PREFIX,
    optim: PREFIX,
    init: PREFIX,
  },
  range: 'a range is written `0..n`',
  super: 'there is nothing to call: the members of a block make themselves',
  print: 'a network prints nothing: return what you want to see',
  Tensor: 'a tensor type is written `f32[B, 4]`',
  Module: 'a network is a `block`',
  ModuleList: 'a list of layers is written `[for i in 0..n: Linear(4, 4)]`',
  Sequential: 'layers in a row are written `seq { Linear(4, 8); relu; Linear(8, 2) }`',
  Parameter: 'a trained tensor is declared by `param name: f32[4] ~ zeros()`',
  seq: 'layers in a row are written `seq { Linear(4, 8); relu; Linear(8, 2) }`',
  ModuleDict: 'layers with names are members, of a block of their own where they belong together: `a = Linear(4, 4)`',
  parameters: 'an optimizer has all that is trained: leave it out',
  register_buffer: 'a buffer is declared by `buffer name: f32[4] ~ zeros()`',
  assert: 'write `require condition, "message"`',
  no_grad: 'write `stop_gradient(x)`',
  bmm: 'write `a @ b`',
  mm: 'write `a @ b`',
  square: 'write `x * x`',
  view: 'write `reshape(x, [...])`',
  expand: 'write `broadcast_to(x, [...])`',
  map: 'write `[for x in list: f(x)]`',
};

const SIZES = 'sizes have names: in `x: f32[B, T]` they are `B` and `T`';
const PLACE = 'where a network runs is chosen when its program is made, not in the network';

/** What PyTorch's tensors have and values of this language do not. */
const TENSOR_MEMBERS: Readonly<Record<string, string>> = {
  ...{ shape: SIZES, size: SIZES, ndim: SIZES, dim: SIZES, numel: SIZES },
  ...{ t: 'write `transpose(x, 0, 1)`', T: 'write `transpose(x, 0, 1)`', mT: 'write `transpose(x, -2, -1)`' },
  ...{ view: 'write `reshape(x, [...])`', item: 'return the tensor: whoever calls reads it' },
  ...{
    expand: 'write `broadcast_to(x, [...])`',
    expand_as: 'write `broadcast_to(x, [...])`',
    repeat: 'write `tile(x, [...])`',
  },
  ...{ contiguous: 'leave it out: every tensor is', clone: 'leave it out: values never change' },
  max: 'write `amax(x, dim: 1)` for the largest values, `argmax(x, dim: 1)` for their places',
  min: 'write `amin(x, dim: 1)` for the least values, `argmin(x, dim: 1)` for their places',
  ...{ detach: 'write `stop_gradient(x)`', backward: 'gradients are made from the `loss`; nothing asks for them here' },
  ...{ to: PLACE, cuda: PLACE, cpu: PLACE, device: PLACE },
  ...{
    float: 'write `f32(x)`',
    half: 'write `f16(x)`',
    int: 'write `i32(x)`',
    long: 'write `i32(x)`',
    bool: 'write `bool(x)`',
  },
};

export function tensorMemberHelp(name: string): string | null {
  if (/[a-z]_$/.test(name)) return 'nothing is changed in place: give the result a name, `x = f(x)`';
  return (Object.hasOwn(TENSOR_MEMBERS, name) ? TENSOR_MEMBERS[name] : null) ?? null;
}

/** What other languages call an element type. */
const FOREIGN_TYPES: Readonly<Record<string, string>> = {
  ...{
    float: 'f32',
    float32: 'f32',
    float64: 'f32',
    double: 'f32',
    f64: 'f32',
    half: 'f16',
    float16: 'f16',
    bfloat16: 'bf16',
  },
  ...{
    int: 'i32',
    long: 'i32',
    int32: 'i32',
    int64: 'i32',
    i64: 'i32',
    i16: 'i32',
    i8: 'i32',
    u8: 'u32',
    uint8: 'u32',
    boolean: 'bool',
  },
};

export function unknownTypeHelp(name: string, known: Iterable<string>): string | null {
  if (name === 'Tensor') return "a tensor's type says what it holds and its sizes: `f32[B, 4]`";
  const ours = Object.hasOwn(FOREIGN_TYPES, name) ? FOREIGN_TYPES[name] : undefined;
  return ours === undefined ? didYouMean(name, known) : `write \`${ours}\``;
}

/** What PyTorch's layers and functions take and ours do not. */
const FOREIGN_ARGUMENTS: Readonly<Record<string, string>> = {
  inplace: 'nothing is changed in place: leave it out',
  training: 'every call has the mode of its caller: leave it out',
  dtype: 'cast the result: `f32(...)`',
  device: PLACE,
};

/** NumPy's and other libraries' names of arguments. */
const OTHER_NAMES: Readonly<Record<string, string>> = { axis: 'dim', keepdims: 'keepdim', learning_rate: 'lr' };

export function unknownArgumentHelp(name: string, known: readonly string[]): string | null {
  if (Object.hasOwn(FOREIGN_ARGUMENTS, name)) return FOREIGN_ARGUMENTS[name] ?? null;
  const ours = Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name] : undefined;
  return ours !== undefined && known.includes(ours) ? `it is called \`${ours}\`` : didYouMeanOf(name, known);
}

/** A help line, or null. `candidates` are the names that are in scope. */
export function unknownNameHelp(name: string, candidates: Iterable<string>): string | null {
  // A layer that only lacks its import is the commonest slip of all.
  const home = libraryFileOf(name);
  if (home !== null) return `add at the top: import { ${name} } from "${home}"`;
  return (Object.hasOwn(FOREIGN, name) ? FOREIGN[name] : null) ?? didYouMean(name, candidates);
}

/** `import { relu } from "std/nn"`: functions need none. */
export function preludeHelp(name: string): string | null {
  const home = libraryFileOf(name);
  return home === null || home === 'std/nn' ? null : `\`${name}\` needs no import`;
}

function libraryFileOf(name: string): string | null {
  const exported = new RegExp(`^export (?:block|fn|optimizer|type|const) ${name}\\b`, 'm');
  return Object.keys(STDLIB).find((path) => exported.test(STDLIB[path] ?? '')) ?? null;
}
