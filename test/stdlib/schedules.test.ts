/** Every schedule of the library against PyTorch's own, computed by PyTorch while the test runs. */
import { compile } from '../../src/index.ts';
import { Optimizer, Plateau, tensor } from '../../src/runtime/index.ts';
import type { PlateauEntry } from '../../src/runtime/artifact.ts';
import type { Tensor } from '../../src/runtime/index.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';

const withPyTorch = onPyTorch();
const STEPS = 32;

/** Ours, and PyTorch's for a base of 1; `until` where the two differ on purpose after it (docs of the function). */
const CASES: readonly { readonly ours: string; readonly torch: string; readonly until?: number }[] = [
  { ours: 'constant_lr(step, 0.3, 4)', torch: 'L.ConstantLR(o, .3, 4)' },
  { ours: 'linear_lr(step, 6, start_factor: 0.1)', torch: 'L.LinearLR(o, .1, 1., 6)' },
  { ours: 'linear_lr(step, 20, 1.0, 0.25)', torch: 'L.LinearLR(o, 1., .25, 20)' },
  { ours: 'step_lr(step, 5, 0.5)', torch: 'L.StepLR(o, 5, .5)' },
  { ours: 'step_lr(step, 3)', torch: 'L.StepLR(o, 3)' },
  { ours: 'multistep_lr(step, [3, 8, 8, 15], 0.1)', torch: 'L.MultiStepLR(o, [3, 8, 8, 15], .1)' },
  { ours: 'exponential_lr(step, 0.9)', torch: 'L.ExponentialLR(o, .9)' },
  { ours: 'cosine_lr(step, 20)', torch: 'L.CosineAnnealingLR(o, 20)', until: 21 },
  { ours: 'cosine_lr(step, 31, min_factor: 0.05)', torch: 'L.CosineAnnealingLR(o, 31, .05)' },
  {
    ours: 'cosine_lr(step, 31, warmup_steps: 5, min_factor: 0.1)',
    torch: 'L.SequentialLR(o, [L.LinearLR(o, 1 / 5, 1., 4), L.CosineAnnealingLR(o, 26, .1)], [5])',
  },
  { ours: 'polynomial_lr(step, 10, 2.0)', torch: 'L.PolynomialLR(o, 10, 2.)' },
  { ours: 'polynomial_lr(step, 25)', torch: 'L.PolynomialLR(o, 25)' },
  // Factors of the peak: the optimizer's lr is max_lr.
  { ours: 'one_cycle_lr(step, 32)', torch: 'L.OneCycleLR(o, 1., 32)' },
  {
    ours: 'one_cycle_lr(step, 32, 0.25, 10.0, 100.0, anneal_strategy: "linear")',
    torch: 'L.OneCycleLR(o, 1., 32, pct_start=.25, div_factor=10, final_div_factor=100, anneal_strategy="linear")',
  },
  {
    ours: 'one_cycle_lr(step, 32, three_phase: true)',
    torch: 'L.OneCycleLR(o, 1., 32, three_phase=True)',
  },
  { ours: 'cosine_restarts_lr(step, 5, 2, 0.01)', torch: 'L.CosineAnnealingWarmRestarts(o, 5, 2, .01)' },
  { ours: 'cyclic_lr(step, 4)', torch: 'L.CyclicLR(o, .1, 1., 4)' },
  { ours: 'inverse_sqrt_lr(step)', torch: 'L.LambdaLR(o, lambda e: 1 / math.sqrt(1 + e))' },
];

withPyTorch('schedules of the step', async (t) => {
  const torch = askPyTorch<number[][]>(
    `
import math, warnings
from torch.optim import lr_scheduler as L
warnings.simplefilter("ignore")
def lrs(make):
    o = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.)
    s, out = eval(make), []
    for _ in range(${STEPS}):
        out.append(o.param_groups[0]["lr"]); o.step(); s.step()
    return out
print(json.dumps([lrs(m) for m in given]))`,
    CASES.map((c) => c.torch),
  );
  const methods = CASES.map((c, i) => `  s${i}(step: i32[]) -> f32[] => ${c.ours}`).join('\n');
  const { blocks, diagnostics } = compile(`export block Schedules {\n${methods}\n}`);
  t.deepEqual(diagnostics, []);
  const model = await blocks['Schedules']!.create();
  CASES.forEach((c, i) => {
    for (let step = 0; step < (c.until ?? STEPS); step++) {
      const made = (model.call(`s${i}`, [tensor(Int32Array.of(step), { shape: [] })]) as Tensor).readSync()[0]!;
      // f32 all the way; powers and cosines of it are good to a few units in the last place.
      t.true(Math.abs(made - torch[i]![step]!) <= 2e-6, `${c.ours} at ${step}: ${made}, PyTorch ${torch[i]![step]}`);
    }
  });
});

const BASE: PlateauEntry = {
  mode: 'min',
  factor: 0.1,
  patience: 10,
  threshold: 1e-4,
  threshold_mode: 'rel',
  cooldown: 0,
  min_lr: 0,
  eps: 1e-8,
};

withPyTorch('reduce_on_plateau: every lr is the bits of PyTorch', (t) => {
  const options: Partial<PlateauEntry>[] = [
    { factor: 0.5, patience: 2 },
    { factor: 0.5, patience: 0, cooldown: 3 },
    { mode: 'max', patience: 1, threshold: 0.05 },
    { mode: 'max', patience: 1, threshold: 0.2, threshold_mode: 'abs', factor: 0.7 },
    { patience: 1, threshold: 0.1, threshold_mode: 'abs', cooldown: 1, min_lr: 0.003 },
    { patience: 0, factor: 0.9, eps: 0.005 },
    { patience: 0, factor: 0.3, min_lr: 0.05 },
  ];
  const wave = Array.from({ length: 60 }, (_, i) => (i === 17 ? null : 1 / (1 + i / 9) + 0.3 * Math.sin(i * 1.7)));
  const torch = askPyTorch<number[][][]>(
    `
def run(options, metrics):
    ps = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    o = torch.optim.SGD([{"params": [ps[0]], "lr": .1}, {"params": [ps[1]], "lr": .06}])
    s, out = torch.optim.lr_scheduler.ReduceLROnPlateau(o, **options), []
    for m in metrics:
        o.step(); s.step(float("nan") if m is None else m); out.append([g["lr"] for g in o.param_groups])
    return out
print(json.dumps([run(x, given["metrics"]) for x in given["options"]]))`,
    { options, metrics: wave },
  );
  options.forEach((option, i) => {
    const optimizer = new Optimizer({
      optimizer: 'SGD',
      groups: [{ hyper: { lr: 0.1 } }, { hyper: { lr: 0.06 } }],
      settings: {},
      accumulate: 1,
    } as unknown as ConstructorParameters<typeof Optimizer>[0]);
    const plateau = new Plateau({ ...BASE, ...option }, optimizer);
    const made = wave.map((metric) => {
      plateau.step(metric ?? NaN);
      return optimizer.groups.map((g) => g['lr']);
    });
    t.deepEqual(made as number[][], torch[i]!, JSON.stringify(option));
    t.true(new Set(torch[i]!.map(String)).size > 1, 'the lr has changed at all');
  });
});
