/**
 * What the grammar's files share: spans, and recovery that respects brackets. Chevrotain repairs single tokens; when that
 * fails, a line of braces or an element of a comma list is given up as a whole, up to its end at the same level of
 * brackets. (Chevrotain's own resynchronisation walks into braces.) brackets.ts and layout.ts guarantee that this end exists.
 */
import { EOF, EmbeddedActionsParser, isRecognitionException, tokenLabel } from 'chevrotain';
import type { IToken, ParserMethod, TokenType } from 'chevrotain';
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import { NO_SPAN } from '../diagnostics/span.ts';
import type { Span } from '../diagnostics/span.ts';
import type { Expr, Ident } from './ast.ts';
import { PROVIDER } from './expected.ts';
import { KEYWORDS } from './keywords.ts';
import { LazyLookahead } from './lookahead.ts';
import * as t from './tokens.ts';

export type Rule<T> = ParserMethod<[], T>;

/** What one parse works on. */
export interface Job {
  readonly file: string;
  readonly bag: DiagnosticBag;
  /** Doc comments by the offset of the token below them. */
  readonly docs: ReadonlyMap<number, string>;
  /** Reports what no rule could read; `expected` is in the language's terms. */
  readonly fault: (token: IToken, expected: string) => void;
}

interface ListOptions<T> {
  /** What stands for an item that cannot be read, from its first tokens, so that its name is not missed elsewhere. */
  readonly unread?: (tokens: readonly IToken[]) => T | null;
}

interface CommaOptions<T> extends ListOptions<T> {
  /** The items are values: where another value follows without a comma, the comma is supplied. */
  readonly values?: boolean;
}

interface LineOptions<T> extends ListOptions<T> {
  /** Words that other languages write first, with what to do instead. */
  readonly foreign?: Readonly<Record<string, string>>;
}

/**
 * Nesting of expressions, types and bodies. Each level costs some twenty stack frames here, and recovery at the bottom
 * walks the grammar on top of them: at 100 levels the default stack was once not enough, with frames not yet optimised.
 */
const MAX_DEPTH = 60;
const MAX_LOOKAHEAD = 2;
/** Operators or calls in one chain: each makes the tree one deeper. */
export const MAX_CHAIN = 500;

export abstract class BaseParser extends EmbeddedActionsParser {
  protected job: Job | null = null;
  /** True while Chevrotain runs each rule once to learn the grammar; tokens and results are stand-ins then. */
  protected learning = true;
  #depth = 0;
  #gaveUp = false;

  constructor(validate: boolean) {
    super([...t.GRAMMAR_TOKENS], {
      recoveryEnabled: true,
      lookaheadStrategy: new LazyLookahead({ maxLookahead: MAX_LOOKAHEAD }),
      maxLookahead: MAX_LOOKAHEAD,
      skipValidations: !validate,
      errorMessageProvider: PROVIDER,
    });
  }

  /** A rule without Chevrotain's own resynchronisation: see above. */
  protected rule<T>(name: string, body: () => T): Rule<T> {
    return this.RULE(name, body, { resyncEnabled: false });
  }

  /** Points the parser at new input. */
  protected begin(tokens: IToken[], job: Job | null): void {
    this.input = tokens;
    this.job = job;
    this.#depth = 0;
    this.#gaveUp = false;
  }

  // ---------------------------------------------------------------- repairs of single tokens

  /** Brackets balance already, and names and values cannot be invented. */
  protected override canTokenTypeBeInsertedInRecovery(type: TokenType): boolean {
    return !t.OPENERS.has(type) && !t.CLOSERS.has(type) && !NOT_INVENTED.has(type);
  }

  protected override canTokenTypeBeDeletedInRecovery(): boolean {
    const type = this.LA(1).tokenType;
    return !t.OPENERS.has(type) && !t.CLOSERS.has(type) && type !== t.End;
  }

  // ---------------------------------------------------------------- lists, and recovery in them

  /** `{ item End }` up to the closing brace or the end of the file. */
  protected lines<T>(item: () => T, options: LineOptions<T> = {}): T[] {
    const items: T[] = [];
    if (this.learning) {
      this.MANY8(() => {
        item();
        this.CONSUME8(t.End);
      });
      return items;
    }
    while (!this.#atListEnd()) {
      this.#dropForeignWord(options.foreign ?? {});
      const tokens = [this.LA(1), this.LA(2), this.LA(3)];
      if (tokens[0]?.tokenType !== t.End) {
        const value = this.#attempt(item, [t.End]) ?? options.unread?.(tokens) ?? null;
        if (value !== null) items.push(value);
      }
      if (this.LA(1).tokenType !== t.End && !this.#atListEnd()) {
        this.fault(this.LA(1), 'a new line or `;`');
        this.#skipTo([t.End]);
      }
      if (this.LA(1).tokenType === t.End) this.SKIP_TOKEN();
    }
    return items;
  }

