/** Diagnostics for machines: editors, CI annotations, scripts. The fields are documented in docs/diagnostics/README.md. */
import type { Diagnostic, Severity } from './diagnostic.ts';
import { lineCache } from './render.ts';
import type { Sources } from './render.ts';
import type { Span } from './span.ts';

/** Lines and columns from 1; columns in UTF-16 units; the end is exclusive. */
export interface JsonPlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
}

export interface JsonDiagnostic extends JsonPlace {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly help: string | null;
  readonly path: string | null;
  readonly related: readonly (JsonPlace & { readonly message: string })[];
}

export function toJson(diagnostics: readonly Diagnostic[], sources: Sources): JsonDiagnostic[] {
  const cache = lineCache(sources);
  const place = (span: Span): JsonPlace => {
    const lines = cache(span.file);
    const start = lines?.position(span.start) ?? { line: 1, column: 1 };
    const end = lines?.position(span.end) ?? start;
    return { file: span.file, line: start.line, column: start.column, endLine: end.line, endColumn: end.column };
  };
  return diagnostics.map(({ code, severity, message, span, help, path, related }) => ({
    ...place(span),
    code,
    severity,
    message,
    help,
    path,
    related: related.map((r) => ({ ...place(r.span), message: r.message })),
  }));
}
