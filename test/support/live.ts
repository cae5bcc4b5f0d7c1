/**
 * What a piece of the library computes beside what PyTorch computes from the same numbers, asked while the test runs: outputs in both
 * modes, gradients of inputs and parameters, and the state dict's keys. PyTorch works in float64 on numbers that are exact in float32.
 */
import type { ExecutionContext } from 'ava';
import { compile } from '../../src/compile.ts';
import { tensor, Tensor, type Model, type Result } from '../../src/runtime/index.ts';
import { close } from './networks.ts';
import { onPyTorch, whatPyTorchSays } from './pytorch.ts';

/** Random numbers of a shape, or given ones: of integers or booleans they are the argument's type. */
export type Input =
  | readonly number[]
  | { readonly i32: readonly number[]; readonly shape: readonly number[] }
  | { readonly bool: readonly number[]; readonly shape: readonly number[] }
  /** Floats that are not differentiated. */
  | { readonly given: readonly number[]; readonly shape: readonly number[] }
  | { readonly f32: readonly (number | 'inf' | '-inf')[]; readonly shape: readonly number[] };

export interface LiveCase {
  /** The layer in both languages, as `layer`; absent for functions. */
  readonly layer?: readonly [net: string, torch: string];
  /** What is computed of the inputs and the layer: a tensor or a tuple of tensors. PyTorch's may be nested and have None in it. */
  readonly net: string;
  readonly torch: string;
  readonly inputs: Readonly<Record<string, Input>>;
  /** What stands before the block, and before the layer in Python. */
  readonly declarations?: readonly [net: string, torch: string];
  /** Where the modes differ: the one that is compared. In evaluation there are no gradients. */
  readonly only?: 'evaluation' | 'training';
}

interface Numbers {
  readonly shape: readonly number[];
  readonly dtype: 'f32' | 'i32' | 'bool';
  readonly data: readonly (number | string)[];
}
interface Answer {
  readonly inputs: Readonly<Record<string, Numbers>>;
  readonly state: Readonly<Record<string, Numbers>>;
  readonly outputs: readonly Numbers[];
  readonly cotangents: readonly (Numbers | null)[];
  readonly inputGrads: Readonly<Record<string, Numbers>>;
  readonly paramGrads: Readonly<Record<string, Numbers>>;
}

const SCRIPT = `
import math
from torch import nn
import torch.nn.functional as F
torch.set_num_threads(1)
def rounded(x): return x.float().double()
def told(x):
    if x is None: return None
    kind = 'bool' if x.dtype == torch.bool else 'f32' if x.is_floating_point() else 'i32'
    data = [v if math.isfinite(v) else str(v) for v in x.detach().reshape(-1).tolist()]
    return {'shape': list(x.shape), 'dtype': kind, 'data': data}
def flat(y):
    if y is None: return []
    return [y] if isinstance(y, torch.Tensor) else [z for part in y for z in flat(part)]
def made(spec):
    if isinstance(spec, list): return rounded(torch.randn(spec)).requires_grad_()
    for kind, dtype in (('i32', torch.int64), ('bool', torch.bool), ('f32', torch.float64), ('given', torch.float64)):
        if kind in spec:
            x = torch.tensor([float(v) for v in spec[kind]]).to(dtype).reshape(spec['shape'])
            return rounded(x).requires_grad_() if kind == 'f32' else x
def answer(case, seed):
    torch.manual_seed(seed)
    scope = dict(globals(), true=True, false=False)
    exec(case.get('declarations', ['', ''])[1], scope)
    inputs = {k: made(v) for k, v in case['inputs'].items()}
    layer = None
    if case.get('layer'):
        layer = eval(case['layer'][1], scope).double()
        with torch.no_grad():
            # Zeros and ones at the start would hide what the tensors do.
            for p in layer.parameters(): p.copy_(rounded(torch.randn(p.shape) * 0.5))
    evaluated = case.get('only') == 'evaluation'
    if layer is not None and evaluated: layer.eval()
    scope.update(inputs, layer=layer)
    state = {} if layer is None else {k: told(v) for k, v in layer.state_dict().items()}
    outputs = flat(eval(case['torch'], scope))
    cot = [rounded(torch.randn(y.shape)) if y.requires_grad else None for y in outputs]
    if not evaluated and any(c is not None for c in cot):
        sum((y * c).sum() for y, c in zip(outputs, cot) if c is not None).backward()
    grads = lambda named: {k: told(torch.zeros_like(x) if x.grad is None else x.grad) for k, x in named if x.requires_grad}
    return {
        'inputs': {k: told(x) for k, x in inputs.items()},
        'state': state,
        'outputs': [told(y) for y in outputs],
        'cotangents': [told(c) for c in cot],
        'inputGrads': grads(inputs.items()),
        'paramGrads': {} if layer is None else grads(layer.named_parameters()),
    }
print(json.dumps([answer(case, i) for i, case in enumerate(given)]))
`;

