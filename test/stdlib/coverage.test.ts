/**
 * Every class of torch.nn and every function of torch.nn.functional and torch.nn.init is in the library under its name, or is named here
 * with the reason why not. PyTorch itself is asked for the names, and for the optional arguments of the functions.
 */
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { OPS } from '../../src/ir/ops/table.ts';
import type { FnDecl } from '../../src/parser/ast.ts';
import { parse } from '../../src/parser/index.ts';
import { STDLIB } from '../../src/stdlib.generated.ts';
import { onPyTorch, whatPyTorchSays } from '../support/pytorch.ts';

/** Names of PyTorch, or patterns of them, that the library does not have. */
const WITHOUT = {
  nn: {
    'Module|Container|Sequential|ModuleList|ModuleDict|ParameterList|ParameterDict':
      'parts of the language: block, seq, lists, members',
    'RNNBase|RNNCellBase': 'base classes',
    'Lazy\\w+': 'a size that is written `_` is worked out, for any layer',
    'DataParallel|SyncBatchNorm': 'about several devices',
    NLLLoss2d: 'deprecated by PyTorch for NLLLoss, which takes images too',
    CrossMapLRN2d: 'LocalResponseNorm under the name of its old kernel',
  },
  functional: {
    '\\w+_': 'writes over its argument; the compiler reuses memory where nobody can tell',
    '\\w+_with_indices': 'what return_indices chooses',
    'assert_int_or_pair|boolean_dispatch|handle_torch_function|has_torch_function\\w*': 'parts of its machinery',
    'upsample(_nearest|_bilinear)?': 'deprecated by PyTorch for interpolate',
    native_channel_shuffle: 'another kernel of channel_shuffle',
    multi_head_attention_forward: 'what MultiheadAttention computes of its parameters',
    'grouped_mm|scaled_mm|scaled_grouped_mm': 'products of formats of certain GPUs',
  },
  init: {
    'constant|dirac|eye|normal|orthogonal|sparse|uniform|(kaiming|xavier)_\\w+[^_]':
      'deprecated by PyTorch for the name with _',
  },
} satisfies Record<string, Readonly<Record<string, string>>>;

/** Optional arguments of functions that ours do not have. */
const ABSENT: Readonly<Record<string, string>> = {
  inplace: 'values are never overwritten; the compiler reuses memory where nobody can tell',
  training: 'the mode of the call, which it inherits or names',
  size_average: 'deprecated by PyTorch for `reduction`',
  reduce: 'deprecated by PyTorch for `reduction`',
  sparse: 'a layout of gradients; ours are dense',
  _stacklevel: 'a place for a warning of PyTorch',
  dtype: 'a cast is written where it is wanted',
  out: 'values are never overwritten',
  options: 'a choice of PyTorch about memory that changes no result',
};

/** `function.argument`, or a whole function: ours, where it is another one, with the reason. */
const DIFFERENT: Readonly<Record<string, string>> = {
  batch_norm: 'of given statistics; the block keeps running ones',
  instance_norm: 'of the statistics of its argument; the block keeps running ones',
  'gumbel_softmax.eps': 'without effect in PyTorch',
  'pad.value': '`none` and 0 are the same in PyTorch',
  'one_hot.num_classes': 'the size of a result cannot depend on the data',
  'linear_cross_entropy.ignore_index': 'the number that `none` stands for',
  'triplet_margin_with_distance_loss.distance_function': 'the function that `none` stands for',
  ...Object.fromEntries(
    ['affine_grid', 'grid_sample'].map((f) => [`${f}.align_corners`, '`none` and false are the same in PyTorch']),
  ),
  ...Object.fromEntries(
    ['softmax', 'softmin', 'log_softmax'].map((f) => [`${f}.dim`, 'required: PyTorch guesses one, with a warning']),
  ),
  ...Object.fromEntries(
    ['max_pool', 'avg_pool', 'lp_pool', 'max_unpool'].flatMap((pool) =>
      [1, 2, 3].map((d) => [`${pool}${d}d.stride`, 'says what the `none` of PyTorch stands for: kernel_size']),
    ),
  ),
  conv_tbc: 'PyTorch says nothing about its arguments that can be asked for',
};

type Param = readonly [name: string, value: string];
interface Torch {
  readonly nn: readonly string[];
  readonly functional: Readonly<Record<string, readonly Param[] | null>>;
  readonly init: readonly string[];
}

