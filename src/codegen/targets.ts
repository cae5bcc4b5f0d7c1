/** The targets that code is generated for. */
import type { Target } from './call.ts';

/** 128-bit SIMD. `fma` is one instruction in the relaxed variant and two in the plain one: the kernels are the same. */
export const WASM: Target = { kind: 'wasm', lanes: 4, fma: true };

/** Compute shaders: the lanes of a GPU are invocations, which schedules hand out; values are scalars. */
export const WGSL: Target = { kind: 'wgsl', lanes: 1, fma: true };
