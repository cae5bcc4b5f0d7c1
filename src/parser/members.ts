/** The grammar of what stands in the braces of a block or an optimizer. */
import type { Init, Member, Selector, SelectorPart, Template, TensorMember, Train } from './ast.ts';
import type { Rule } from './base.ts';
import { template } from './convert.ts';
import { BEFORE_MEMBERS } from './habits.ts';
import { TypeParser } from './types.ts';
import * as t from './tokens.ts';

type Setting = Train['settings'][number];
type TrainItem =
  | { readonly kind: 'setting'; readonly value: Setting }
  | { readonly kind: 'override'; readonly value: Train['overrides'][number] }
  | { readonly kind: 'freeze' | 'checkpoint'; readonly value: Selector };

export abstract class MemberParser extends TypeParser {
  // members = "{" { member End } "}"
  protected readonly members: Rule<Member[]> = this.rule('members', () => {
    this.CONSUME(t.LCurly);
    const members = this.lines(() => this.SUBRULE(this.blockMember), {
      foreign: BEFORE_MEMBERS,
      unread: (tokens): Member | null => {
        const name = this.declaredName(tokens);
        return name && { kind: 'sub', name, as: null, doc: '', value: this.missing(), span: name.span };
      },
    });
    this.CONSUME(t.RCurly);
    return members;
  });

  // blockMember = tensorMember | constMember | letMember | tie | init | train | freeze | ifMember | forMember | require | namedMember
  protected readonly blockMember: Rule<Member> = this.rule('blockMember', () =>
    this.OR({
      DEF: [
        { ALT: (): Member => this.SUBRULE(this.tensorMember) },
        { ALT: () => this.SUBRULE(this.constMember) },
        { ALT: () => this.SUBRULE(this.letMember) },
        { ALT: () => this.SUBRULE(this.tie) },
        { ALT: () => this.SUBRULE(this.init) },
        { ALT: () => this.SUBRULE(this.train) },
        { ALT: () => this.SUBRULE(this.freeze) },
        { ALT: () => this.SUBRULE(this.ifMember) },
        { ALT: () => this.SUBRULE(this.forMember) },
        { ALT: () => this.SUBRULE(this.require) },
        { ALT: () => this.SUBRULE(this.namedMember) },
      ],
      ERR_MSG: 'a member of the block, such as `param`, a layer or a method',
    }),
  );

  // tensorMember = ( "param" | "buffer" ) Name [ fileName ] ":" type [ "stored" Name ] [ "~" expr ]
  protected readonly tensorMember: Rule<TensorMember> = this.rule('tensorMember', (): TensorMember => {
    const start = this.start();
    const doc = this.doc(start);
    const kind = this.OR([
      {
        ALT: () => {
          this.CONSUME(t.Param);
          return 'param' as const;
        },
      },
      {
        ALT: () => {
          this.CONSUME(t.Buffer);
          return 'buffer' as const;
        },
      },
    ]);
    const name = this.ident(this.CONSUME(t.Name));
    const as = this.OPTION3(() => this.SUBRULE(this.fileName)) ?? null;
    this.CONSUME(t.Colon);
    const type = this.SUBRULE(this.type);
    const stored = this.OPTION(() => {
      this.CONSUME(t.Stored);
      return this.ident(this.CONSUME2(t.Name));
    });
    const init = this.OPTION2(() => this.SUBRULE(this.initialiser));
    return { kind, name, as, doc, type, stored: stored ?? null, init: init ?? null, span: this.span(start) };
  });

  // fileName = "as" Text
  protected readonly fileName: Rule<Template> = this.rule('fileName', () => {
    this.CONSUME(t.As);
    const text = this.CONSUME(t.Text);
    return this.ACTION(() => template(text, this.spanOf(text), this.bag));
  });

  // initialiser = "~" expr
  protected readonly initialiser = this.rule('initialiser', () => {
    this.OR({
      DEF: [
        { ALT: () => this.CONSUME(t.Tilde) },
        {
          ALT: () => {
            const sign = this.CONSUME(t.Equals);
            this.ACTION(() => this.bag.report('init_equals', {}, this.spanOf(sign)));
          },
        },
      ],
      ERR_MSG: '`~` and a rule',
    });
    return this.SUBRULE(this.expr);
  });

