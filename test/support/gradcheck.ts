/** Compares a gradient program with central differences in float64. */
import { interpret } from '../../src/ir/interpret.ts';
import type { Module } from '../../src/ir/ir.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { vjp, type Vjp } from '../../src/ir/passes/autodiff.ts';
import { verify } from '../../src/ir/verify.ts';
import { expectClose, expectNone } from './compare.ts';

/**
 * A central difference with a step of 1e-5 has a truncation error of about 1e-10 times the third derivative and a rounding
 * error of 1e-11 times the value. 1e-6 has room for both in ordinary functions; where the third derivative is large,
 * the difference between two steps tells, and is allowed on top. A wrong factor shows in either case.
 */
const STEP = 1e-5;
const TOLERANCE = 1e-6;

/** Differentiates `func`, checks legality, value and gradients, and gives the new module for further looks. Throws. */
export function gradcheck(module: Module, func: string, inputs: readonly NdArray[], wrt: readonly number[]): Vjp {
  const made = vjp(module, func, wrt);
  expectNone(verify(made.module));
  const before = interpret(module, func, inputs);
  const after = interpret(made.module, made.func, inputs);
  // The forward may have been expanded (attention), which rounds otherwise in the last bits of float64.
  expectClose(after.slice(0, before.length), before, 1e-12);
  if (after.length !== before.length + wrt.length) throw new Error(`${after.length} results`);
  wrt.forEach((w, k) => checkGradient(module, func, inputs, w, after[before.length + k]!));
  return made;
}

function checkGradient(module: Module, func: string, inputs: readonly NdArray[], w: number, found: NdArray): void {
  const x = inputs[w]!;
  if (found.shape.join() !== x.shape.join()) throw new Error(`gradient ${w} has the shape [${found.shape.join()}]`);
  for (let i = 0; i < x.data.length; i++) {
    const at = (d: number): number => {
      const moved = ndarray(x.elem, x.shape, x.data);
      moved.data[i]! += d;
      return interpret(module, func, inputs.with(w, moved))[0]!.data[0]!;
    };
    const difference = (h: number): number => (at(h) - at(-h)) / (2 * h);
    const [numeric, wide] = [difference(STEP), difference(2 * STEP)];
    const allowed = TOLERANCE * Math.max(1, Math.abs(numeric)) + Math.abs(wide - numeric);
    if (!(Math.abs(numeric - found.data[i]!) < allowed)) {
      throw new Error(`input ${w} element ${i}: ${found.data[i]} where differences give ${numeric}`);
    }
  }
}

/** Numbers in (-1, 1) that are far from the kinks of the tests' functions and look random. */
export function wave(shape: readonly number[], phase = 0): NdArray {
  const x = ndarray('f32', shape);
  for (let i = 0; i < x.data.length; i++) x.data[i] = Math.sin(1.7 * i + 0.6 + phase);
  return x;
}
