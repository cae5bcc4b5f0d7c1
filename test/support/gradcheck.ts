/** Gradients element by element against central differences, for IR that tests write. */
import { compareAlong } from '../../src/ir/gradcheck.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { Module } from '../../src/ir/ir.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { vjp, type Vjp } from '../../src/ir/passes/autodiff.ts';
import { verify } from '../../src/ir/verify.ts';
import { expectClose, expectNone } from './compare.ts';

/** Differentiates `func`, checks legality, value and gradients, and gives the new module for further looks. Throws. */
export function gradcheck(module: Module, func: string, inputs: readonly NdArray[], wrt: readonly number[]): Vjp {
  const made = vjp(module, func, wrt);
  expectNone(verify(made.module));
  const before = interpret(module, func, inputs);
  const after = interpret(made.module, made.func, inputs);
  // The forward may have been expanded (attention), which rounds otherwise in the last bits of float64.
  expectClose(after.slice(0, before.length), before, 1e-12);
  if (after.length !== before.length + wrt.length) throw new Error(`${after.length} results`);
  const value = (moved: readonly NdArray[]): number => interpret(module, func, moved)[0]!.data[0]!;
  wrt.forEach((w, k) => {
    const gradient = after[before.length + k]!;
    const { shape, data } = inputs[w]!;
    if (gradient.shape.join() !== shape.join())
      throw new Error(`gradient ${w} has the shape [${gradient.shape.join()}]`);
    for (let i = 0; i < data.length; i++) {
      const unit = new Float64Array(data.length);
      unit[i] = 1;
      const seen = compareAlong(value, inputs, [w], [gradient], [unit]);
      if (!seen || !(Math.abs(seen.found - seen.expected) <= seen.allowed))
        throw new Error(`input ${w} element ${i}: ${gradient.data[i]} where differences give ${seen?.expected}`);
    }
  });
  return made;
}

/** Numbers in (-1, 1) that are far from the kinks of the tests' functions and look random. */
export function wave(shape: readonly number[], phase = 0): NdArray {
  const x = ndarray('f32', shape);
  for (let i = 0; i < x.data.length; i++) x.data[i] = Math.sin(1.7 * i + 0.6 + phase);
  return x;
}
