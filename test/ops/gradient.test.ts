/** The gradient column against central differences of the reference column, for every row that has a gradient. */
import test from 'ava';
import { IrBuilder } from '../../src/ir/builder.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { Module, Value } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { ndarray } from '../../src/ir/ndarray.ts';
import { vjp } from '../../src/ir/passes/autodiff.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import type { OpCase } from '../support/op-cases.ts';
import { casesOf, sample } from '../support/op-cases.ts';
import { func, moduleOf, opOn, typed } from '../support/op-func.ts';

/** Third derivatives of order 100 times the square of the step, and rounding of order 1e-16 / STEP, stay below 1e-6. */
const STEP = 1e-5;
const TOLERANCE = 2e-6;
/** Differences are taken at this many elements of each operand, spread evenly. */
const PROBES = 12;

const isFloat = (x: NdArray): boolean => x.elem === 'f32';

/** loss(inputs..., weights...) = sum over float results of sum(result * weight). */
function lossOf(c: OpCase): { module: Module; inputs: readonly NdArray[] } {
  const { op, params } = opOn(c.kind, c.attrs, c.inputs);
  const b = new IrBuilder();
  b.ops.push(op);
  const weights: NdArray[] = [];
  const weightParams: Value[] = [];
  let loss = b.constant(0);
  op.results.forEach((y, i) => {
    if (y.type.elem !== 'f32') return;
    const w = sample({ shape: y.type.shape.map((d) => d.value!) }, 77 + i);
    const p = typed(w);
    weights.push(w);
    weightParams.push(p);
    const axes = w.shape.map((_, axis) => axis);
    loss = b.one('add', [loss, b.one('sum', [b.one('mul', [y, p])], { axes })]);
  });
  return {
    module: moduleOf(func('loss', [...params, ...weightParams], b.ops, [loss])),
    inputs: [...c.inputs, ...weights],
  };
}

for (const kind of Object.keys(OPS)) {
  const { grad } = opDef(kind);
  if ('structural' in grad || 'notDifferentiable' in grad) continue;
  const cases = [...casesOf(kind)].filter((c) => c.smooth && isFloat(c.inputs.find(isFloat) ?? ndarray('i32', [])));
  if (cases.length === 0) continue;

  test(`${kind}: gradients are those of differences`, (t) => {
    for (const c of cases) {
      const { module, inputs } = lossOf(c);
      const wrt = c.inputs.flatMap((x, i) => (isFloat(x) ? [i] : []));
      const made = vjp(module, 'loss', wrt);
      const grads = interpret(made.module, made.func, inputs).slice(1);
      wrt.forEach((w, k) => {
        const x = inputs[w]!;
        t.deepEqual(grads[k]!.shape, x.shape, c.name);
        const stride = Math.max(1, Math.floor(x.data.length / PROBES));
        for (let i = 0; i < x.data.length; i += stride) {
          const at = (d: number): number => {
            const moved = ndarray(x.elem, x.shape, x.data);
            moved.data[i]! += d;
            return interpret(module, 'loss', inputs.with(w, moved))[0]!.data[0]!;
          };
          const numeric = (at(STEP) - at(-STEP)) / (2 * STEP);
          const error = Math.abs(numeric - grads[k]!.data[i]!) / Math.max(1, Math.abs(numeric));
          if (!(error < TOLERANCE)) {
            t.fail(`${c.name}, operand ${w}, element ${i}: ${grads[k]!.data[i]} where differences give ${numeric}`);
          }
        }
      });
    }
    t.pass();
  });
}
