/** What to do about a name that is not there: import it, spell it right, or leave PyTorch's prefix out. */
import { didYouMean } from '../diagnostics/index.ts';
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
};

const SIZES = 'sizes have names: in `x: f32[B, T]` they are `B` and `T`';
const PLACE = 'where a network runs is chosen when its program is made, not in the network';

/** What PyTorch's tensors have and values of this language do not. */
const TENSOR_MEMBERS: Readonly<Record<string, string>> = {
  ...{ shape: SIZES, size: SIZES, ndim: SIZES, dim: SIZES, numel: SIZES },
  ...{ t: 'write `transpose(x, 0, 1)`', T: 'write `transpose(x, 0, 1)`', mT: 'write `transpose(x, -2, -1)`' },
  ...{ view: 'write `reshape(x, [...])`', item: 'return the tensor: whoever calls reads it' },
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
  return (Object.hasOwn(TENSOR_MEMBERS, name) ? TENSOR_MEMBERS[name] : null) ?? null;
}

/** A help line, or null. `candidates` are the names that are in scope. */
export function unknownNameHelp(name: string, candidates: Iterable<string>): string | null {
  // A layer that only lacks its import is the commonest slip of all.
  const home = libraryFileOf(name);
  if (home !== null) return `add at the top: import { ${name} } from "${home}"`;
  return (Object.hasOwn(FOREIGN, name) ? FOREIGN[name] : null) ?? didYouMean(name, candidates);
}

function libraryFileOf(name: string): string | null {
  const exported = new RegExp(`^export (?:block|fn|optimizer|type|const) ${name}\\b`, 'm');
  return Object.keys(STDLIB).find((path) => exported.test(STDLIB[path] ?? '')) ?? null;
}
