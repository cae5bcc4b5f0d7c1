/** Recognises kernels that are the same program under other names, so that a module holds each once. */
import type { Kernel, KStmt } from './kernel.ts';
import { neutralNames, printKernel } from './print.ts';

/** Equal for kernels that differ only in their name, in those of variables and buffers, and in their origins. */
export function kernelKey(kernel: Kernel): string {
  return printKernel({ ...kernel, name: 'k' }, neutralNames());
}

/** Equal where keys are, and made at a fraction of the cost: parameters and the nesting of statements. */
export function kernelOutline({ params, body }: Kernel): string {
  const statements = (list: readonly KStmt[]): string => list.map(statement).join('');
  const statement = (s: KStmt): string => {
    if (s.s === 'for') return `${s.step}(${statements(s.body)})`;
    if (s.s === 'while') return `w(${statements(s.body)})`;
    if (s.s === 'if') return `i(${statements(s.then)})(${statements(s.else)})`;
    return s.s === 'note' ? '' : s.s.charAt(1);
  };
  return `${params.map((p) => (p.kind === 'var' ? p.type.elem : p.elem)).join()} ${statements(body)}`;
}
