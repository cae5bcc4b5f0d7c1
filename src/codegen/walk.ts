/** Visits every expression and statement of kernel IR, for printers that must declare things before use. */
import type { KBuffer, KExpr, Kernel, KStmt } from './kernel.ts';

export function operandsOf(e: KExpr): readonly KExpr[] {
  switch (e.k) {
    case 'const':
    case 'var':
    case 'subgroup':
      return [];
    case 'un':
    case 'cast':
    case 'bitcast':
    case 'splat':
    case 'lane':
      return [e.a];
    case 'bin':
    case 'shuffle':
      return [e.a, e.b];
    case 'fma':
    case 'dot':
      return [e.a, e.b, e.c];
    case 'select':
      return [e.cond, e.a, e.b];
    case 'load':
      return [e.index];
    case 'passed':
      return [e.a, e.by];
    case 'vec':
      return e.items;
  }
}

export function walk(body: readonly KStmt[], stmt: (s: KStmt) => void, expr: (e: KExpr) => void): void {
  const visit = (e: KExpr): void => {
    expr(e);
    operandsOf(e).forEach(visit);
  };
  for (const s of body) {
    stmt(s);
    switch (s.s) {
      case 'let':
      case 'set':
        visit(s.value);
        break;
      case 'store':
        visit(s.index);
        visit(s.value);
        break;
      case 'for':
        visit(s.from);
        visit(s.to);
        walk(s.body, stmt, expr);
        break;
      case 'while':
        visit(s.cond);
        walk(s.body, stmt, expr);
        break;
      case 'if':
        visit(s.cond);
        walk(s.then, stmt, expr);
        walk(s.else, stmt, expr);
        break;
      case 'barrier':
      case 'note':
        break;
    }
  }
}

/** The private and shared arrays of a kernel, in order of first use. */
export function arraysOf(kernel: Kernel): readonly KBuffer[] {
  const found = new Set<KBuffer>();
  const see = (buf: KBuffer): void => {
    if (buf.space !== 'global') found.add(buf);
  };
  walk(
    kernel.body,
    (s) => {
      if (s.s === 'store') see(s.buf);
    },
    (e) => {
      if (e.k === 'load') see(e.buf);
    },
  );
  return [...found];
}