/** A test for each case. PyTorch answers all at once. */
export function liveTests(cases: Readonly<Record<string, LiveCase>>): void {
  const onTorch = onPyTorch();
  const answers = whatPyTorchSays<readonly Answer[]>(SCRIPT, Object.values(cases));
  for (const [i, [name, c]] of Object.entries(cases).entries()) {
    onTorch(name, async (t) => {
      await check(t, c, answers()[i]!);
    });
  }
}

const typeOf = (x: Numbers): string => `${x.dtype}[${x.shape.join(', ')}]`;
const numbers = (x: Numbers): Float64Array =>
  Float64Array.from(x.data, (v) => (v === 'inf' ? Infinity : v === '-inf' ? -Infinity : Number(v)));
const given = (x: Numbers): Tensor => tensor(Array.from(numbers(x)), { dtype: x.dtype, shape: x.shape });

function source(c: LiveCase, a: Answer): string {
  const names = Object.keys(c.inputs);
  const inputs = names.map((n) => `${n}: ${typeOf(a.inputs[n]!)}`);
  const floats = names.filter((n) => a.inputs[n]!.dtype === 'f32');
  const outputs = a.outputs.map((_, i) => `o${i}`);
  const cots = a.cotangents.flatMap((x, i) => (x ? [{ type: x, name: `c${i}`, of: `o${i}` }] : []));
  const blocks = [...new Set((c.layer?.[0] ?? '').match(/\b[A-Z]\w+(?=\()/g))].filter(
    (b) => !new RegExp(`block ${b}\\(`).test(c.declarations?.[0] ?? ''),
  );
  const call = `value(${names.map((n) => (floats.includes(n) ? `${n} + d${n}` : n)).join(', ')})`;
  return `
${blocks.length > 0 ? `import { ${blocks.join(', ')} } from "std/nn"` : ''}
${c.declarations?.[0] ?? ''}
export block Case() {
  ${c.layer ? `layer = ${c.layer[0]}` : ''}
  ${floats.map((n) => `param d${n}: ${typeOf(a.inputs[n]!)} ~ zeros()`).join('\n  ')}

  value(${inputs.join(', ')}) { ${c.net} }
  loss(${[...inputs, ...cots.map((x) => `${x.name}: ${typeOf(x.type)}`)].join(', ')}) -> f32[] {
    ${outputs.length === 1 ? outputs[0]! : `(${outputs.join(', ')})`} = ${call}
    ${cots.map((x) => `sum(${x.of} * ${x.name})`).join(' + ') || '0.0'}
  }
}
`;
}

const leaves = (r: Result): readonly Tensor[] =>
  r instanceof Tensor
    ? [r]
    : Array.isArray(r)
      ? (r as readonly Result[]).flatMap(leaves)
      : Object.values(r).flatMap(leaves);

/** Rounding of sums of a few dozen float32 products of size 1, for results that are smaller than what they are sums of. */
const NOISE = 2e-7;

async function check(t: ExecutionContext, c: LiveCase, a: Answer): Promise<void> {
  const text = source(c, a);
  const { blocks, diagnostics } = compile(text, { verify: true });
  const errors = diagnostics.filter((d) => d.severity === 'error').map((d) => d.message);
  t.deepEqual(errors, [], text);
  const model: Model = await blocks['Case']!.create();
  const own = model.state_dict();
  t.deepEqual(
    [...own.keys()].filter((k) => k.startsWith('layer.')),
    Object.keys(a.state).map((k) => `layer.${k}`),
  );
  for (const [k, x] of Object.entries(a.state)) own.get(`layer.${k}`)!.copy_(numbers(x));
  const args = Object.values(a.inputs).map(given);
  const same = (what: string, made: Tensor, wanted: Numbers): void => {
    t.deepEqual([...made.shape], [...wanted.shape], what);
    close(t, what, made.readSync(), { dtype: 'F64', shape: wanted.shape, data: numbers(wanted) }, NOISE);
  };
  const modes = c.only === undefined ? [false, true] : [c.only === 'training'];
  for (const training of modes) {
    const made = leaves(model.call('value', args, { training }));
    t.is(made.length, a.outputs.length);
    made.forEach((y, i) => same(`output ${i}${training ? ' in training' : ''}`, y, a.outputs[i]!));
  }
  if (c.only === 'evaluation' || a.cotangents.every((x) => x === null)) return;
  model.backward(...args, ...a.cotangents.flatMap((x) => (x ? [given(x)] : [])));
  const params = new Map(model.named_parameters());
  const gradient = (name: string, wanted: Numbers): void =>
    same(`gradient of ${name}`, params.get(name)!.grad!, wanted);
  for (const [name, x] of Object.entries(a.inputGrads)) gradient(`d${name}`, x);
  for (const [name, x] of Object.entries(a.paramGrads)) gradient(`layer.${name}`, x);
}
