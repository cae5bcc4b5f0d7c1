/** Collects the diagnostics of one run, so that a stage reports and goes on instead of throwing. */
import { makeDiagnostic } from './diagnostic.ts';
import type { Diagnostic, DiagnosticArgs, DiagnosticName, Extra } from './diagnostic.ts';
import type { Span } from './span.ts';

export class DiagnosticBag {
  readonly #items = new Map<string, Diagnostic>();
  readonly #fileOrder = new Map<string, number>();
  #errors = 0;

  /**
   * Reports `name` at `span`. The same message at the same place is kept once: a block that is instantiated twice
   * says the same thing twice, and the first layer path serves.
   */
  report<N extends DiagnosticName>(name: N, args: DiagnosticArgs<N>, span: Span, extra?: Extra): Diagnostic {
    const diagnostic = makeDiagnostic(name, args, span, extra);
    this.add(diagnostic);
    return diagnostic;
  }

  add(diagnostic: Diagnostic): void {
    const { code, span, message } = diagnostic;
    const key = `${code}\0${span.file}\0${span.start}\0${span.end}\0${message}`;
    if (this.#items.has(key)) return;
    this.#items.set(key, diagnostic);
    if (!this.#fileOrder.has(span.file)) this.#fileOrder.set(span.file, this.#fileOrder.size);
    if (diagnostic.severity === 'error') this.#errors++;
  }

  get hasErrors(): boolean {
    return this.#errors > 0;
  }

  get errorCount(): number {
    return this.#errors;
  }

  get size(): number {
    return this.#items.size;
  }

  /** File by file in the order first met, each from top to bottom. */
  get all(): readonly Diagnostic[] {
    const order = (d: Diagnostic): number => this.#fileOrder.get(d.span.file) ?? 0;
    return [...this.#items.values()].sort(
      (a, b) => order(a) - order(b) || a.span.start - b.span.start || a.span.end - b.span.end,
    );
  }
}
