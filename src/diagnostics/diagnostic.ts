/** What a diagnostic is, and the one way to make one: from the catalogue, with the arguments its template names. */
import type { Span } from './span.ts';
import { CATALOGUE } from './catalogue.generated.ts';

export type Severity = 'error' | 'warning';

/** A second place that explains the first: "`W` was bound here". May lie in another file. */
export interface Related {
  readonly span: Span;
  readonly message: string;
}

export interface Diagnostic {
  /** `NW1001`: never reused, and the name of the page docs/diagnostics/NW1001.md. */
  readonly code: string;
  readonly name: DiagnosticName;
  readonly severity: Severity;
  readonly message: string;
  readonly span: Span;
  readonly related: readonly Related[];
  readonly help: string | null;
  /** The layer in whose instantiation it was found: `net.3.conv1`. */
  readonly path: string | null;
}

export type DiagnosticName = keyof typeof CATALOGUE;

/** The names in braces of a template. Braces with a space inside are text: `init { weight ~ zeros() }`. */
type Placeholders<S> = S extends `${string}{${infer Rest}`
  ? Rest extends `${infer Name}}${infer Tail}`
    ? Name extends '' | `${string}${' ' | '{'}${string}`
      ? Placeholders<Rest>
      : Name | Placeholders<Tail>
    : never
  : never;

type Templates<N extends DiagnosticName> = (typeof CATALOGUE)[N]['message'] | (typeof CATALOGUE)[N]['help'];

/** The arguments that the page of `N` names in its message and help templates. */
export type DiagnosticArgs<N extends DiagnosticName> = {
  readonly [K in Placeholders<Templates<N>>]: string | number;
};

export interface Extra {
  readonly related?: readonly Related[];
  /** Replaces the page's help. */
  readonly help?: string | null;
  readonly path?: string | null;
}

export function makeDiagnostic<N extends DiagnosticName>(
  name: N,
  args: DiagnosticArgs<N>,
  span: Span,
  extra: Extra = {},
): Diagnostic {
  const entry: { code: string; severity: Severity; message: string; help: string | null } = CATALOGUE[name];
  const help = extra.help === undefined ? entry.help : extra.help;
  return {
    code: entry.code,
    name,
    severity: entry.severity,
    message: fill(entry.message, args),
    span,
    related: extra.related ?? [],
    help: help === null ? null : extra.help === undefined ? fill(help, args) : help,
    path: extra.path ?? null,
  };
}

const PLACEHOLDER = /\{([a-z]\w*)\}/gi;

function fill(template: string, args: Readonly<Record<string, string | number>>): string {
  return template.replace(PLACEHOLDER, (whole, name: string) => (name in args ? String(args[name]) : whole));
}
