/** Recognises kernels that are the same program under other names, so that a module holds each once. */
import type { Kernel } from './kernel.ts';
import { neutralNames, printKernel } from './print.ts';

/** Equal for kernels that differ only in their name, in those of variables and buffers, and in their origins. */
export function kernelKey(kernel: Kernel): string {
  return printKernel({ ...kernel, name: 'k' }, neutralNames());
}