  // constMember = "const" Name ( "=" expr | ":" type "~" expr )
  protected readonly constMember: Rule<Member> = this.rule('constMember', () => {
    const start = this.start();
    const doc = this.doc(start);
    this.CONSUME(t.Const);
    const name = this.ident(this.CONSUME(t.Name));
    return this.OR({
      DEF: [
        {
          ALT: (): Member => {
            this.CONSUME(t.Equals);
            const value = this.SUBRULE(this.expr);
            return { kind: 'const', name, doc, value, span: this.span(start) };
          },
        },
        {
          ALT: (): Member => {
            this.CONSUME(t.Colon);
            const type = this.SUBRULE(this.type);
            const init = this.OPTION(() => this.SUBRULE(this.initialiser));
            const span = this.span(start);
            return { kind: 'constTensor', name, as: null, doc, type, stored: null, init: init ?? null, span };
          },
        },
      ],
      ERR_MSG: '`=` and a value, or `:` and a type',
    });
  });

  // letMember = "let" Name "=" expr
  protected readonly letMember: Rule<Member> = this.rule('letMember', (): Member => {
    const start = this.start();
    this.CONSUME(t.Let);
    const name = this.ident(this.CONSUME(t.Name));
    this.CONSUME(t.Equals);
    const value = this.SUBRULE(this.expr);
    return { kind: 'let', name, doc: this.doc(start), value, span: this.span(start) };
  });

  // tie = "tie" selector "=" selector [ "(" selector ")" ]
  protected readonly tie: Rule<Member> = this.rule('tie', (): Member => {
    const start = this.start();
    this.CONSUME(t.Tie);
    const target = this.SUBRULE(this.selector);
    this.CONSUME(t.Equals);
    const owner = this.SUBRULE2(this.selector);
    const transposed = this.OPTION(() => {
      this.CONSUME(t.LParen);
      const inner = this.SUBRULE3(this.selector);
      this.CONSUME(t.RParen);
      return inner;
    });
    this.ACTION(() => {
      const [fn] = owner.parts;
      const isTranspose = owner.parts.length === 1 && fn?.kind === 'name' && fn.name === 'transpose';
      if (transposed && !isTranspose) this.bag.report('tie_function', {}, owner.span);
    });
    return {
      kind: 'tie',
      target,
      source: transposed ?? owner,
      transposed: transposed !== undefined,
      span: this.span(start),
    };
  });

  // init = "init" "{" { initRule End } "}"
  protected readonly init: Rule<Init> = this.rule('init', (): Init => {
    const start = this.start();
    this.CONSUME(t.Init);
    this.CONSUME(t.LCurly);
    const rules = this.lines(() => this.SUBRULE(this.initRule));
    this.CONSUME(t.RCurly);
    return { kind: 'init', rules, span: this.span(start) };
  });

  // initRule = selector initialiser
  protected readonly initRule: Rule<Init['rules'][number]> = this.rule('initRule', () => {
    const start = this.start();
    const selector = this.SUBRULE(this.selector);
    const rule = this.SUBRULE(this.initialiser);
    return { selector, rule, span: this.span(start) };
  });

  // train = "train" "{" { trainItem End } "}"
  protected readonly train: Rule<Train> = this.rule('train', (): Train => {
    const start = this.start();
    this.CONSUME(t.Train);
    this.CONSUME(t.LCurly);
    const items = this.lines(() => this.SUBRULE(this.trainItem));
    this.CONSUME(t.RCurly);
    return {
      kind: 'train',
      settings: items.flatMap((item) => (item.kind === 'setting' ? [item.value] : [])),
      overrides: items.flatMap((item) => (item.kind === 'override' ? [item.value] : [])),
      freeze: items.flatMap((item) => (item.kind === 'freeze' ? [item.value] : [])),
      checkpoint: items.flatMap((item) => (item.kind === 'checkpoint' ? [item.value] : [])),
      span: this.span(start),
    };
  });

  // trainItem = override | ( "freeze" | "checkpoint" ) selector | setting
  protected readonly trainItem: Rule<TrainItem> = this.rule('trainItem', () =>
    this.OR({
      DEF: [
        { ALT: (): TrainItem => ({ kind: 'override', value: this.SUBRULE(this.override) }) },
        {
          ALT: (): TrainItem => {
            this.CONSUME(t.Freeze);
            return { kind: 'freeze', value: this.SUBRULE(this.selector) };
          },
        },
        {
          ALT: (): TrainItem => {
            this.CONSUME(t.Checkpoint);
            return { kind: 'checkpoint', value: this.SUBRULE2(this.selector) };
          },
        },
        { ALT: (): TrainItem => ({ kind: 'setting', value: this.SUBRULE(this.setting) }) },
      ],
      ERR_MSG: 'a setting such as `epochs = 10`, `override`, `freeze` or `checkpoint`',
    }),
  );

