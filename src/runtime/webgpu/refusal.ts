/** What a driver says of a shader that it refuses, in terms of the network's source. */
import type { WebGpuKernel } from '../artifact.ts';
import { KernelError } from '../errors.ts';

/**
 * The error, at the line of the network whose statement the driver points at. `code` is what it was given: the line numbers are
 * of that text.
 */
export async function refusal(
  device: string,
  kernel: WebGpuKernel,
  code: string,
  module: GPUShaderModule,
  reason: string,
): Promise<KernelError> {
  const { messages } = await module.getCompilationInfo().catch(() => ({ messages: [] }));
  const first = messages.find((m) => m.type === 'error' && m.lineNum > 0);
  const what = `${device} refuses the kernel ${kernel.name}`;
  if (!first) return new KernelError(kernel.name, kernel.origins, what, reason);
  const lines = code.split('\n');
  const main = originAt(lines, first.lineNum, kernel.origins);
  const origins = main === null ? kernel.origins : [main, ...kernel.origins.filter((o) => o !== main)];
  const shown = lines[first.lineNum - 1]!.trim();
  return new KernelError(kernel.name, origins, what, `line ${first.lineNum}, \`${shown}\`: ${first.message}`);
}

/** What the nearest comment above a line (counted from 1) of the kernel's body names; the main one where none is nearer. */
function originAt(lines: readonly string[], line: number, origins: readonly string[]): string | null {
  for (let i = line - 1; i >= 0 && !lines[i]!.startsWith('fn main('); i--) {
    const comment = /^\s*\/\/ (.*)$/.exec(lines[i]!)?.[1];
    const named = origins.find((o) => o.replace(/[^ -~]/g, '?') === comment);
    if (named !== undefined) return named;
  }
  return origins[0] ?? null;
}
