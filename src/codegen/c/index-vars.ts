/** Finds the variables of a kernel that only ever say where something lies, and so may be as wide as an address. */
import type { KExpr, KStmt, KVar } from '../kernel.ts';
import { operandsOf } from '../walk.ts';

/** Immutable i32 scalars that are used in nothing but indices, bounds of loops, and each other. */
export function indexVars(body: readonly KStmt[]): ReadonlySet<KVar> {
  const found = new Set<KVar>();
  // Uses come after what they use: from the end, a variable is known before the expression that defines it.
  const value = (e: KExpr): void => {
    if (e.k === 'var') found.delete(e.var);
    else if (e.k === 'load') index(e.index);
    else operandsOf(e).forEach(value);
  };
  const index = (e: KExpr): void => {
    if (e.k === 'var') return;
    if (e.k === 'bin' && ADDRESSES.has(e.op)) {
      index(e.a);
      index(e.b);
    } else value(e);
  };
  const backwards = (block: readonly KStmt[]): void => {
    for (const s of block.toReversed()) {
      switch (s.s) {
        case 'let':
        case 'set':
          if (found.has(s.var)) index(s.value);
          else value(s.value);
          break;
        case 'store':
          index(s.index);
          value(s.value);
          break;
        case 'for':
          backwards(s.body);
          index(s.from);
          index(s.to);
          break;
        case 'while':
          backwards(s.body);
          value(s.cond);
          break;
        case 'if':
          backwards(s.then);
          backwards(s.else);
          value(s.cond);
          break;
        case 'barrier':
        case 'note':
      }
    }
  };
  declare(body, found);
  backwards(body);
  return found;
}

const ADDRESSES: ReadonlySet<string> = new Set(['add', 'sub', 'mul', 'div', 'rem', 'min', 'max', 'and']);

function declare(body: readonly KStmt[], into: Set<KVar>): void {
  for (const s of body) {
    if ((s.s === 'let' || s.s === 'for') && s.var.type.elem === 'i32' && s.var.type.lanes === 1 && !s.var.mutable)
      into.add(s.var);
    if (s.s === 'for' || s.s === 'while') declare(s.body, into);
    if (s.s === 'if') {
      declare(s.then, into);
      declare(s.else, into);
    }
  }
}
