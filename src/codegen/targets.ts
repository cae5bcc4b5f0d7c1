/** The targets that code is generated for. */
import type { Machine } from '../runtime/artifact.ts';
import type { Target } from './call.ts';
import { type KernelLimits, WEBGPU_MINIMUM } from './limits.ts';

/**
 * 128-bit SIMD. `fma` is one instruction in the relaxed variant and two in the plain one: the kernels are the same. V8 has 15
 * registers on x86.
 */
export const WASM: Target = { kind: 'wasm', lanes: 4, registers: 15, fma: true };

/** As V8 runs it when it pairs vectors (`revectorize`). Elsewhere such tiles do not fit the registers: slower, not wrong. */
export const PAIRED_WASM: Target = { ...WASM, paired: true };

/** Compute shaders: the lanes of a GPU are invocations, which schedules hand out; values are scalars. */
export const wgslTarget = ({
  arguments: most = WEBGPU_MINIMUM.arguments,
  workgroupBytes = WEBGPU_MINIMUM.workgroupBytes,
}: Partial<KernelLimits> = {}): Target => ({
  kind: 'wgsl',
  lanes: 1,
  registers: 0,
  fma: true,
  // The block of arguments is the runtime's own and has one size.
  limits: { arguments: Math.min(most, WEBGPU_MINIMUM.arguments), workgroupBytes },
});
export const WGSL: Target = wgslTarget();

/** C that any compiler takes: scalars, and no instruction that a processor may lack. */
export const C99: Target = { kind: 'c', lanes: 1, registers: 16, fma: false };

/** C with the vectors of one processor. */
export const nativeTarget = (m: Machine): Target => ({ kind: 'c', ...m });
