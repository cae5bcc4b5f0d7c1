/** Names in force at a place: a chain of maps. Two chains may share a map, as hyper-parameters and members do. */
import type { Span } from '../parser/ast.ts';
import type { Val } from './values.ts';

export type BindingKind = 'local' | 'arg' | 'dim' | 'hyper' | 'member' | 'decl' | 'import' | 'prelude' | 'primitive';

export interface Binding {
  readonly kind: BindingKind;
  readonly val: Val;
  readonly span: Span | null;
  /** May be missing at compile time (a conditional member, an optional argument): `if name` then asks whether it is there. */
  readonly optional?: boolean;
}

export class Scope {
  readonly parent: Scope | null;
  readonly names: Map<string, Binding>;
  /** The outermost scope of a function body: assignments inside never reach beyond it. */
  readonly boundary: boolean;

  constructor(parent: Scope | null, names: Map<string, Binding> = new Map(), boundary = false) {
    this.parent = parent;
    this.names = names;
    this.boundary = boundary;
  }

  /** What an upper-case name of a signature is bound to. Blocks and other declarations of that name do not count. */
  variable(name: string): Binding | null {
    for (let s: Scope | null = this; s; s = s.parent) {
      const b = s.names.get(name);
      if (b && (b.kind === 'dim' || b.kind === 'arg' || b.kind === 'local' || b.kind === 'hyper')) return b;
    }
    return null;
  }

  /** The scopes of the function body that this one belongs to, innermost first. */
  *body(): Iterable<Scope> {
    for (let s: Scope | null = this; s; s = s.parent) {
      yield s;
      if (s.boundary) return;
    }
  }

  /** A local or argument of this body. */
  local(name: string): { readonly scope: Scope; readonly binding: Binding } | null {
    for (const scope of this.body()) {
      const binding = scope.names.get(name);
      if (binding) return { scope, binding };
    }
    return null;
  }

  find(name: string): Binding | null {
    for (let s: Scope | null = this; s; s = s.parent) {
      const b = s.names.get(name);
      if (b) return b;
    }
    return null;
  }

  bind(name: string, kind: BindingKind, val: Val, span: Span | null = null, optional = false): void {
    this.names.set(name, { kind, val, span, optional });
  }

  /** As `bind`, where the value costs something: it is made when it is first read. */
  bindLazily(name: string, kind: BindingKind, span: Span, make: () => Val): void {
    let made: Val | null = null;
    this.names.set(name, {
      kind,
      span,
      get val() {
        return (made ??= make());
      },
    });
  }

  /** Every name that can be seen from here, for suggestions. */
  *all(): Iterable<string> {
    for (let s: Scope | null = this; s; s = s.parent) yield* s.names.keys();
  }
}
