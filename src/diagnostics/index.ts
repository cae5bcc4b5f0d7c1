/** The public face of diagnostics: make, collect, print. */
export { makeDiagnostic } from './diagnostic.ts';
export type { Diagnostic, DiagnosticArgs, DiagnosticName, Extra, Related, Severity } from './diagnostic.ts';
export { DiagnosticBag } from './bag.ts';
export { render, renderAll } from './render.ts';
export type { RenderOptions, Sources } from './render.ts';
export { toJson } from './json.ts';
export type { JsonDiagnostic, JsonPlace } from './json.ts';
export { didYouMean, didYouMeanOf, suggest } from './suggest.ts';
export { Lines } from './lines.ts';
export type { Position } from './lines.ts';
export { NO_SPAN } from './span.ts';
export type { Span } from './span.ts';