const SCRIPT = `
import inspect, re
import torch.nn.functional as F
from torch import nn
def text(v):
    if v is None: return 'none'
    if isinstance(v, bool): return str(v).lower()
    if isinstance(v, str): return json.dumps(v)
    if isinstance(v, (tuple, list)): return '[' + ', '.join(map(text, v)) + ']'
    return v.__name__ if callable(v) else repr(v)
def optional(name):
    # Behind a boolean dispatch stands a function with the arguments; a builtin has them in its documentation only.
    f = getattr(F, name + '_with_indices', getattr(F, name))
    try:
        given = [(p.name, p.default) for p in inspect.signature(f).parameters.values()]
        return [[k, text(v)] for k, v in given if v is not inspect.Parameter.empty]
    except ValueError:
        found = re.search(r'^\\s*%s\\((.*?)\\)\\s*(->|$)' % name, (f.__doc__ or '').replace('\\n        ', ' '), re.M)
        pairs = [p.partition('=') for p in re.split(r',\\s*(?![^(]*\\))', found.group(1))] if found else []
        return [[k.strip(), text(eval(v))] for k, sign, v in pairs if sign] if found else None
def functions(m): return [n for n in dir(m) if n[0] != '_' and (inspect.isfunction(getattr(m, n)) or inspect.isbuiltin(getattr(m, n)))]
print(json.dumps({
    'nn': [n for n in dir(nn) if inspect.isclass(getattr(nn, n)) and issubclass(getattr(nn, n), nn.Module)],
    'functional': {n: optional(n) for n in functions(F)},
    'init': functions(nn.init),
}))
`;

const exportsOf = (module: string): readonly FnDecl[] =>
  parse(STDLIB[module]!, '', new DiagnosticBag()).decls.flatMap((d) => (d.exported && d.kind === 'fn' ? [d] : []));
const namesOf = (module: string): ReadonlySet<string> =>
  new Set(parse(STDLIB[module]!, '', new DiagnosticBag()).decls.flatMap((d) => (d.exported ? [d.name.name] : [])));

const onTorch = onPyTorch();
const torch = whatPyTorchSays<Torch>(SCRIPT);

onTorch('every name of torch.nn, torch.nn.functional and torch.nn.init', (t) => {
  const used = new Set<string>();
  const without = (name: string, module: keyof typeof WITHOUT): boolean => {
    const pattern = Object.keys(WITHOUT[module]).find((p) => new RegExp(`^(${p})$`).test(name));
    if (pattern !== undefined) used.add(pattern);
    return pattern !== undefined;
  };
  const functions = namesOf('std/functional');
  const rules = namesOf('std/init');
  const has: Readonly<Record<keyof Torch, (name: string) => boolean>> = {
    nn: (name) => namesOf('std/nn').has(name),
    functional: (name) => functions.has(name) || name in OPS,
    // A rule gives values and writes over nothing, so that its name lacks the _ of PyTorch's.
    init: (name) => (name === 'calculate_gain' || name.endsWith('_')) && rules.has(name.replace(/_$/, '')),
  };
  for (const module of ['nn', 'functional', 'init'] as const) {
    const theirs = module === 'functional' ? Object.keys(torch().functional) : torch()[module];
    t.true(theirs.length > 15);
    t.deepEqual(
      theirs.filter((name) => !has[module](name) && !without(name, module)),
      [],
      module,
    );
  }
  t.deepEqual(
    Object.values(WITHOUT)
      .flatMap((reasons) => Object.keys(reasons))
      .filter((key) => !used.has(key)),
    [],
    'reasons for nothing',
  );
});

/** A number in one spelling, other text as it is. */
const plain = (text: string): string => (Number.isNaN(Number(text)) ? text : String(Number(text)));

onTorch('names, order and defaults of the optional arguments of functions', (t) => {
  const source = STDLIB['std/functional']!;
  const used = new Set<string>();
  const note = (key: string, table: Readonly<Record<string, string>>): boolean => {
    if (key in table) used.add(key);
    return key in table;
  };
  for (const decl of exportsOf('std/functional')) {
    const name = decl.name.name;
    const theirs = torch().functional[name];
    if (theirs === undefined || note(name, DIFFERENT)) continue;
    if (theirs === null) {
      t.is(name, 'scaled_dot_product_attention', 'PyTorch does not say what its arguments are');
      continue;
    }
    const own = decl.params.flatMap((p): readonly Param[] =>
      p.default ? [[p.name.name, source.slice(p.default.span.start, p.default.span.end)]] : [],
    );
    const names = new Set(own.map(([param]) => param));
    const known = (params: readonly Param[]): readonly string[] =>
      params.flatMap(([param, value]) => {
        if (note(`${name}.${param}`, DIFFERENT)) return [];
        return !names.has(param) && note(param, ABSENT) ? [] : [`${param} = ${plain(value)}`];
      });
    t.deepEqual(known(own), known(theirs), name);
  }
  t.deepEqual(
    [...Object.keys(ABSENT), ...Object.keys(DIFFERENT)].filter((key) => !used.has(key)),
    [],
    'reasons for nothing',
  );
});
