/**
 * Names: every body of every declaration is walked once, also those that no instance ever takes, so that an unknown name is
 * reported exactly once and with a suggestion. What names mean is settled later, per instantiation.
 */
import { type DiagnosticBag, didYouMean } from '../diagnostics/index.ts';
import type {
  Arg,
  Body,
  Decl,
  Expr,
  FnDecl,
  Ident,
  Init,
  Member,
  Param,
  Selector,
  SeqItem,
  Span,
  Stmt,
  Subscript,
  Train,
  TypeDecl,
  TypeExpr,
} from '../parser/ast.ts';
import { bindDims, membersOf, Names } from './names-in-scope.ts';
import { unknownNameHelp } from './unknown-name.ts';
import { placeKey, typeNamed, type ModuleFile, type Project } from './project.ts';
import { ELEMS, isUpper } from './dims.ts';

const BUILTIN_TYPES = ['int', 'float', 'bool', 'string', 'block', 'elem'];

export function resolveFile(project: Project, file: ModuleFile, bag: DiagnosticBag): void {
  new Resolver(project, file, bag).run();
}

class Resolver {
  private readonly project: Project;
  private readonly file: ModuleFile;
  private readonly bag: DiagnosticBag;
  /** Names of members and hyper-parameters, which locals must not shadow. */
  private taken = new Map<string, Span>();

  constructor(project: Project, file: ModuleFile, bag: DiagnosticBag) {
    this.project = project;
    this.file = file;
    this.bag = bag;
  }

  run(): void {
    for (const d of this.file.ast.decls) this.decl(d);
    for (const [name, i] of this.file.imports) {
      if (!this.file.used.has(name) && !this.file.path.startsWith('std/'))
        this.bag.report('unused_import', { name }, i.span);
    }
  }

  private decl(d: Decl): void {
    this.taken = new Map();
    switch (d.kind) {
      case 'fn':
        return this.fn(d, new Names(null));
      case 'constDecl':
        return this.expr(d.value, new Names(null));
      case 'type':
        if (this.mentions(d.type, d, new Set())) {
          this.bag.report('type_cycle', { name: d.name.name }, d.name.span);
          this.project.cyclic.add(d);
        }
        return this.type(d.type, new Names(null), true);
      case 'block':
      case 'optimizer':
        return this.block(d.params, d.members, d.kind === 'optimizer');
    }
  }

  private block(params: readonly Param[], members: readonly Member[], open: boolean): void {
    const names = new Names(null);
    this.duplicates(params.map((p) => p.name));
    for (const p of params) {
      if (p.type) this.type(p.type, names, false);
      if (p.default) this.expr(p.default, names);
      names.own.set(p.name.name, p.name.span);
      this.taken.set(p.name.name, p.name.span);
    }
    const declared = membersOf(members);
    this.memberDuplicates(members);
    for (const m of declared) {
      names.own.set(m.name, m.span);
      this.taken.set(m.name, m.span);
    }
    for (const m of members) this.member(m, names, open);
  }

  /** The same name in both branches of an `if` is one member; twice on one road is a mistake. */
  private memberDuplicates(members: readonly Member[], above: ReadonlyMap<string, Span> = new Map()): void {
    const seen = new Map(above);
    for (const m of members) {
      if (m.kind === 'ifMember') {
        this.memberDuplicates(m.then, seen);
        this.memberDuplicates(m.else, seen);
        for (const x of membersOf([m])) if (!seen.has(x.name)) seen.set(x.name, x.span);
        continue;
      }
      for (const x of membersOf([m])) {
        const first = seen.get(x.name);
        if (first)
          this.bag.report('duplicate_name', { name: x.name }, x.span, {
            related: [{ span: first, message: 'declared first here' }],
          });
        else seen.set(x.name, x.span);
      }
    }
  }

