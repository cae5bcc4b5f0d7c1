/** Types, declarations and members as shapes. */
import type {
  BlockDecl,
  Decl,
  DimExpr,
  Expr,
  File,
  FnDecl,
  Ident,
  Import,
  Member,
  OptimizerDecl,
  Param,
  Selector,
  Train,
  TypeExpr,
} from '../parser/ast.ts';
import { patternText } from '../parser/patterns.ts';
import * as t from '../parser/tokens.ts';
import { ExpressionShapes, words } from './expressions.ts';
import { Source } from './source.ts';
import type { Binding, Part, Range, Root, Shape } from './tree.ts';

type IfMember = Extract<Member, { kind: 'ifMember' }>;

/** The shapes of a file that has no errors. */
export function shapesOf(file: File, text: string): Root {
  const source = new Source(text);
  const shapes = new DeclarationShapes(source);
  const items = [...file.imports, ...file.decls]
    .sort((a, b) => a.span.start - b.span.start)
    .map((item) => (item.kind === 'import' ? shapes.import(item) : shapes.decl(item)));
  const braces = source.file(items);
  return { ...braces, kind: 'file', comments: source.comments };
}

class DeclarationShapes extends ExpressionShapes {
  // ---------------------------------------------------------------- declarations

  import({ names, from, span }: Import): Shape {
    const items = names.map(({ name, as }) =>
      words({ start: name.span.start, end: (as ?? name).span.end }, as ? `${name.name} as ${as.name}` : name.name),
    );
    const close = this.source.partner(this.source.find(t.LCurly, span.start)) + 1;
    const list = { ...this.commasTo(close, items), broken: false };
    return words(span, 'import ', list, ' from ', this.source.slice(from.span));
  }

  decl(decl: Decl): Shape {
    const { span } = decl;
    const before = decl.exported ? 'export ' : '';
    switch (decl.kind) {
      case 'block':
      case 'optimizer': {
        const { params, open } = this.#hyperParams(decl);
        return words(span, `${before}${decl.kind} ${decl.name.name}`, params, ' ', this.#members(open, decl.members));
      }
      case 'fn':
        return this.#fn(decl, `${before}fn `);
      case 'type':
        return this.#binding(span, [`${before}type ${decl.name.name}`], '=', this.#type(decl.type));
      case 'constDecl':
        return this.#binding(span, [`${before}const ${decl.name.name}`], '=', this.expr(decl.value));
    }
  }

  /** `block A { }` may leave its empty parentheses out; the formatter writes them. */
  #hyperParams({ name, params }: BlockDecl | OptimizerDecl): { readonly params: Part; readonly open: number } {
    const { end } = name.span;
    if (this.source.after(end) !== '(') return { params: '()', open: this.source.find(t.LCurly, end) };
    const list = this.#params(end, params);
    return { params: list, open: this.source.find(t.LCurly, list.span.end) };
  }

