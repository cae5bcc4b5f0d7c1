/** Checks source text in memory: most tests of the checker need one file. */
import { checkSource, elaborate, type Elaborated, type StaticValue } from '../../src/check/index.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';

export interface Checked {
  /** `NW3002 message` of every diagnostic, in the order in which they are shown. */
  readonly diagnostics: readonly string[];
  readonly block: Elaborated | null;
}

/** Checks `main.net` and elaborates its last exported block, or the one named. */
export function check(
  source: string | Readonly<Record<string, string>>,
  options: { readonly block?: string; readonly hyper?: Readonly<Record<string, StaticValue>> } = {},
): Checked {
  const files = typeof source === 'string' ? { 'main.net': source } : source;
  const bag = new DiagnosticBag();
  const project = checkSource({ read: (path) => files[path] ?? null }, 'main.net', bag);
  const name = options.block ?? project.exports.at(-1);
  const block = name === undefined ? null : elaborate(project, name, options.hyper ?? {}, bag);
  return { diagnostics: bag.all.map((d) => `${d.code} ${d.message}`), block };
}

/** The block of a program that must be right. */
export function block(
  source: string | Readonly<Record<string, string>>,
  hyper: Readonly<Record<string, StaticValue>> = {},
): Elaborated {
  const made = check(source, { hyper });
  if (!made.block || made.diagnostics.length > 0) throw new Error(made.diagnostics.join('\n') || 'no block');
  return made.block;
}
