/**
 * The blocks of std/nn are those of torch.nn: PyTorch itself is asked for the names, order and defaults of the constructors'
 * parameters and for the state dict of each layer. Where the two differ on purpose, the reason stands below.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import type { BlockDecl, FnDecl } from '../../src/parser/ast.ts';
import { parse } from '../../src/parser/index.ts';
import { block } from '../support/check.ts';
import { onPyTorch, whatPyTorchSays } from '../support/pytorch.ts';

/** Parameters of PyTorch that no block has. */
const ABSENT: Readonly<Record<string, string>> = {
  inplace: 'values are never overwritten; the compiler reuses memory where nobody can tell',
  size_average: 'deprecated by PyTorch for `reduction`',
  reduce: 'deprecated by PyTorch for `reduction`',
  min_value: 'deprecated by PyTorch for `min_val`',
  max_value: 'deprecated by PyTorch for `max_val`',
  sparse: 'a layout of gradients; ours are dense',
  _weight: 'values are given by `init` rules and checkpoints',
  _freeze: 'values are frozen by `freeze`',
  enable_nested_tensor: 'a fast path of PyTorch that changes no result',
  mask_check: 'a fast path of PyTorch that changes no result',
  options: 'a choice of PyTorch about memory that changes no result',
  _random_samples: 'given to the function: a tensor is no hyper-parameter',
};

/** `Block.parameter`: ours, where it is another one, with the reason. */
const DIFFERENT: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['MaxPool', 'AvgPool', 'LPPool', 'MaxUnpool'].flatMap((pool) =>
      [1, 2, 3].map((d) => [`${pool}${d}d.stride`, 'says what the `none` of PyTorch stands for: kernel_size']),
    ),
  ),
  ...Object.fromEntries(
    ['Softmax', 'Softmin', 'LogSoftmax'].map((name) => [
      `${name}.dim`,
      'required: PyTorch guesses one, with a warning',
    ]),
  ),
  ...Object.fromEntries([1, 2, 3].map((d) => [`ConvTranspose${d}d.padding_mode`, 'PyTorch takes one value, "zeros"'])),
  'LinearCrossEntropyLoss.ignore_index': 'the number that `none` stands for',
  'TripletMarginWithDistanceLoss.distance_function': 'the function that `none` stands for',
};

/** Optional arguments of `forward` that are not PyTorch's, with the reason. */
const ARGUMENTS: Readonly<Record<string, string>> = {};

/** Layers with tensors and one without, as both languages write them. */
const LAYERS = [
  'Linear(3, 4)',
  'Linear(3, 4, false)',
  'Bilinear(3, 4, 5)',
  'Conv1d(4, 6, 3)',
  'Conv2d(4, 6, 3)',
  'Conv3d(4, 6, 3)',
  'Conv2d(4, 6, (3, 5), 1, "same", 1, 2, true, "circular")',
  'ConvTranspose1d(4, 6, 3)',
  'ConvTranspose2d(4, 6, 3)',
  'ConvTranspose3d(4, 6, 3)',
  'BatchNorm1d(5)',
  'BatchNorm2d(5)',
  'BatchNorm3d(5)',
  'InstanceNorm1d(5)',
  'InstanceNorm2d(5, 1e-5, 0.1, true, true)',
  'InstanceNorm3d(5, 1e-5, 0.1, true)',
  'LayerNorm([5, 6])',
  'GroupNorm(2, 6)',
  'RMSNorm([5])',
  'PReLU()',
  'PReLU(4)',
  'Embedding(7, 4)',
  'EmbeddingBag(7, 4)',
  'RNN(3, 4)',
  'LSTM(3, 4)',
  'GRU(3, 4)',
  'LSTM(3, 4, 2)',
  'RNNCell(3, 4)',
  'LSTMCell(3, 4)',
  'GRUCell(3, 4)',
  'MultiheadAttention(8, 2)',
  'MultiheadAttention(8, 2, 0.0, false, true)',
  'MultiheadAttention(8, 2, 0.0, true, true, true, 6, 5)',
  'TransformerEncoderLayer(8, 2)',
  'TransformerDecoderLayer(8, 2)',
  'TransformerEncoder(TransformerEncoderLayer(8, 2), 2)',
  'TransformerDecoder(TransformerDecoderLayer(8, 2), 2)',
  'Transformer()',
  'LinearCrossEntropyLoss(4, 6)',
  'Dropout()',
];

type Param = readonly [name: string, value: string | null];
interface Torch {
  readonly forwards: Readonly<Record<string, readonly Param[]>>;
  readonly signatures: Readonly<Record<string, readonly Param[]>>;
  readonly states: Readonly<Record<string, readonly (readonly [string, readonly number[]])[]>>;
}

