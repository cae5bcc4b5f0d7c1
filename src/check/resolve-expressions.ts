/** Names in expressions and types: each must be a local, a member, a declaration, an import or one of the prelude. */
import type { DiagnosticBag } from '../diagnostics/index.ts';
import type { Arg, Body, Expr, Ident, SeqItem, Span, Subscript, TypeDecl, TypeExpr } from '../parser/ast.ts';
import { namesIn } from '../parser/patterns.ts';
import { ELEMS, isUpper } from './dims.ts';
import { Names } from './names-in-scope.ts';
import { placeKey, typeNamed, type ModuleFile, type Project } from './project.ts';
import { unknownNameHelp, unknownTypeHelp } from './unknown-name.ts';

const BUILTIN_TYPES = ['int', 'float', 'bool', 'string', 'block', 'elem', 'tensor'];

/** The part of the resolver that walks expressions; bodies inside them are the other part's. */
export abstract class ExpressionNames {
  protected readonly project: Project;
  protected readonly file: ModuleFile;
  protected readonly bag: DiagnosticBag;

  constructor(project: Project, file: ModuleFile, bag: DiagnosticBag) {
    this.project = project;
    this.file = file;
    this.bag = bag;
  }

  protected abstract body(b: Body, names: Names): void;
  protected abstract branch(body: Body, names: Names): void;

  protected duplicates(idents: readonly Ident[]): void {
    const seen = new Map<string, Span>();
    for (const i of idents) {
      const first = seen.get(i.name);
      if (first)
        this.bag.report('duplicate_name', { name: i.name }, i.span, {
          related: [{ span: first, message: 'declared first here' }],
        });
      else seen.set(i.name, i.span);
    }
  }

  // -------------------------------------------------------------- expressions

  protected name(i: { readonly name: string; readonly span: Span }, names: Names, isDim = false): void {
    this.file.used.add(i.name);
    if (i.name === 'training' || names.has(i.name) || this.file.scope.find(i.name)) return;
    const ended = names.ended(i.name);
    this.project.unknown.add(placeKey(i.span));
    this.bag.report('unknown_name', { name: i.name }, i.span, {
      related: ended ? [{ span: ended, message: 'this one ends with its branch or loop' }] : [],
      help: ended
        ? `assign \`${i.name}\` before as well`
        : (unknownNameHelp(i.name, [...names.all(), ...this.file.scope.all()]) ??
          (isDim
            ? 'a size that arguments bind has an upper-case name, such as `B`; others are hyper-parameters'
            : null)),
    });
  }

  protected expr(e: Expr, names: Names): void {
    switch (e.kind) {
      case 'name':
        return this.name(e, names);
      case 'member':
        return this.expr(e.object, names);
      case 'index':
        this.expr(e.object, names);
        for (const i of e.items) this.subscript(i, names);
        return;
      case 'call':
        this.expr(e.callee, names);
        for (const a of e.args) this.arg(a, names);
        return;
      case 'tuple':
      case 'list':
        for (const x of e.items) this.expr(x, names);
        return;
      case 'listComp': {
        this.expr(e.iter, names);
        const inner = new Names(names);
        for (const v of namesIn(e.pattern)) inner.own.set(v.name, v.span);
        return this.expr(e.body, inner);
      }
      case 'record':
        for (const f of e.fields) this.expr(f.value, names);
        return;
      case 'seq':
        for (const i of e.items) this.seqItem(i, names);
        return;
      case 'lambda': {
        const inner = new Names(names, true);
        for (const p of e.params) inner.own.set(p.name.name, p.name.span);
        return this.body(e.body, inner);
      }
      case 'unary':
        return this.expr(e.operand, names);
      case 'binary':
        this.expr(e.left, names);
        return this.expr(e.right, names);
      case 'ifExpr':
        this.expr(e.cond, names);
        this.body(e.then, new Names(names));
        return this.body(e.else, new Names(names));
      case 'range':
        this.expr(e.start, names);
        return this.expr(e.stop, names);
      case 'number':
      case 'string':
      case 'bool':
      case 'none':
      case 'infer':
      case 'error':
        return;
    }
  }

  protected arg(a: Arg, names: Names): void {
    this.expr(a.value, names);
  }

