/**
 * Which kernels threads may share, and how much work a call of one is. Every thread runs the whole function; a loop marked
 * `parallel` is cut into as many ranges as there are threads, and all wait for each other at its end.
 */
import type { BinOp, Kernel, KExpr, KStmt, KVar } from '../kernel.ts';
import type { Names } from '../names.ts';

/** Statements below which waking other threads costs more than they bring. */
export const WORTH_SHARING = 40_000;

/** How often a loop runs whose end depends on data. */
const UNKNOWN = 8;

/** It has a parallel loop, and nothing outside of those writes what threads read again: other stores are left to the first. */
export function isShared(kernel: Kernel): boolean {
  let loops = 0;
  const allowed = (body: readonly KStmt[], inside: Set<KVar> | null): boolean =>
    body.every((s) => {
      switch (s.s) {
        case 'store':
          return inside !== null || s.buf.space !== 'global' || s.buf.access === 'write';
        case 'let':
          inside?.add(s.var);
          return true;
        case 'set':
          return inside === null || inside.has(s.var);
        case 'for': {
          if (s.axis !== 'parallel' || inside) return allowed(s.body, inside);
          loops++;
          return allowed(s.body, new Set());
        }
        case 'while':
          return allowed(s.body, inside);
        case 'if':
          return allowed(s.then, inside) && allowed(s.else, inside);
        case 'barrier':
        case 'note':
          return true;
      }
    });
  return allowed(kernel.body, null) && loops > 0;
}

const SYMBOL: Partial<Record<BinOp, string>> = { add: '+', sub: '-', mul: '*', div: '/' };

/**
 * Lines of C that leave in a variable about how many statements a call executes. Loops are taken to run as often
 * as in the first iteration of those around them.
 */
export function workLines(kernel: Kernel, work: string, names: Names): readonly string[] {
  const lines: string[] = [`double ${work} = 0;`];
  const known = new Map<KVar, string>();
  for (const p of kernel.params) if (p.kind === 'var') known.set(p, `(double)${names.of(p)}`);
  const named = (text: string): string => {
    if (!text.includes(' ')) return text;
    const name = names.fresh('w');
    lines.push(`const double ${name} = ${text};`);
    return name;
  };
  const estimate = (e: KExpr): string => {
    if (e.k === 'const') return `${e.value}.0`;
    if (e.k === 'var') return known.get(e.var) ?? `${UNKNOWN}.0`;
    if (e.k !== 'bin') return `${UNKNOWN}.0`;
    const [a, b] = [estimate(e.a), estimate(e.b)];
    const symbol = SYMBOL[e.op];
    if (symbol) return `(${a} ${symbol} ${b})`;
    if (e.op === 'min' || e.op === 'max') return named(`${a} ${e.op === 'min' ? '<' : '>'} ${b} ? ${a} : ${b}`);
    return e.op === 'and' ? a : `${UNKNOWN}.0`;
  };
  const visit = (body: readonly KStmt[], times: string): void => {
    let statements = 0;
    for (const s of body) {
      if (s.s === 'for') {
        const from = estimate(s.from);
        known.set(s.var, from);
        const trips = named(`(${estimate(s.to)} - ${from}) / ${s.step}.0`);
        visit(s.body, named(`${trips} > 0 ? ${times} * ${trips} : 0`));
      } else if (s.s === 'while') visit(s.body, named(`${times} * ${UNKNOWN}.0`));
      else if (s.s === 'if') {
        visit(s.then, times);
        visit(s.else, times);
      } else if (s.s !== 'note') {
        statements++;
        if (s.s === 'let' && s.var.type.elem === 'i32') known.set(s.var, named(estimate(s.value)));
      }
    }
    if (statements > 0) lines.push(`${work} += ${times} * ${statements}.0;`);
  };
  visit(kernel.body, '1.0');
  return lines;
}
