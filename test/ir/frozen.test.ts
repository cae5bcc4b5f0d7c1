/** What a training step costs for parameters that are frozen: no gradient, no op that leads only to one, no optimizer state. */
import test from 'ava';
import { compileProject, openProject, type Compiled } from '../../src/compile.ts';
import type { Op } from '../../src/ir/ir.ts';

const source = (freeze: string): string => `
import { Linear } from "std/nn"
export block Net {
  a = Linear(4, 8, bias: false)
  b = Linear(8, 16, bias: false)
  c = Linear(16, 2, bias: false)
  forward(x: f32[B, 4]) -> f32[B, 2] => c(relu(b(relu(a(x)))))
  loss(x: f32[B, 4], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  ${freeze}
  train { loss = loss; optimizer = Adam(lr: 0.1) }
}`;

function compiled(freeze: string): Compiled {
  const open = openProject({ read: (p) => (p === 'main.net' ? source(freeze) : null) }, 'main.net');
  const made = compileProject(open, 'Net', { verify: true });
  if (!made) throw new Error(open.bag.all.map((d) => d.message).join('\n'));
  return made;
}

/** Products in a program, whatever regions they lie in. */
function matmuls({ ir }: Compiled, program: string): number {
  const count = (ops: readonly Op[]): number =>
    ops.reduce((n, op) => n + Number(op.kind === 'matmul') + op.regions.reduce((m, r) => m + count(r.ops), 0), 0);
  return count(ir.funcs.get(`program.${program}`)!.body.ops);
}

const elements = ({ artifact }: Compiled, name: RegExp): number =>
  artifact.segments.reduce((n, s) => n + (name.test(s.name) ? s.length : 0), 0);

// Three products go forward. Backwards, each trained weight costs one, and so does each layer that a gradient passes through.
for (const { what, freeze, products, trained } of [
  { what: 'nothing', freeze: '', products: 3 + 3 + 2, trained: 32 + 128 + 32 },
  { what: 'the first layers', freeze: 'freeze a.*\n  freeze b.*', products: 3 + 1 + 0, trained: 32 },
  { what: 'a layer between', freeze: 'freeze b.*', products: 3 + 2 + 2, trained: 32 + 32 },
  { what: 'the last layer', freeze: 'freeze c.*', products: 3 + 2 + 2, trained: 32 + 128 },
])
  test(`${what} frozen: ${products} products in a step, state of ${trained} elements`, (t) => {
    const made = compiled(freeze);
    for (const program of ['train_step', 'backward']) t.is(matmuls(made, program), products, program);
    t.is(elements(made, /^grads\./), trained);
    t.is(elements(made, /\.exp_avg$/), trained);
    t.is(elements(made, /\.exp_avg_sq$/), trained);
  });