  protected subscript(s: Subscript, names: Names): void {
    if (s.kind === 'at') this.expr(s.value, names);
    else if (s.kind === 'slice') for (const x of [s.start, s.stop, s.step]) if (x) this.expr(x, names);
  }

  protected seqItem(i: SeqItem, names: Names): void {
    if (i.kind === 'item') return this.expr(i.value, names);
    if (i.kind === 'seqIf') {
      this.expr(i.cond, names);
      for (const x of [...i.then, ...i.else]) this.seqItem(x, names);
      return;
    }
    this.expr(i.iter, names);
    const inner = new Names(names);
    for (const v of namesIn(i.pattern)) inner.own.set(v.name, v.span);
    for (const x of i.body) this.seqItem(x, inner);
  }

  // -------------------------------------------------------------- types

  /** `open`: upper-case names are variables here, bound by whoever uses the type. */
  protected type(t: TypeExpr, names: Names, open: boolean): void {
    switch (t.kind) {
      case 'tensorType':
        if (!ELEMS.includes(t.elem.name) && !isUpper(t.elem.name)) this.unknownType(t.elem);
        for (const d of t.dims) {
          if (d.kind === 'spread') {
            if (!isUpper(d.name.name)) this.name(d.name, names);
          } else this.dim(d.value, names, open);
        }
        return;
      case 'namedType': {
        const name = t.name.name;
        this.file.used.add(name);
        if (BUILTIN_TYPES.includes(name)) return;
        const found = this.file.scope.find(name)?.val.kind;
        if (typeNamed(this.project, name, this.file.path) || found === 'block' || found === 'optimizerDecl') return;
        return this.unknownType(t.name);
      }
      case 'tupleType':
        for (const x of t.items) this.type(x, names, open);
        return;
      case 'listType':
        this.type(t.item, names, open);
        if (t.length) this.dim(t.length, names, open);
        return;
      case 'recordType':
        this.duplicates(t.fields.map((f) => f.name));
        for (const f of t.fields) this.type(f.type, names, open);
        return;
      case 'optionalType':
        return this.type(t.item, names, open);
      case 'fnType':
        for (const x of [...t.params, t.result]) this.type(x, names, true);
        return;
      case 'unionType':
        if (t.item) this.type(t.item, names, open);
        return;
      case 'errorType':
        return;
    }
  }

  /** In a signature an upper-case name is a variable; a lower-case one must exist. */
  protected dim(e: Expr, names: Names, open: boolean): void {
    if (e.kind === 'name') {
      if (isUpper(e.name) && (open || names.has(e.name))) return;
      if (isUpper(e.name)) return void this.bag.report('symbol_in_declaration', { name: e.name }, e.span);
      return this.name(e, names, true);
    }
    if (e.kind === 'binary') {
      this.dim(e.left, names, open);
      return this.dim(e.right, names, open);
    }
    if (e.kind === 'unary') return this.dim(e.operand, names, open);
    if (e.kind === 'call') {
      this.expr(e.callee, names);
      for (const a of e.args) this.dim(a.value, names, open);
      return;
    }
    if (e.kind === 'member' || e.kind === 'index') {
      if (e.object.kind === 'name' && isUpper(e.object.name)) return;
      return this.expr(e, names);
    }
    this.expr(e, names);
  }

  /** Whether a declared type is made of itself: no value could have it. */
  protected mentions(t: TypeExpr, goal: TypeDecl, seen: Set<TypeDecl>): boolean {
    switch (t.kind) {
      case 'namedType': {
        const named = typeNamed(this.project, t.name.name, t.span.file);
        if (!named || seen.has(named)) return false;
        if (named === goal) return true;
        return this.mentions(named.type, goal, seen.add(named));
      }
      case 'optionalType':
      case 'listType':
        return this.mentions(t.item, goal, seen);
      case 'tupleType':
        return t.items.some((x) => this.mentions(x, goal, seen));
      case 'recordType':
        return t.fields.some((f) => this.mentions(f.type, goal, seen));
      default:
        return false;
    }
  }

  protected unknownType(i: Ident): void {
    const types = [
      ...ELEMS,
      ...BUILTIN_TYPES,
      ...this.file.decls.all.filter((d) => d.kind === 'type').map((d) => d.name),
    ];
    this.bag.report('unknown_type', { name: i.name }, i.span, { help: unknownTypeHelp(i.name, types) });
  }
}