  /** `def forward(...)`, `let y = x`, `return y`: says so, and goes on behind the word. */
  #dropForeignWord(words: Readonly<Record<string, string>>): void {
    const token = this.LA(1);
    const next = this.LA(2).tokenType;
    const help = Object.hasOwn(words, token.image) ? words[token.image] : undefined;
    const value = token.image === 'return' && ![t.Equals, t.Augmented, t.Dot].includes(next);
    if (help === undefined || !(value || VALUE_STARTS.has(next))) return;
    this.bag.report('foreign_word', { word: token.image, help }, this.spanOf(token));
    if (token.image === 'elif') t.retag(token, t.If);
    else this.SKIP_TOKEN();
  }

  /** `[ item { "," item } [ "," ] ]` up to the closing bracket. In braces a newline separates as well. */
  protected commaList<T>(close: TokenType, item: () => T, options: CommaOptions<T> = {}): T[] {
    const items: T[] = [];
    if (this.learning) {
      this.MANY_SEP({ SEP: t.Comma, DEF: item });
      this.OPTION8(() => this.CONSUME8(t.Comma));
      return items;
    }
    while (!this.#atListEnd()) {
      const first = this.LA(1);
      const value = this.#attempt(item, [t.Comma, t.End]) ?? options.unread?.([first]) ?? null;
      if (value !== null) items.push(value);
      if (!this.#atSeparator() && !this.#atListEnd()) {
        this.fault(this.LA(1), `\`,\` or ${tokenLabel(close)}`);
        if (options.values && VALUE_STARTS.has(this.LA(1).tokenType)) continue;
        this.#skipTo([t.Comma, t.End]);
      }
      if (this.#atSeparator()) this.SKIP_TOKEN();
    }
    return items;
  }

  /** Null where the item cannot be read; the rest of it is skipped. Chevrotain has recorded the fault. */
  #attempt<T>(item: () => T, ends: readonly TokenType[]): T | null {
    const depth = this.#depth;
    try {
      return item();
    } catch (error) {
      if (!(error instanceof Error && isRecognitionException(error))) throw error;
      this.#depth = depth;
      this.#skipTo(ends);
      return null;
    }
  }

  #atListEnd(): boolean {
    const type = this.LA(1).tokenType;
    return type === EOF || t.CLOSERS.has(type);
  }

  #atSeparator(): boolean {
    const type = this.LA(1).tokenType;
    return type === t.Comma || type === t.End;
  }

  #skipTo(types: readonly TokenType[]): void {
    while (!this.#atListEnd() && !types.includes(this.LA(1).tokenType)) this.#skipOne();
  }

  /** One token, or a bracket with all that is in it. */
  #skipOne(): void {
    let depth = 0;
    do {
      const type = this.LA(1).tokenType;
      if (t.OPENERS.has(type)) depth++;
      if (t.CLOSERS.has(type)) depth--;
      this.SKIP_TOKEN();
    } while (depth > 0 && this.LA(1).tokenType !== EOF);
  }

  protected fault(token: IToken, expected: string): void {
    if (!this.#gaveUp) this.job?.fault(token, expected);
  }

  // ---------------------------------------------------------------- depth

  /** Runs `inner` one level deeper; too deep, the rest of the file is given up with one message. */
  protected nested<T>(inner: () => T): T {
    this.#depth++;
    if (this.#depth > MAX_DEPTH && !this.learning) this.giveUp();
    const result = inner();
    this.#depth--;
    return result;
  }

  protected giveUp(): void {
    if (!this.#gaveUp) this.job?.bag.report('too_deep', {}, this.spanOf(this.LA(1)));
    this.#gaveUp = true;
    while (this.LA(1).tokenType !== EOF) this.SKIP_TOKEN();
  }

  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  // ---------------------------------------------------------------- spans and small nodes

  protected get bag(): DiagnosticBag {
    if (!this.job) throw new Error('the parser has no input');
    return this.job.bag;
  }

  /** Where the node that begins with the next token starts. */
  protected start(): number {
    return this.LA(1).startOffset;
  }

  /** From `start` to the end of the last token read. */
  protected span(start: number): Span {
    if (this.learning) return NO_SPAN;
    const end = Math.max(0, t.endOf(this.LA(0)));
    return { file: this.job?.file ?? '', start: Math.min(start < 0 ? end : start, end), end };
  }

  protected spanOf(token: IToken): Span {
    if (this.learning) return NO_SPAN;
    if (token.tokenType === EOF || token.isInsertedInRecovery) return this.span(-1);
    return { file: this.job?.file ?? '', start: token.startOffset, end: t.endOf(token) };
  }

  protected ident(token: IToken): Ident {
    return { name: token.image, span: this.spanOf(token) };
  }

  /** The name that an item beginning with `tokens` declares: its first word, or the one after its keyword. */
  protected declaredName(tokens: readonly IToken[]): Ident | null {
    const [first, second] = tokens[0]?.tokenType === t.Export ? tokens.slice(1) : tokens;
    const token = first && KEYWORDS.includes(first.image) && second?.tokenType === t.Name ? second : first;
    return token?.tokenType === t.Name ? this.ident(token) : null;
  }

  protected missing(): Expr {
    return { kind: 'error', span: this.span(-1) };
  }

  protected doc(start: number): string {
    return this.job?.docs.get(start) ?? '';
  }
}

const NOT_INVENTED: ReadonlySet<TokenType> = new Set([t.Name, t.Int, t.Float, t.Text, t.Operator, t.End]);
const VALUE_STARTS: ReadonlySet<TokenType> = new Set([t.Name, t.Int, t.Float, t.Text, t.True, t.False, t.None]);