  // override = "override" selector "{" { setting End } "}"
  protected readonly override: Rule<Train['overrides'][number]> = this.rule('override', () => {
    const start = this.start();
    this.CONSUME(t.Override);
    const selector = this.SUBRULE(this.selector);
    this.CONSUME(t.LCurly);
    const settings = this.lines(() => this.SUBRULE(this.setting));
    this.CONSUME(t.RCurly);
    return { selector, settings, span: this.span(start) };
  });

  // setting = Name "=" expr
  protected readonly setting: Rule<Setting> = this.rule('setting', () => {
    const name = this.ident(this.CONSUME(t.Name));
    this.CONSUME(t.Equals);
    return { name, value: this.SUBRULE(this.expr) };
  });

  // freeze = "freeze" selector
  protected readonly freeze: Rule<Member> = this.rule('freeze', (): Member => {
    const start = this.start();
    this.CONSUME(t.Freeze);
    const selector = this.SUBRULE(this.selector);
    return { kind: 'freeze', selector, span: this.span(start) };
  });

  // ifMember = "if" expr members [ "else" ( ifMember | members ) ]
  protected readonly ifMember: Rule<Member> = this.rule('ifMember', () =>
    this.nested((): Member => {
      const start = this.start();
      this.CONSUME(t.If);
      const cond = this.SUBRULE(this.expr);
      const then = this.SUBRULE(this.members);
      const otherwise = this.OPTION(() => {
        this.CONSUME(t.Else);
        return this.OR([{ ALT: () => [this.SUBRULE(this.ifMember)] }, { ALT: () => this.SUBRULE2(this.members) }]);
      });
      return { kind: 'ifMember', cond, then, else: otherwise ?? [], span: this.span(start) };
    }),
  );

  // forMember = "for" forHead members
  protected readonly forMember: Rule<Member> = this.rule('forMember', () =>
    this.nested((): Member => {
      const start = this.start();
      this.CONSUME(t.For);
      const head = this.SUBRULE(this.forHead);
      const body = this.SUBRULE(this.members);
      return { kind: 'forMember', ...head, body, span: this.span(start) };
    }),
  );

  // namedMember = Name ( [ fileName ] "=" expr | params [ "->" type ] body )
  protected readonly namedMember: Rule<Member> = this.rule('namedMember', () => {
    const start = this.start();
    const doc = this.doc(start);
    const name = this.ident(this.CONSUME(t.Name));
    return this.OR({
      DEF: [
        {
          ALT: (): Member => {
            const as = this.OPTION2(() => this.SUBRULE(this.fileName)) ?? null;
            this.CONSUME(t.Equals);
            const value = this.SUBRULE(this.expr);
            return { kind: 'sub', name, as, doc, value, span: this.span(start) };
          },
        },
        {
          ALT: (): Member => {
            const params = this.SUBRULE(this.params);
            const result = this.OPTION(() => {
              this.CONSUME(t.Arrow);
              return this.SUBRULE(this.type);
            });
            const body = this.SUBRULE(this.body);
            const span = this.span(start);
            const typed = this.ACTION(() => this.typed(params));
            const shared = { kind: 'fn', name, doc, exported: false, grad: null } as const;
            return { kind: 'method', fn: { ...shared, params: typed, result: result ?? null, body, span }, span };
          },
        },
      ],
      ERR_MSG: '`=` and a layer, or the arguments of a method',
    });
  });

  // selector = selectorPart { "." selectorPart }
  protected readonly selector: Rule<Selector> = this.rule('selector', (): Selector => {
    const start = this.start();
    const parts = [this.SUBRULE(this.selectorPart)];
    this.MANY(() => {
      this.CONSUME(t.Dot);
      parts.push(this.SUBRULE2(this.selectorPart));
    });
    return { kind: 'selector', parts, span: this.span(start) };
  });

  // selectorPart = Name | Int | "*" | "**"
  protected readonly selectorPart: Rule<SelectorPart> = this.rule('selectorPart', () =>
    this.OR({
      DEF: [
        {
          ALT: (): SelectorPart => {
            const token = this.CONSUME(t.Name);
            return { kind: 'name', name: token.image, span: this.spanOf(token) };
          },
        },
        {
          ALT: (): SelectorPart => {
            const token = this.CONSUME(t.Int);
            return { kind: 'index', index: Number(token.image), span: this.spanOf(token) };
          },
        },
        { ALT: (): SelectorPart => ({ kind: 'any', span: this.spanOf(this.CONSUME(t.Star)) }) },
        { ALT: (): SelectorPart => ({ kind: 'deep', span: this.spanOf(this.CONSUME(t.StarStar)) }) },
      ],
      ERR_MSG: 'a name, a number, `*` or `**`',
    }),
  );
}
