/**
 * The optimizers beside torch.optim, asked while the test runs: every one is there with PyTorch's hyper-parameters, and ten steps with
 * gradients that turn now and then lead to the same parameters, whatever the options.
 */
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { parse } from '../../src/parser/index.ts';
import { STDLIB } from '../../src/stdlib.generated.ts';
import { elaborated } from '../support/elaborated.ts';
import { Interpreted } from '../support/interpreted.ts';
import { close } from '../support/networks.ts';
import { onPyTorch, whatPyTorchSays } from '../support/pytorch.ts';
import type { Stored } from '../support/safetensors.ts';

const WITHOUT: Readonly<Record<string, string>> = {
  Optimizer: 'the base class',
  LBFGS: 'computes the loss several times in a step; an optimizer here sees one gradient',
  SparseAdam: 'of sparse gradients; ours are dense',
};

const ABSENT: Readonly<Record<string, string>> = {
  foreach: 'a choice of kernels',
  fused: 'a choice of kernels',
  capturable: 'a choice of kernels',
  differentiable: 'the step of an optimizer is not differentiated',
};

/** `Optimizer.parameter`: ours, where it is another one, with the reason. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'Adafactor.eps': 'the number that `none` stands for',
  'Muon.adjust_lr_fn': 'says what `none` stands for: "original"',
};

type Options = Readonly<Record<string, number | boolean | string | readonly number[]>>;
const CASES: readonly (readonly [optimizer: string, options: Options])[] = [
  ['SGD', { lr: 0.1 }],
  ['SGD', { lr: 0.1, momentum: 0.9, dampening: 0.3, weight_decay: 0.1 }],
  ['SGD', { lr: 0.1, momentum: 0.9, nesterov: true, maximize: true }],
  ['Adam', { lr: 0.1, weight_decay: 0.1, maximize: true }],
  ['Adam', { lr: 0.1, betas: [0.8, 0.9], amsgrad: true }],
  ['Adam', { lr: 0.1, weight_decay: 0.3, decoupled_weight_decay: true }],
  ['AdamW', { lr: 0.1 }],
  ['AdamW', { lr: 0.1, weight_decay: 0.3, amsgrad: true, maximize: true }],
  ['RMSprop', { lr: 0.05 }],
  ['RMSprop', { lr: 0.05, alpha: 0.8, momentum: 0.5, centered: true, weight_decay: 0.1, maximize: true }],
  ['Adagrad', { lr: 0.1 }],
  ['Adagrad', { lr: 0.1, lr_decay: 0.2, initial_accumulator_value: 0.5, weight_decay: 0.1, maximize: true }],
  ['Adadelta', { lr: 0.5 }],
  ['Adadelta', { lr: 0.5, rho: 0.8, weight_decay: 0.1, maximize: true }],
  ['Adamax', { lr: 0.1 }],
  ['Adamax', { lr: 0.1, betas: [0.8, 0.9], weight_decay: 0.1, maximize: true }],
  ['NAdam', { lr: 0.1 }],
  ['NAdam', { lr: 0.1, weight_decay: 0.3, decoupled_weight_decay: true, maximize: true }],
  ['RAdam', { lr: 0.1 }],
  ['RAdam', { lr: 0.1, betas: [0.8, 0.9], weight_decay: 0.3, decoupled_weight_decay: true, maximize: true }],
  ['ASGD', { lr: 0.1 }],
  ['ASGD', { lr: 0.1, lambd: 0.2, alpha: 0.5, t0: 3, weight_decay: 0.1, maximize: true }],
  ['Rprop', { lr: 0.1 }],
  ['Rprop', { lr: 0.1, etas: [0.4, 1.5], step_sizes: [0.05, 0.3], maximize: true }],
  ['Adafactor', { lr: 0.1 }],
  ['Adafactor', { lr: 0.5, beta2_decay: -0.5, d: 2, weight_decay: 0.1, maximize: true }],
];

/** Muon takes matrices only, and computes in bfloat16: its steps are held to that in the reference cases, its rates here. */
const MUON: readonly Options[] = [{ lr: 0.1 }, { lr: 0.1, adjust_lr_fn: 'match_rms_adamw', weight_decay: 0.3 }];

