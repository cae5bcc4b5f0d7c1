/** What a region of run-time control flow changes: the locals that existed before it, and the buffers that it updates. */
import { IrBuilder } from '../ir/builder.ts';
import type { Value } from '../ir/ir.ts';
import { NO_SPAN } from '../diagnostics/index.ts';
import type { Stmt } from '../parser/ast.ts';
import { namesIn } from '../parser/patterns.ts';
import { assignLocal } from './body.ts';
import type { Cx, FnState } from './context.ts';
import type { TensorNode } from './instance.ts';
import type { Binding, Scope } from './scope.ts';
import { POISON, type Val } from './values.ts';

export interface Snapshot {
  readonly locals: readonly (readonly [Scope, ReadonlyMap<string, Binding>])[];
  readonly tensors: ReadonlyMap<TensorNode, Value>;
  readonly updated: ReadonlySet<TensorNode>;
}

export function snapshot(cx: Cx, fn: FnState): Snapshot {
  return {
    locals: [...cx.scope.body()].map((s) => [s, new Map(s.names)] as const),
    tensors: new Map([...fn.tensors].map(([t, u]) => [t, u.current])),
    updated: new Set(fn.updated),
  };
}

/** Puts everything back and gives what had changed. */
export function rewind(fn: FnState, before: Snapshot): Changes {
  const locals = new Map<string, Val>();
  for (const [scope, names] of before.locals) {
    for (const [name, old] of names) {
      const now = scope.names.get(name);
      if (now && now !== old && !locals.has(name)) locals.set(name, now.val);
    }
    scope.names.clear();
    for (const [name, b] of names) scope.names.set(name, b);
  }
  const tensors = new Map<TensorNode, Value>();
  for (const [node, u] of fn.tensors) {
    const old = before.tensors.get(node) ?? u.param;
    if (u.current !== old) tensors.set(node, u.current);
    u.current = old;
  }
  fn.updated.clear();
  for (const t of before.updated) fn.updated.add(t);
  return { locals, tensors };
}

export interface Changes {
  readonly locals: ReadonlyMap<string, Val>;
  readonly tensors: ReadonlyMap<TensorNode, Value>;
}

/** Runs `work` with a builder of its own. */
export function inRegion<T>(fn: FnState, work: () => T): { readonly made: T; readonly b: IrBuilder } {
  const outer = fn.b;
  const b = new IrBuilder(outer.origin);
  fn.b = b;
  try {
    return { made: work(), b };
  } finally {
    fn.b = outer;
  }
}

export function within<T>(fn: FnState, b: IrBuilder, work: () => T): T {
  const outer = fn.b;
  fn.b = b;
  try {
    return work();
  } finally {
    fn.b = outer;
  }
}

export function assignedNames(stmts: readonly Stmt[], out: Set<string> = new Set()): Set<string> {
  for (const s of stmts) {
    if (s.kind === 'assign') for (const t of namesIn(s.target)) out.add(t.name);
    else if (s.kind === 'if') {
      assignedNames(s.then.stmts, out);
      if (s.else) assignedNames(s.else.stmts, out);
    } else if (s.kind === 'for' || s.kind === 'while') assignedNames(s.body.stmts, out);
  }
  return out;
}

/** After a fault, what would have been assigned is unknown: nothing more is said about it. */
export function poisonAssigned(cx: Cx, stmts: readonly Stmt[]): void {
  poisonNames(cx, assignedNames(stmts));
}

export function poisonNames(cx: Cx, names: Iterable<string>): void {
  for (const n of names) if (cx.scope.local(n)) assignLocal(cx, n, POISON, NO_SPAN);
}