const SCRIPT = `
import inspect
from torch import nn
def text(v):
    if v is inspect.Parameter.empty: return None
    if v is None: return 'none'
    if isinstance(v, bool): return str(v).lower()
    if isinstance(v, str): return json.dumps(v)
    if isinstance(v, tuple): return '[' + ', '.join(map(text, v)) + ']'
    return v.__name__ if callable(v) else repr(v)
def signature(c):
    own = list(inspect.signature(c.__init__).parameters.values())[1:]
    return [[p.name, text(p.default)] for p in own if p.name not in ('device', 'dtype', 'args', 'kwargs')]
def state(call):
    made = eval(call, {**vars(nn), 'true': True, 'false': False})
    return [[k, list(v.shape)] for k, v in made.state_dict().items()]
def optional(c):
    own = list(inspect.signature(c.forward).parameters.values())[1:]
    return [[p.name, text(p.default)] for p in own if p.default is not inspect.Parameter.empty]
known = [n for n in given['names'] if hasattr(nn, n) and n not in ('RNN', 'LSTM', 'GRU')]
forwards = {n: optional(getattr(nn, n)) for n in known}
found = {n: signature(getattr(nn, n)) for n in known}
print(json.dumps({'signatures': found, 'forwards': forwards, 'states': {c: state(c) for c in given['layers']}}))
`;

const folder = fileURLToPath(new URL('../../stdlib/nn/', import.meta.url));
const sources = readdirSync(folder).map((name) => readFileSync(folder + name, 'utf8'));
/** Functions that are named like blocks make one. */
const blocks: readonly { readonly decl: BlockDecl | FnDecl; readonly source: string }[] = sources.flatMap((source) =>
  parse(source, '', new DiagnosticBag()).decls.flatMap((decl) =>
    decl.exported && (decl.kind === 'block' || (decl.kind === 'fn' && /^[A-Z]/.test(decl.name.name)))
      ? [{ decl, source }]
      : [],
  ),
);

/** A number in one spelling, other text as it is. */
const plain = (text: string): string => (Number.isNaN(Number(text)) ? text : String(Number(text)));

const onTorch = onPyTorch();
const torch = whatPyTorchSays<Torch>(SCRIPT, { names: blocks.map(({ decl }) => decl.name.name), layers: LAYERS });

onTorch('names, order and defaults of hyper-parameters', (t) => {
  const used = new Set<string>();
  const { signatures } = torch();
  t.true(Object.keys(signatures).length > 100);
  for (const { decl, source } of blocks) {
    const name = decl.name.name;
    const theirs = signatures[name];
    if (!theirs) continue;
    const written = ([param, value]: Param): string => `${param} = ${value === null ? 'required' : plain(value)}`;
    const differs = ([param]: Param): boolean => {
      const key = `${name}.${param}`;
      if (key in DIFFERENT) used.add(key);
      return key in DIFFERENT;
    };
    const known = (param: Param): string => (differs(param) ? param[0] : written(param));
    const own = decl.params.map((p): Param => [
      p.name.name,
      p.default ? source.slice(p.default.span.start, p.default.span.end) : null,
    ]);
    const has = new Set(own.map(([param]) => param));
    const wanted = theirs.filter(([param]) => {
      if (has.has(param)) return true;
      if (param in ABSENT) used.add(param);
      return !(param in ABSENT) && !differs([param, null]);
    });
    t.deepEqual(own.map(known), wanted.map(known), name);
  }
  t.deepEqual(
    [...Object.keys(ABSENT), ...Object.keys(DIFFERENT)].filter((key) => !used.has(key)),
    [],
    'reasons for nothing',
  );
});

onTorch('names, order and defaults of the optional arguments of forward', (t) => {
  const used = new Set<string>();
  for (const { decl, source } of blocks) {
    const name = decl.name.name;
    const theirs = torch().forwards[name];
    const members = decl.kind === 'block' ? decl.members : [];
    const method = members.flatMap((m) => (m.kind === 'method' && m.fn.name.name === 'forward' ? [m.fn] : []))[0];
    if (!theirs || !method) continue;
    const own = method.params.flatMap((p): readonly Param[] =>
      p.default ? [[p.name.name, source.slice(p.default.span.start, p.default.span.end)]] : [],
    );
    // Whether a mask is causal is never guessed from its values, which is what `none` asks of PyTorch.
    const wanted = theirs.map(([param, value]) => [
      param,
      param.endsWith('is_causal') && value === 'none' ? 'false' : value,
    ]);
    if (JSON.stringify(own) === JSON.stringify(wanted)) continue;
    if (name in ARGUMENTS) used.add(name);
    else t.deepEqual(own as unknown, wanted, name);
  }
  t.deepEqual(
    Object.keys(ARGUMENTS).filter((key) => !used.has(key)),
    [],
    'reasons for nothing',
  );
});

onTorch('keys, order and shapes of state dicts', (t) => {
  for (const call of LAYERS) {
    const names = [...new Set(call.match(/[A-Z]\w+/g))];
    const made = block(`import { ${names.join(', ')} } from "std/nn"\nexport block Net() { layer = ${call} }`);
    const own = made.stateDict.map(({ name, tensor }) => [
      name.replace(/^layer\./, ''),
      made.tensors[tensor]!.type.shape.map((dim) => dim.value),
    ]);
    t.deepEqual(own, torch().states[call] as unknown as typeof own, call);
  }
});
