/**
 * Names: every body of every declaration is walked once, also those that no instance ever takes, so that an unknown name is
 * reported exactly once and with a suggestion. What names mean is settled later, per instantiation.
 */
import { isLibraryFile } from './library.ts';
import type { DiagnosticBag } from '../diagnostics/index.ts';
import type {
  BlockDecl,
  Body,
  Decl,
  Expr,
  FnDecl,
  Ident,
  Init,
  Member,
  Param,
  Selector,
  Span,
  Stmt,
  Template,
  Train,
} from '../parser/ast.ts';
import { namesIn } from '../parser/patterns.ts';
import { ExpressionNames } from './resolve-expressions.ts';
import { bindDims, membersOf, Names } from './names-in-scope.ts';
import type { Setting } from './outside.ts';
import type { ModuleFile, Project } from './project.ts';

export function resolveFile(project: Project, file: ModuleFile, bag: DiagnosticBag): void {
  new Resolver(project, file, bag).run();
}

/** Settings that a block's `train` block is given from outside: what they name is looked up as if they stood there. */
export function resolveSettings(
  project: Project,
  file: ModuleFile,
  decl: BlockDecl,
  settings: readonly Setting[],
  bag: DiagnosticBag,
): void {
  new Resolver(project, file, bag).outside(decl, settings);
}

class Resolver extends ExpressionNames {
  /** Names of members and hyper-parameters, which locals must not shadow. */
  private taken = new Map<string, Span>();

  run(): void {
    for (const d of this.file.ast.decls) this.decl(d);
    for (const [name, i] of this.file.imports) {
      if (!this.file.used.has(name) && !isLibraryFile(this.file.path))
        this.bag.report('unused_import', { name }, i.span);
    }
  }

  outside(decl: BlockDecl, settings: readonly Setting[]): void {
    const names = new Names(null);
    for (const p of decl.params) names.own.set(p.name.name, p.name.span);
    for (const m of membersOf(decl.members)) names.own.set(m.name, m.span);
    this.settings(settings, names);
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
      if (m.kind === 'forMember') {
        this.memberDuplicates(m.body, seen);
        for (const x of membersOf([m])) seen.set(x.name, x.span);
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

  private member(m: Member, names: Names, open: boolean): void {
    switch (m.kind) {
      case 'param':
      case 'buffer':
      case 'constTensor':
        // An optimizer's state is shaped as the parameter it belongs to: its dims are variables.
        this.template(m.as, names);
        this.type(m.type, names, open);
        if (m.init) this.expr(m.init, names);
        return;
      case 'sub':
        this.template(m.as, names);
        return this.expr(m.value, names);
      case 'const':
      case 'let':
        return this.expr(m.value, names);
      case 'method':
        return this.fn(m.fn, names);
      case 'ifMember':
        this.expr(m.cond, names);
        for (const x of [...m.then, ...m.else]) this.member(x, names, open);
        return;
      case 'forMember': {
        this.expr(m.iter, names);
        const inner = new Names(names);
        for (const v of namesIn(m.pattern)) inner.own.set(v.name, v.span);
        for (const x of m.body) this.member(x, inner, open);
        return;
      }
      case 'require':
        this.expr(m.cond, names);
        return this.template(m.message, names);
      case 'init':
        return this.init(m, names);
      case 'train':
        return this.train(m, names);
      case 'tie':
      case 'freeze':
        return;
    }
  }

  private template(t: Template | null, names: Names): void {
    for (const part of t?.parts ?? []) if (typeof part !== 'string') this.expr(part, names);
  }

  private init(m: Init, names: Names): void {
    for (const r of m.rules) {
      this.selector(r.selector);
      this.expr(r.rule, names);
    }
  }

  private settings(list: readonly Setting[], names: Names): void {
    for (const s of list) {
      // `loss = my_loss` names a method; a name that is no method is reported there with the methods that exist.
      if ((s.name.name === 'loss' || s.name.name === 'metric') && s.value.kind === 'name') continue;
      this.expr(s.value, names);
    }
  }

  private train(m: Train, names: Names): void {
    this.settings(m.settings, names);
    for (const o of m.overrides) {
      this.selector(o.selector);
      for (const s of o.settings) this.expr(s.value, names);
    }
    for (const s of [...m.freeze, ...m.checkpoint]) this.selector(s);
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

  protected override body(b: Body, names: Names): void {
    for (const s of b.stmts) this.stmt(s, names);
    if (b.result) this.expr(b.result, names);
  }

  private stmt(s: Stmt, names: Names): void {
    switch (s.kind) {
      case 'assign':
        for (const i of s.index ?? []) this.subscript(i, names);
        this.expr(s.value, names);
        for (const t of namesIn(s.target)) {
          if (s.index || s.fields.length > 0) {
            this.name(t, names);
            continue;
          }
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
        for (const v of namesIn(s.pattern)) {
          this.local(v, names);
          inner.own.set(v.name, v.span);
        }
        this.branch(s.body, names, inner);
        return;
      }
      case 'require':
        this.expr(s.cond, names);
        return this.template(s.message, names);
      case 'expr':
        this.expr(s.value, names);
        this.unused(s.value, names);
    }
  }

  /** A branch or loop that is a statement: what it assigns first ends with it, and its value goes nowhere. */
  protected override branch(body: Body, names: Names, inner = new Names(names)): void {
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
}
