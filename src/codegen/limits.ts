/**
 * What a GPU gives one kernel, and what a kernel asks for. All data of a device lie in one storage buffer and all arguments of a
 * dispatch in one block, so that two bindings serve every kernel; what is scarce is the block and the memory of a workgroup.
 */
import { isHalf } from './half.ts';
import type { KBuffer, Kernel } from './kernel.ts';
import { arraysOf } from './walk.ts';

export interface KernelLimits {
  /** Places of buffers and sizes that a dispatch is told, a word each. */
  readonly arguments: number;
  /** Bytes that the invocations of a workgroup share. */
  readonly workgroupBytes: number;
}

/** What every device of the WebGPU specification has; the block of arguments is as long as the runtime makes it. */
export const WEBGPU_MINIMUM: KernelLimits = { arguments: 256, workgroupBytes: 16384 };

/** Words of an array in the memory of a workgroup or an invocation. */
export const wordsOf = (a: KBuffer): number => (isHalf(a.elem) ? Math.ceil(a.length! / 2) : a.length!);

export const workgroupBytes = (kernel: Kernel): number =>
  arraysOf(kernel).reduce((n, a) => n + (a.space === 'shared' ? 4 * wordsOf(a) : 0), 0);

/** What a kernel needs too much of. */
export interface Excess {
  readonly of: keyof KernelLimits;
  readonly needs: number;
  readonly has: number;
}

export function excessOf(kernel: Kernel, limits: KernelLimits): Excess | null {
  const needs: KernelLimits = { arguments: kernel.params.length, workgroupBytes: workgroupBytes(kernel) };
  for (const what of ['arguments', 'workgroupBytes'] as const)
    if (needs[what] > limits[what]) return { of: what, needs: needs[what], has: limits[what] };
  return null;
}

export const excessText = ({ of, needs, has }: Excess): string => {
  const what = of === 'arguments' ? 'arguments' : 'bytes of workgroup memory';
  const count = (n: number): string => n.toLocaleString('en-US');
  return `needs ${count(needs)} ${what}, and there are ${count(has)}`;
};

/** A kernel that no plan makes small enough; the driver makes a diagnostic of it. */
export class LimitFault extends Error {
  override readonly name = 'LimitFault';
  readonly kernel: Kernel;
  readonly excess: Excess;
  constructor(kernel: Kernel, excess: Excess) {
    super(`${kernel.name} ${excessText(excess)}`);
    this.kernel = kernel;
    this.excess = excess;
  }
}
