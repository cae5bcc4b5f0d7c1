/**
 * Compares the gradient of a function with central differences of its value, in the float64 reference interpreter. The
 * difference is taken along random directions over all inputs at once: a wrong entry anywhere changes it.
 */
import { evaluate, type Dim } from './dim.ts';
import { interpret, InterpretFault } from './interpret.ts';
import type { Module, Op, TensorType } from './ir.ts';
import { ndarray, sizeOf, type NdArray } from './ndarray.ts';
import { vjp } from './passes/autodiff.ts';
import { allOps } from './clone.ts';
import { symbolsOfAttrs, symbolsOfTypes } from './symbols.ts';

/** Of a direction of length 1. Rounding is of order 1e-16 / STEP of the value, truncation STEP squared times the third derivative. */
const STEP = 1e-5;
/** Of the derivative, and of the value: far above what the step costs and far below any wrong factor. */
const RELATIVE = 1e-5;
const ABSOLUTE = 1e-9;
/** Draws per function: a kink beside one of them, or a branch that it does not take, leaves the others. */
const DRAWS = 4;

export type GradOutcome =
  | { readonly kind: 'agrees'; readonly draws: number; readonly error: number }
  | { readonly kind: 'disagrees'; readonly found: number; readonly expected: number }
  /** No draw gave finite numbers, or no small sizes fit the program. */
  | { readonly kind: 'unknown'; readonly reason: string };

export type Random = () => number;

