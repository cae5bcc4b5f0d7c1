/** What the resolver knows of names: which ones a place sees, which ones members and signatures bring. */
import type { Expr, Ident, Member, Span, TypeExpr } from '../parser/ast.ts';
import { isUpper } from './dims.ts';
import { typeNamed, type Project } from './project.ts';

/** Names that a place can see, innermost first. `body` marks where a function starts. */
export class Names {
  readonly parent: Names | null;
  readonly own = new Map<string, Span | null>();
  readonly body: boolean;
  readonly #ended = new Map<string, Span>();

  constructor(parent: Names | null, body = false) {
    this.parent = parent;
    this.body = body;
  }

  has(name: string): boolean {
    return this.own.has(name) || (this.parent?.has(name) ?? false);
  }

  /** Within the function body. */
  hasLocal(name: string): boolean {
    return this.own.has(name) || (!this.body && (this.parent?.hasLocal(name) ?? false));
  }

  /** What the branch or loop body `inner` has assigned first is over; remembered for messages. */
  end(inner: Names): void {
    for (const [name, span] of [...inner.own, ...inner.#ended]) if (span) this.#ended.set(name, span);
  }

  /** Where a branch or loop that is over assigned `name`. */
  ended(name: string): Span | null {
    return this.#ended.get(name) ?? this.parent?.ended(name) ?? null;
  }

  *all(): Iterable<string> {
    yield* this.own.keys();
    if (this.parent) yield* this.parent.all();
  }
}

/** The names that members declare, through both branches of their conditions. */
export function membersOf(members: readonly Member[]): Ident[] {
  return members.flatMap((m): Ident[] => {
    switch (m.kind) {
      case 'ifMember':
        return [...membersOf(m.then), ...membersOf(m.else)];
      case 'forMember':
        return membersOf(m.body);
      case 'method':
        return [m.fn.name];
      case 'param':
      case 'buffer':
      case 'constTensor':
      case 'const':
      case 'sub':
      case 'let':
        return [m.name];
      default:
        return [];
    }
  });
}

/** Upper-case names of a signature's types are names in its body: `B`, `S`, `E`. */
export function bindDims(t: TypeExpr, names: Names, project: Project, path: string, deep = 0): void {
  const bind = (e: Expr): void => {
    if (e.kind === 'name' && isUpper(e.name)) names.own.set(e.name, e.span);
    else if (e.kind === 'binary') {
      bind(e.left);
      bind(e.right);
    } else if (e.kind === 'unary') bind(e.operand);
    else if (e.kind === 'call') for (const a of e.args) bind(a.value);
  };
  switch (t.kind) {
    case 'tensorType':
      if (isUpper(t.elem.name)) names.own.set(t.elem.name, t.elem.span);
      for (const d of t.dims) {
        if (d.kind === 'dim') bind(d.value);
        else if (isUpper(d.name.name)) names.own.set(d.name.name, d.name.span);
      }
      return;
    case 'tupleType':
      for (const x of t.items) bindDims(x, names, project, path, deep);
      return;
    case 'listType':
      bindDims(t.item, names, project, path, deep);
      if (t.length) bind(t.length);
      return;
    case 'recordType':
      for (const f of t.fields) bindDims(f.type, names, project, path, deep);
      return;
    case 'optionalType':
      return bindDims(t.item, names, project, path, deep);
    case 'namedType': {
      // The variables of a declared type belong to the signature that uses it. Types that mention themselves stop here.
      const named = deep < 8 ? typeNamed(project, t.name.name, path) : null;
      if (named) bindDims(named.type, names, project, path, deep + 1);
      return;
    }
    default:
      return;
  }
}
