/** Compares a gradient program with central differences in float64. */
import type { ExecutionContext } from 'ava';
import { interpret } from '../../src/ir/interpret.ts';
import type { Module } from '../../src/ir/ir.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { vjp, type Vjp } from '../../src/ir/passes/autodiff.ts';

/**
 * With a step of 1e-5 the truncation error of a central difference is about 1e-10 and its rounding error 1e-11, times
 * derivatives of order 1 to 100 in the tests: 1e-6 has room and still sees any wrong factor.
 */
const STEP = 1e-5;
const TOLERANCE = 1e-6;

/** Differentiates `func` and checks value and gradients; gives the differentiated module for further looks. */
export function gradcheck(
  t: ExecutionContext,
  module: Module,
  func: string,
  inputs: readonly NdArray[],
  wrt: readonly number[],
): Vjp {
  const made = vjp(module, func, wrt);
  const before = interpret(module, func, inputs);
  const after = interpret(made.module, made.func, inputs);
  t.is(after.length, before.length + wrt.length);
  before.forEach((r, i) => t.deepEqual(after[i], r, `result ${i}`));
  wrt.forEach((w, k) => {
    const x = inputs[w]!;
    const analytic = after[before.length + k]!;
    t.deepEqual(analytic.shape, x.shape);
    for (let i = 0; i < x.data.length; i++) {
      const at = (d: number): number => {
        const moved = ndarray(x.elem, x.shape, x.data);
        moved.data[i]! += d;
        return interpret(module, func, inputs.with(w, moved))[0]!.data[0]!;
      };
      const numeric = (at(STEP) - at(-STEP)) / (2 * STEP);
      const error = Math.abs(numeric - analytic.data[i]!) / Math.max(1, Math.abs(numeric));
      t.true(error < TOLERANCE, `input ${w} element ${i}: ${analytic.data[i]} where differences give ${numeric}`);
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