  private duplicates(idents: readonly Ident[]): void {
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

  private member(m: Member, names: Names, open: boolean): void {
    switch (m.kind) {
      case 'param':
      case 'buffer':
      case 'constTensor':
        // An optimizer's state is shaped as the parameter it belongs to: its dims are variables.
        this.type(m.type, names, open);
        if (m.init) this.expr(m.init, names);
        return;
      case 'const':
      case 'sub':
      case 'let':
        return this.expr(m.value, names);
      case 'method':
        return this.fn(m.fn, names);
      case 'ifMember':
        this.expr(m.cond, names);
        for (const x of [...m.then, ...m.else]) this.member(x, names, open);
        return;
      case 'init':
        return this.init(m, names);
      case 'train':
        return this.train(m, names);
      case 'tie':
      case 'freeze':
        return;
    }
  }

  private init(m: Init, names: Names): void {
    for (const r of m.rules) {
      this.selector(r.selector);
      this.expr(r.rule, names);
    }
  }

  private train(m: Train, names: Names): void {
    for (const s of m.settings) {
      // `loss = my_loss` names a method; a name that is no method is reported there with the methods that exist.
      if ((s.name.name === 'loss' || s.name.name === 'metric') && s.value.kind === 'name') continue;
      this.expr(s.value, names);
    }
    for (const o of m.overrides) {
      this.selector(o.selector);
      for (const s of o.settings) this.expr(s.value, names);
    }
    for (const s of m.freeze) this.selector(s);
  }

  /** A block type in a selector counts as a use of its import. */
  private selector(s: Selector): void {
    for (const p of s.parts) if (p.kind === 'name') this.file.used.add(p.name);
  }

  // -------------------------------------------------------------- functions

  private fn(f: FnDecl, outer: Names): void {
    const names = new Names(outer, true);
    this.duplicates(f.params.map((p) => p.name));
    const types = f.params.flatMap((p) => (p.type ? [p.type] : []));
    for (const t of types) bindDims(t, names, this.project, this.file.path);
    for (const p of f.params) {
      this.local(p.name, names);
      names.own.set(p.name.name, p.name.span);
    }
    // What only the result mentions is asked of the caller: `rand() -> f32[...S]`.
    if (f.result) bindDims(f.result, names, this.project, this.file.path);
    for (const p of f.params) {
      if (p.type) this.type(p.type, names, true);
      if (p.default) this.expr(p.default, names);
    }
    if (f.result) this.type(f.result, names, true);
    this.body(f.body, names);
    if (f.grad) {
      const inner = new Names(names);
      for (const p of f.grad.params) inner.own.set(p.name.name, p.name.span);
      this.body(f.grad.body, inner);
    }
  }

  /** Locals and arguments shadow nothing of the block. */
  private local(i: Ident, names: Names): void {
    const member = this.taken.get(i.name);
    if (member && !names.hasLocal(i.name)) {
      this.bag.report('shadows_member', { name: i.name }, i.span, {
        related: [{ span: member, message: 'this is the other one' }],
      });
    }
  }

  private body(b: Body, names: Names): void {
    for (const s of b.stmts) this.stmt(s, names);
    if (b.result) this.expr(b.result, names);
  }

  private stmt(s: Stmt, names: Names): void {
    switch (s.kind) {
      case 'assign':
        for (const i of s.index ?? []) this.subscript(i, names);
        this.expr(s.value, names);
        if (s.index && s.targets[0]) this.name(s.targets[0], names);
        for (const t of s.targets) {
          if (names.hasLocal(t.name)) continue;
          this.local(t, names);
          names.own.set(t.name, t.span);
        }
        return;
      case 'update':
        this.expr(s.target, names);
        this.expr(s.value, names);
        return;
      case 'if':
        this.expr(s.cond, names);
        this.branch(s.then, names);
        if (s.else) this.branch(s.else, names);
        return;
      case 'while':
        this.expr(s.cond, names);
        this.branch(s.body, names);
        return;
      case 'for': {
        this.expr(s.iter, names);
        const inner = new Names(names);
        for (const v of s.vars) {
          this.local(v, names);
          inner.own.set(v.name, v.span);
        }
        this.branch(s.body, names, inner);
        return;
      }
      case 'expr':
        this.expr(s.value, names);
        this.unused(s.value, names);
    }
  }

  /** A branch or loop that is a statement: what it assigns first ends with it, and its value goes nowhere. */
  private branch(body: Body, names: Names, inner = new Names(names)): void {
    this.body(body, inner);
    if (body.result) this.unused(body.result, inner);
    names.end(inner);
  }

  /** Functions are pure, so only a call of a method can do something besides giving a value. */
  private unused(e: Expr, names: Names): void {
    if (e.kind === 'error' || e.kind === 'ifExpr') return;
    if (e.kind === 'call') {
      if (e.callee.kind !== 'name' || names.has(e.callee.name)) return;
      const kind = this.file.scope.find(e.callee.name)?.val.kind;
      if (kind !== 'fn' && kind !== 'op') return;
    }
    this.bag.report('unused_value', {}, e.span);
  }

  // -------------------------------------------------------------- expressions

  private name(i: { readonly name: string; readonly span: Span }, names: Names, isDim = false): void {
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

  private expr(e: Expr, names: Names): void {
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
        for (const v of e.vars) inner.own.set(v.name, v.span);
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

  private arg(a: Arg, names: Names): void {
    this.expr(a.value, names);
  }

  private subscript(s: Subscript, names: Names): void {
    if (s.kind === 'at') this.expr(s.value, names);
    else if (s.kind === 'slice') for (const x of [s.start, s.stop, s.step]) if (x) this.expr(x, names);
  }

  private seqItem(i: SeqItem, names: Names): void {
    if (i.kind === 'item') return this.expr(i.value, names);
    if (i.kind === 'seqIf') {
      this.expr(i.cond, names);
      for (const x of [...i.then, ...i.else]) this.seqItem(x, names);
      return;
    }
    this.expr(i.iter, names);
    const inner = new Names(names);
    for (const v of i.vars) inner.own.set(v.name, v.span);
    for (const x of i.body) this.seqItem(x, inner);
  }

  // -------------------------------------------------------------- types

  /** `open`: upper-case names are variables here, bound by whoever uses the type. */
  private type(t: TypeExpr, names: Names, open: boolean): void {
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
      case 'errorType':
        return;
    }
  }

  /** In a signature an upper-case name is a variable; a lower-case one must exist. */
  private dim(e: Expr, names: Names, open: boolean): void {
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
  private mentions(t: TypeExpr, goal: TypeDecl, seen: Set<TypeDecl>): boolean {
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

  private unknownType(i: Ident): void {
    const types = [
      ...ELEMS,
      ...BUILTIN_TYPES,
      ...[...this.file.decls.values()].filter((d) => d.kind === 'type').map((d) => d.name.name),
    ];
    this.bag.report('unknown_type', { name: i.name }, i.span, { help: didYouMean(i.name, types) });
  }
}
