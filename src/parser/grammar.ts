/** The grammar of a file and its declarations: the top layer of the parser. */
import type { IToken } from 'chevrotain';
import type { BlockDecl, ConstDecl, Decl, File, FnDecl, Import, OptimizerDecl, TypeDecl } from './ast.ts';
import type { Job, Rule } from './base.ts';
import { MemberParser } from './members.ts';
import * as t from './tokens.ts';

export class NetParser extends MemberParser {
  // file = { ( import | decl ) End }
  protected readonly file: Rule<(Import | Decl)[]> = this.rule('file', () =>
    this.lines(
      () =>
        this.OR({
          DEF: [{ ALT: (): Import | Decl => this.SUBRULE(this.import) }, { ALT: () => this.SUBRULE(this.decl) }],
          ERR_MSG: 'a declaration: `import`, `block`, `fn`, `optimizer`, `type` or `const`',
        }),
      {
        unread: (tokens): Decl | null => {
          const name = this.declaredName(tokens);
          return name && { kind: 'constDecl', name, value: this.missing(), ...UNDECLARED(name) };
        },
      },
    ),
  );

  // import = "import" "{" [ importName { "," importName } [ "," ] ] "}" "from" Text
  protected readonly import: Rule<Import> = this.rule('import', (): Import => {
    const start = this.start();
    this.CONSUME(t.Import);
    this.CONSUME(t.LCurly);
    const names = this.commaList(t.RCurly, () => this.SUBRULE(this.importName));
    this.CONSUME(t.RCurly);
    this.CONSUME(t.From);
    const from = this.CONSUME(t.Text);
    const path = { path: from.image.slice(1, -1), span: this.spanOf(from) };
    return { kind: 'import', names, from: path, span: this.span(start) };
  });

  // importName = Name [ "as" Name ]
  protected readonly importName: Rule<Import['names'][number]> = this.rule('importName', () => {
    const name = this.ident(this.CONSUME(t.Name));
    const as = this.OPTION(() => {
      this.CONSUME(t.As);
      return this.ident(this.CONSUME2(t.Name));
    });
    return { name, as: as ?? null };
  });

  // decl = [ "export" ] ( blockDecl | fnDecl | optimizerDecl | typeDecl | constDecl )
  protected readonly decl: Rule<Decl> = this.rule('decl', () => {
    const start = this.start();
    const exported = this.OPTION(() => this.CONSUME(t.Export)) !== undefined;
    const decl = this.OR({
      DEF: [
        { ALT: (): Decl => this.SUBRULE(this.blockDecl) },
        { ALT: () => this.SUBRULE(this.fnDecl) },
        { ALT: () => this.SUBRULE(this.optimizerDecl) },
        { ALT: () => this.SUBRULE(this.typeDecl) },
        { ALT: () => this.SUBRULE(this.constDecl) },
      ],
      ERR_MSG: '`block`, `fn`, `optimizer`, `type` or `const`',
    });
    return { ...decl, exported, doc: this.doc(start), span: this.span(start) };
  });

  // blockDecl = "block" Name [ params ] members
  protected readonly blockDecl: Rule<BlockDecl> = this.rule('blockDecl', (): BlockDecl => {
    this.CONSUME(t.Block);
    const name = this.ident(this.CONSUME(t.Name));
    const params = this.OPTION(() => this.SUBRULE(this.params)) ?? [];
    const members = this.SUBRULE(this.members);
    return { kind: 'block', name, params: this.ACTION(() => this.typed(params)), members, ...UNDECLARED(name) };
  });

  // optimizerDecl = "optimizer" Name [ params ] members
  protected readonly optimizerDecl: Rule<OptimizerDecl> = this.rule('optimizerDecl', (): OptimizerDecl => {
    this.CONSUME(t.Optimizer);
    const name = this.ident(this.CONSUME(t.Name));
    const params = this.OPTION(() => this.SUBRULE(this.params)) ?? [];
    const members = this.SUBRULE(this.members);
    return { kind: 'optimizer', name, params: this.ACTION(() => this.typed(params)), members, ...UNDECLARED(name) };
  });

  // fnDecl = "fn" Name params [ "->" type ] body [ grad ]
  protected readonly fnDecl: Rule<FnDecl> = this.rule('fnDecl', (): FnDecl => {
    this.CONSUME(t.Fn);
    const name = this.ident(this.CONSUME(t.Name));
    const params = this.SUBRULE(this.params);
    const result = this.OPTION(() => {
      this.CONSUME(t.Arrow);
      return this.SUBRULE(this.type);
    });
    const body = this.SUBRULE(this.body);
    const grad = this.OPTION2(() => this.SUBRULE(this.grad)) ?? null;
    return { kind: 'fn', name, params, result: result ?? null, body, grad, ...UNDECLARED(name) };
  });

  // grad = "grad" params body
  protected readonly grad: Rule<NonNullable<FnDecl['grad']>> = this.rule('grad', () => {
    const start = this.start();
    this.CONSUME(t.Grad);
    const params = this.SUBRULE(this.params);
    const body = this.SUBRULE(this.body);
    return { params, body, span: this.span(start) };
  });

  // typeDecl = "type" Name "=" type
  protected readonly typeDecl: Rule<TypeDecl> = this.rule('typeDecl', (): TypeDecl => {
    this.CONSUME(t.Type);
    const name = this.ident(this.CONSUME(t.Name));
    this.CONSUME(t.Equals);
    return { kind: 'type', name, type: this.SUBRULE(this.type), ...UNDECLARED(name) };
  });

  // constDecl = "const" Name "=" expr
  protected readonly constDecl: Rule<ConstDecl> = this.rule('constDecl', (): ConstDecl => {
    this.CONSUME(t.Const);
    const name = this.ident(this.CONSUME(t.Name));
    this.CONSUME(t.Equals);
    return { kind: 'constDecl', name, value: this.SUBRULE(this.expr), ...UNDECLARED(name) };
  });

  constructor(validate = false) {
    super(validate);
    this.performSelfAnalysis();
    this.learning = false;
  }

  parse(tokens: IToken[], text: string, job: Job): File {
    this.begin(tokens, job);
    const items = this.file();
    return {
      kind: 'file',
      imports: items.filter((item): item is Import => item.kind === 'import'),
      decls: items.filter((item): item is Decl => item.kind !== 'import'),
      span: { file: job.file, start: 0, end: text.length },
    };
  }
}

/** What `decl` knows and the declaration under it does not. */
const UNDECLARED = (name: { readonly span: Decl['span'] }): Pick<Decl, 'doc' | 'exported' | 'span'> => ({
  doc: '',
  exported: false,
  span: name.span,
});