  #fn({ name, params, result, body, grad, span }: FnDecl, before = ''): Shape {
    const list = this.#params(name.span.end, params);
    const head: Part[] = [`${before}${name.name}`, list];
    if (result) head.push(' -> ', { kind: 'short', inner: this.#type(result), span: result.span });
    const own = grad ? { start: span.start, end: body.span.end } : span;
    const fn = this.#withBody(own, (result ?? list).span.end, head, body);
    if (!grad) return fn;
    const gradParams = this.#params(grad.span.start, grad.params);
    return words(span, fn, '\n', this.#withBody(grad.span, gradParams.span.end, ['grad ', gradParams], grad.body));
  }

  /** `head => value` or `head { ... }`; the head ends at `end`. */
  #withBody(span: Range, end: number, head: readonly Part[], body: FnDecl['body']): Shape {
    const shape = this.body(body);
    if (this.source.after(end) !== '=>') return words(span, ...head, ' ', shape);
    const left = words({ start: span.start, end }, ...head);
    return { kind: 'binding', left, sign: '=>', right: shape, span };
  }

  #params(from: number, params: readonly Param[]) {
    const close = this.source.partner(this.source.find(t.LParen, from)) + 1;
    return this.commasTo(
      close,
      params.map((param) => this.#param(param)),
    );
  }

  #param({ name, type, default: value, span }: Param): Shape {
    const parts: Part[] = [name.name];
    if (type) parts.push(': ', this.#type(type));
    if (value) parts.push(' = ', this.expr(value));
    return words(span, ...parts);
  }

  // ---------------------------------------------------------------- members

  #members(open: number, members: readonly Member[]) {
    return this.source.braces(
      open,
      members.map((member) => this.#member(member)),
    );
  }

  #member(member: Member): Shape {
    const { span } = member;
    switch (member.kind) {
      case 'param':
      case 'buffer':
      case 'constTensor': {
        const keyword = member.kind === 'constTensor' ? 'const' : member.kind;
        const left: Part[] = [`${keyword} ${this.#named(member)}: `, this.#type(member.type)];
        if (member.stored) left.push(` stored ${member.stored.name}`);
        return member.init ? this.#binding(span, left, '~', this.expr(member.init)) : words(span, ...left);
      }
      case 'const':
      case 'let':
        return this.#binding(span, [`${member.kind} ${member.name.name}`], '=', this.expr(member.value));
      case 'sub':
        return this.#binding(span, [this.#named(member)], '=', this.expr(member.value));
      case 'tie': {
        const owner = member.transposed ? `transpose(${selector(member.source)})` : selector(member.source);
        return words(span, `tie ${selector(member.target)} = ${owner}`);
      }
      case 'init': {
        const rules = member.rules.map((rule) =>
          this.#binding(rule.span, [selector(rule.selector)], '~', this.expr(rule.rule)),
        );
        return words(span, 'init ', this.source.braces(this.source.find(t.LCurly, span.start), rules));
      }
      case 'train':
        return words(span, 'train ', this.source.braces(this.source.find(t.LCurly, span.start), this.#train(member)));
      case 'freeze':
        return words(span, `freeze ${selector(member.selector)}`);
      case 'method':
        return this.#fn(member.fn);
      case 'ifMember':
        return words(span, ...this.#ifParts(member));
      case 'forMember': {
        const body = this.#members(this.braceAfter(member.iter), member.body);
        return words(span, 'for ', patternText(member.pattern), ' in ', this.expr(member.iter, 'condition'), ' ', body);
      }
      case 'require':
        return this.require(member);
    }
  }

  /** `weight as "weight_l{i}"` */
  #named({ name, as }: Extract<Member, { as: unknown }>): string {
    return as ? `${name.name} as ${this.source.slice(as.span)}` : name.name;
  }

  #ifParts({ cond, then, else: otherwise }: IfMember): Part[] {
    return this.chain(
      cond,
      (open) => this.#members(open, then),
      (open) => this.#members(open, otherwise),
      () => otherwise.flatMap((member) => (member.kind === 'ifMember' ? this.#ifParts(member) : [])),
    );
  }

  /** In the order of the text: the tree sorts them by kind. */
  #train({ settings, overrides, freeze, checkpoint }: Train): Shape[] {
    const items = [
      ...settings.map((setting) => this.#setting(setting)),
      ...overrides.map(({ selector: target, settings: list, span }) => {
        const open = this.source.find(t.LCurly, target.span.end);
        const body = this.source.braces(
          open,
          list.map((setting) => this.#setting(setting)),
        );
        return words(span, `override ${selector(target)} `, body);
      }),
      ...freeze.map((target) => this.#selected('freeze', target)),
      ...checkpoint.map((target) => this.#selected('checkpoint', target)),
    ];
    return items.sort((a, b) => a.span.start - b.span.start);
  }

  #selected(word: string, target: Selector): Shape {
    const start = this.source.text.lastIndexOf(word, target.span.start);
    return words({ start, end: target.span.end }, `${word} ${selector(target)}`);
  }

  #setting({ name, value }: { readonly name: Ident; readonly value: Expr }): Binding {
    return this.#binding({ start: name.span.start, end: value.span.end }, [name.name], '=', this.expr(value));
  }

  #binding(span: Range, left: readonly Part[], sign: Binding['sign'], right: Shape): Binding {
    const end = left.reduce(
      (to, part) => (typeof part === 'string' ? to : Math.max(to, part.span.end)),
      span.start + 1,
    );
    return { kind: 'binding', left: words({ start: span.start, end }, ...left), sign, right, span };
  }

  // ---------------------------------------------------------------- types

  /** Parentheses stay around a function's type, `((int) -> block)?`, and go elsewhere. */
  #type(type: TypeExpr): Shape {
    const { span, parens } = this.source.withoutParens(type.span, type.kind === 'tupleType');
    const inner = this.#bareType(type, span);
    return parens && type.kind === 'fnType' ? { kind: 'parens', inner, span: type.span } : inner;
  }

  #bareType(type: TypeExpr, span: Range): Shape {
    switch (type.kind) {
      case 'namedType':
      case 'errorType':
        return words(span, this.source.slice(span));
      case 'tensorType':
        return words(
          span,
          type.elem.name,
          this.commasTo(
            span.end,
            type.dims.map((dim) => this.#dim(dim)),
          ),
        );
      case 'tupleType':
        return this.commasTo(
          span.end,
          type.items.map((item) => this.#type(item)),
          type.items.length === 1,
        );
      case 'listType':
        return words(span, '[', this.#type(type.item), ...(type.length ? ['; ', this.expr(type.length)] : []), ']');
      case 'recordType':
        return this.commasTo(
          span.end,
          type.fields.map(({ name, type: field }) =>
            words({ start: name.span.start, end: field.span.end }, `${name.name}: `, this.#type(field)),
          ),
        );
      case 'optionalType':
        return words(span, this.#type(type.item), '?');
      case 'fnType': {
        const close = this.source.partner(span.start) + 1;
        return words(
          span,
          this.commasTo(
            close,
            type.params.map((param) => this.#type(param)),
          ),
          ' -> ',
          this.#type(type.result),
        );
      }
      case 'unionType': {
        const texts = type.options.map((option) => words(option.span, this.source.slice(option.span)));
        const operands = type.item ? [this.#type(type.item), ...texts] : texts;
        return { kind: 'operation', operands, signs: operands.slice(1).map(() => '|'), span };
      }
    }
  }

  #dim(dim: DimExpr): Shape {
    return dim.kind === 'spread' ? words(dim.span, `...${dim.name.name}`) : this.expr(dim.value);
  }
}

function selector({ parts }: Selector): string {
  const text = parts.map((part) => {
    switch (part.kind) {
      case 'name':
        return part.name;
      case 'index':
        return String(part.index);
      case 'any':
        return '*';
      case 'deep':
        return '**';
    }
  });
  return text.join('.');
}