/** Numbers in [0, 1) from a seed (mulberry32, Tommy Ettinger, public domain): the choice of points needs no more. */
export function randomFrom(seed: number): Random {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What one gradient may cost. */
export interface Effort {
  /** Points that are enough. */
  readonly draws?: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly clock: () => number;
}

/** The first result of `func` must be a float scalar. `start` gives an input that should not be drawn from (-1, 1). */
export function checkGradient(
  module: Module,
  func: string,
  wrt: readonly number[],
  random: Random,
  start: (param: number, attempt: number) => NdArray | null = () => null,
  effort: Effort | null = null,
): GradOutcome {
  const made = vjp(module, func, wrt);
  const types = module.funcs.get(func)!.body.params.map((p) => p.type);
  const symbols = symbolsIn(module, func);
  const enough = effort?.draws ?? DRAWS;
  const end = effort ? effort.clock() + 1000 * effort.seconds : Infinity;
  const watch = (): void => {
    if (effort && effort.clock() > end) throw new OutOfTime();
  };
  let agreed = 0;
  let error = 0;
  let reason = 'its value is not finite where it was tried';
  for (let draw = 0; draw < 3 * DRAWS && agreed < enough; draw++) {
    const dims = sizesFor(symbols, draw);
    try {
      const inputs = types.map((t, i) => start(i, draw) ?? drawn(t, dims, draw, random));
      const value = valueWithHeld(module, func, inputs, dims, watch);
      const results = interpret(made.module, made.func, inputs, { dims, onOp: watch });
      const gradients = results.slice(results.length - wrt.length);
      const direction = wrt.map((w) => Float64Array.from(inputs[w]!.data, () => 2 * random() - 1));
      const seen = compareAlong(value, inputs, wrt, gradients, direction);
      if (!seen) continue;
      if (Math.abs(seen.found - seen.expected) > seen.allowed) return { kind: 'disagrees', ...seen };
      error = Math.max(error, Math.abs(seen.found - seen.expected));
      agreed++;
    } catch (e) {
      if (e instanceof OutOfTime) {
        reason = `${effort!.seconds} s are not enough`;
        break;
      }
      // Sizes that the program refuses: others are tried.
      if (!(e instanceof InterpretFault)) throw e;
      reason = e.message;
    }
  }
  return agreed > 0 ? { kind: 'agrees', draws: agreed, error } : { kind: 'unknown', reason };
}

class OutOfTime extends Error {}

/**
 * The function's value with what stands in `stop_gradient` held as it is at `inputs`: that is the function whose derivative the
 * gradient claims to be. NaN where the program then goes another way.
 */
function valueWithHeld(
  module: Module,
  func: string,
  inputs: readonly NdArray[],
  dims: ReadonlyMap<string, number>,
  watch: () => void,
): (moved: readonly NdArray[]) => number {
  const held: (readonly NdArray[])[] = [];
  interpret(module, func, inputs, {
    dims,
    onOp: (op, results) => {
      watch();
      if (op.kind === 'stop_gradient') held.push(results);
    },
  });
  return (moved) => {
    let next = 0;
    const onOp = (op: Op): readonly NdArray[] | void => {
      watch();
      return op.kind === 'stop_gradient' ? held[next++] : undefined;
    };
    const [value] = interpret(module, func, moved, { dims, onOp });
    return next === held.length ? value!.data[0]! : NaN;
  };
}

export interface Seen {
  readonly found: number;
  readonly expected: number;
  readonly allowed: number;
}

/** Both derivatives along one direction, which is of any length; null where they are not finite. */
export function compareAlong(
  value: (inputs: readonly NdArray[]) => number,
  inputs: readonly NdArray[],
  wrt: readonly number[],
  gradients: readonly NdArray[],
  direction: readonly Float64Array[],
): Seen | null {
  const length = Math.sqrt(direction.reduce((sum, v) => v.reduce((s, x) => s + x * x, sum), 0));
  const at = (h: number): number => {
    const moved = [...inputs];
    wrt.forEach((w, k) => {
      const x = inputs[w]!;
      const v = direction[k]!;
      moved[w] = ndarray(
        x.elem,
        x.shape,
        x.data.map((value, i) => value + (h * v[i]!) / length),
      );
    });
    return value(moved);
  };
  const found =
    gradients.reduce((sum, g, k) => sum + g.data.reduce((s, x, i) => s + x * direction[k]![i]!, 0), 0) / length;
  const expected = (at(STEP) - at(-STEP)) / (2 * STEP);
  const wide = (at(2 * STEP) - at(-2 * STEP)) / (4 * STEP);
  const here = value(inputs);
  if (![expected, wide, here].every(Number.isFinite)) return null;
  // At a kink, and where the function bends much, the two steps differ.
  const allowed = RELATIVE * Math.abs(expected) + ABSOLUTE * Math.max(1, Math.abs(here)) + Math.abs(wide - expected);
  return { found: Number.isFinite(found) ? found : Infinity, expected, allowed };
}

/** Different small sizes first; then larger ones and equal ones, for programs that ask for them. */
function sizesFor(symbols: readonly string[], draw: number): Map<string, number> {
  const size = (i: number): number => {
    // Only programs that refused the small ones come here: images that are halved a few times, in a batch of two.
    if (draw >= 2 * DRAWS) return i === 0 ? 2 : 16;
    return draw % 3 === 0 ? 2 + i : draw % 3 === 1 ? 5 + 2 * i : 8;
  };
  return new Map(symbols.map((s, i) => [s, size(i)]));
}

/** Integers are 0 or 1, which every index and class admits; every third draw is positive, for logarithms and roots. */
function drawn(type: TensorType, dims: ReadonlyMap<string, number>, draw: number, random: Random): NdArray {
  const shape = type.shape.map((d: Dim) => evaluate(d, dims));
  const isFloat = type.elem === 'f32' || type.elem === 'f16' || type.elem === 'bf16';
  const one = (): number => {
    if (!isFloat) return Math.floor(2 * random());
    return draw % 3 === 2 ? 0.1 + 0.8 * random() : 2 * random() - 1;
  };
  return ndarray(type.elem, shape, Float64Array.from({ length: sizeOf(shape) }, one));
}

function symbolsIn(module: Module, func: string): string[] {
  const { body } = module.funcs.get(func)!;
  const found = symbolsOfTypes(body.params.map((p) => p.type));
  for (const op of allOps(body)) {
    symbolsOfTypes(
      op.results.map((r) => r.type),
      found,
    );
    symbolsOfAttrs(op.attrs, found);
  }
  return [...found];
}