const SCRIPT = `
import inspect
from torch import optim
torch.set_num_threads(1)
import torch.optim._muon as muon
def exact(g, k, steps, eps):
    # Muon's own lines without their rounding to bfloat16.
    u = (g.T if g.size(0) > g.size(1) else g).clone()
    u = u / u.norm().clamp(min=eps)
    for _ in range(steps):
        gram = u @ u.T
        u = k[0] * u + (k[1] * gram + k[2] * gram @ gram) @ u
    return u.T if g.size(0) > g.size(1) else u
muon._zeropower_via_newtonschulz = exact
def text(v):
    if v is None: return 'none'
    if isinstance(v, bool): return str(v).lower()
    if isinstance(v, str): return json.dumps(v)
    if isinstance(v, tuple): return '(' + ', '.join(map(text, v)) + ')'
    return repr(v)
torch.manual_seed(0)
rounded = lambda *shape: torch.randn(*shape).double()
start, pull = [rounded(4, 3), rounded(3)], [[rounded(4, 3), rounded(3)] for _ in range(10)]
def run(name, options):
    params = [p.clone().requires_grad_() for p in start]
    if name == 'Muon': params = params[:1]
    opt = getattr(optim, name)(params, **{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
    steps = []
    for pulls in pull:
        opt.zero_grad()
        sum((p * p / 2 + p * n).sum() for p, n in zip(params, pulls)).backward()
        opt.step()
        steps.append([p.detach().flatten().tolist() for p in params])
    return steps
names = [n for n in dir(optim) if inspect.isclass(getattr(optim, n)) and issubclass(getattr(optim, n), optim.Optimizer)]
print(json.dumps({
    'signatures': {n: [[p.name, text(p.default)] for p in list(inspect.signature(getattr(optim, n).__init__).parameters.values())[2:]] for n in names},
    'start': [p.flatten().tolist() for p in start],
    'pull': [[n.flatten().tolist() for n in pulls] for pulls in pull],
    'runs': [run(*case) for case in given],
}))
`;

interface Torch {
  readonly signatures: Readonly<Record<string, readonly (readonly [name: string, value: string])[]>>;
  readonly start: readonly (readonly number[])[];
  readonly pull: readonly (readonly (readonly number[])[])[];
  /** After each step, of each parameter. */
  readonly runs: readonly (readonly (readonly (readonly number[])[])[])[];
}

const onTorch = onPyTorch();
const ALL = [...CASES, ...MUON.map((options) => ['Muon', options] as const)];
const torch = whatPyTorchSays<Torch>(SCRIPT, ALL);

const optimizers = parse(STDLIB['std/optim']!, '', new DiagnosticBag()).decls.flatMap((d) =>
  d.kind === 'optimizer' ? [d] : [],
);

/** Numbers in one spelling, in tuples too; other text as it is. */
const plain = (text: string): string => text.replace(/-?[\d.]+(e[+-]?\d+)?/g, (x) => String(Number(x)));

onTorch('every optimizer of torch.optim, with its hyper-parameters in order', (t) => {
  const used = new Set<string>();
  const note = (key: string, table: Readonly<Record<string, string>>): boolean => {
    if (key in table) used.add(key);
    return key in table;
  };
  for (const [name, theirs] of Object.entries(torch().signatures)) {
    const decl = optimizers.find((d) => d.name.name === name);
    if (!decl) {
      t.true(note(name, WITHOUT), name);
      continue;
    }
    const own = decl.params.map((p): readonly [string, string] => {
      const { start, end } = p.default!.span;
      return [p.name.name, STDLIB['std/optim']!.slice(start, end)];
    });
    const known = (params: typeof own): readonly string[] =>
      params.flatMap(([param, value]) => {
        if (note(`${name}.${param}`, DIFFERENT)) return [param];
        return note(param, ABSENT) ? [] : [`${param} = ${plain(value)}`];
      });
    t.deepEqual(known(own), known([...theirs]), name);
  }
  t.deepEqual(
    [WITHOUT, ABSENT, DIFFERENT].flatMap((table) => Object.keys(table)).filter((key) => !used.has(key)),
    [],
    'reasons for nothing',
  );
});

const literal = (x: Options[string]): string =>
  typeof x === 'string'
    ? JSON.stringify(x)
    : typeof x === 'object'
      ? `(${x.join(', ')})`
      : typeof x === 'number' && Number.isInteger(x)
        ? `${x}.0`
        : String(x);

for (const [i, [name, options]] of ALL.entries()) {
  const call = `${name}(${Object.entries(options)
    .map(([k, v]) => `${k}: ${literal(v)}`)
    .join(', ')})`;
  onTorch(call, (t) => {
    const { start, pull, runs } = torch();
    const model = new Interpreted(
      elaborated(`
export block Model() {
  param W: f32[4, 3] ~ zeros()
  param b: f32[3] ~ zeros()

  loss(u: f32[4, 3], v: f32[3]) -> f32[] => sum(W * W / 2.0 + W * u) + sum(b * b / 2.0 + b * v)

  train { loss = loss; optimizer = ${call} }
}
`),
    );
    const names = name === 'Muon' ? ['W'] : ['W', 'b'];
    ['W', 'b'].forEach((n, k) => model.write(n, start[k]!));
    const stored = (shape: number[], data: readonly number[]): Stored => ({
      dtype: 'F32',
      shape,
      data: Float64Array.from(data),
    });
    pull.forEach(([u, v], step) => {
      model.run(
        'train_step',
        new Map([
          ['u', stored([4, 3], u!)],
          ['v', stored([3], v!)],
        ]),
      );
      names.forEach((n, k) => close(t, `${n} after step ${step + 1}`, model.read(n), stored([], runs[i]![step]![k]!)));
    });
  });
}
