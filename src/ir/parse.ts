/** Reads the text that `print.ts` writes, so that any pass can be tested from a file. Faults name their line. */
import { value } from './builder.ts';
import { add, dim, DIM_FNS, div, mod, mul, neg, sub, sym, type Dim } from './dim.ts';
import type { Attr, Attrs, DimCheck, ElemType, Func, Module, Op, Region, TensorType, Value } from './ir.ts';
import { NO_ORIGIN } from './ir.ts';

export class IrTextFault extends Error {
  override readonly name = 'IrTextFault';
  /** From 1. */
  readonly line: number;
  constructor(message: string, line: number) {
    super(`line ${line}: ${message}`);
    this.line = line;
  }
}

/** module: func* */
export function parseModule(text: string): Module {
  const p = new Parser(tokenize(text));
  const funcs = new Map<string, Func>();
  while (!p.at('end')) {
    const line = p.line;
    const f = p.func();
    if (funcs.has(f.name)) throw new IrTextFault(`function @${f.name} is defined twice`, line);
    funcs.set(f.name, f);
  }
  return { funcs };
}

type TokenKind = 'name' | 'value' | 'symbol' | 'number' | 'string' | 'mark' | 'end';
interface Token {
  readonly kind: TokenKind;
  /** Of values and symbols without the sigil, of strings decoded. */
  readonly text: string;
  readonly line: number;
}

const TOKEN =
  /(?<space>[ \t\r]+|\/\/[^\n]*)|(?<newline>\n)|%(?<value>[\w.]+)|@(?<symbol>[A-Za-z_][\w.$]*)|@(?<quoted>"(?:[^"\\\n]|\\.)*")|(?<string>"(?:[^"\\\n]|\\.)*")|(?<number>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)|(?<name>[A-Za-z_$][\w.$']*)|(?<mark>->|==|>=|[-+*\/%(){}[\]<>,:=])/y;

function tokenize(text: string): Token[] {
  const out: Token[] = [];
  let line = 1;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const g = TOKEN.exec(text)?.groups;
    if (!g) throw new IrTextFault(`unexpected ${JSON.stringify(text[at])}`, line);
    if (g['newline'] !== undefined) line++;
    else if (g['space'] === undefined) out.push({ ...tokenOf(g, line), line });
  }
  out.push({ kind: 'end', text: 'the end', line });
  return out;
}

function tokenOf(g: Readonly<Record<string, string | undefined>>, line: number): { kind: TokenKind; text: string } {
  if (g['quoted'] !== undefined) return { kind: 'symbol', text: unquote(g['quoted'], line) };
  if (g['string'] !== undefined) return { kind: 'string', text: unquote(g['string'], line) };
  for (const kind of ['value', 'symbol', 'number', 'name', 'mark'] as const) {
    const text = g[kind];
    if (text !== undefined) return { kind, text };
  }
  throw new IrTextFault('unexpected text', line);
}

function unquote(text: string, line: number): string {
  try {
    return String(JSON.parse(text));
  } catch {
    throw new IrTextFault(`${text} is not a string`, line);
  }
}

const ELEMS: Readonly<Record<string, ElemType>> = {
  f32: 'f32',
  f16: 'f16',
  bf16: 'bf16',
  i32: 'i32',
  u32: 'u32',
  bool: 'bool',
};

class Parser {
  private readonly tokens: readonly Token[];
  private pos = 0;
  /** Values in scope; regions put theirs on top and take them off again. */
  private scope: Map<string, Value> = new Map();
  private defined = new Set<string>();

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  get line(): number {
    return this.tokens[this.pos]!.line;
  }

  at(kind: TokenKind, text?: string): boolean {
    const t = this.tokens[this.pos]!;
    return t.kind === kind && (text === undefined || t.text === text);
  }

  private mark(text: string): boolean {
    if (!this.at('mark', text)) return false;
    this.pos++;
    return true;
  }

  private take(kind: TokenKind, what: string, text?: string): string {
    const t = this.tokens[this.pos]!;
    if (!this.at(kind, text))
      this.fail(`expected ${what}, found ${t.kind === 'end' ? t.text : JSON.stringify(t.text)}`);
    this.pos++;
    return t.text;
  }

  private need(text: string): void {
    this.take('mark', `"${text}"`, text);
  }

  private fail(message: string): never {
    throw new IrTextFault(message, this.line);
  }

  /** item (',' item)* up to the closing mark, which is consumed. */
  private listTo<T>(close: string, item: () => T): T[] {
    const out: T[] = [];
    if (this.mark(close)) return out;
    do out.push(item());
    while (this.mark(','));
    this.need(close);
    return out;
  }

  /** func: 'func' @name '(' params ')' '->' '(' types ')' '{' check* op* 'return' values '}' */
  func(): Func {
    this.take('name', '"func"', 'func');
    const name = this.take('symbol', 'the name of a function, as in @main');
    this.scope = new Map();
    this.defined = new Set();
    this.need('(');
    const params = this.listTo(')', () => this.param());
    this.need('->');
    this.need('(');
    const line = this.line;
    const types = this.listTo(')', () => this.type());
    this.need('{');
    const checks: DimCheck[] = [];
    while (this.at('name', 'check')) checks.push(this.check());
    const { ops, results } = this.body('return');
    this.need('}');
    const fits = types.length === results.length && types.every((t, i) => sameType(t, results[i]!.type));
    if (!fits) throw new IrTextFault(`the types of @${name}'s results are not those of what it returns`, line);
    return { name, body: { params, ops, results }, checks, origin: NO_ORIGIN };
  }

  /** check: 'check' dim ('==' | '>=') dim message */
  private check(): DimCheck {
    this.pos++;
    const left = this.dim();
    const kind = this.mark('==') ? 'equal' : 'atLeast';
    if (kind === 'atLeast') this.need('>=');
    const right = this.dim();
    return { kind, left, right, message: this.take('string', 'a message'), origin: NO_ORIGIN };
  }

  private param(): Value {
    const name = this.take('value', 'a value, as in %x');
    this.need(':');
    return this.define(name, this.type());
  }

  private define(name: string, type: TensorType): Value {
    if (this.defined.has(name)) this.fail(`%${name} is defined twice`);
    this.defined.add(name);
    const v = value(type, /^[0-9]/.test(name) ? null : name);
    this.scope.set(name, v);
    return v;
  }

  private body(last: 'return' | 'yield'): { ops: Op[]; results: Value[] } {
    const ops: Op[] = [];
    while (!this.at('name', last)) {
      if (this.at('end') || this.at('mark', '}')) this.fail(`expected an op or "${last}"`);
      ops.push(this.op());
    }
    this.pos++;
    return { ops, results: this.values() };
  }

  /** values: (%x (',' %x)*)? */
  private values(): Value[] {
    const out: Value[] = [];
    if (!this.at('value')) return out;
    do {
      const name = this.take('value', 'a value, as in %x');
      const v = this.scope.get(name);
      if (!v) throw new IrTextFault(`%${name} is not defined here`, this.tokens[this.pos - 1]!.line);
      out.push(v);
    } while (this.mark(','));
    return out;
  }

  /** op: (%r (',' %r)* '=')? kind @callee? values ('{' attrs '}')? (':' types)? (label params? '{' region)* */
  private op(): Op {
    const names: string[] = [];
    if (this.at('value')) {
      do names.push(this.take('value', 'a value, as in %x'));
      while (this.mark(','));
      this.need('=');
    }
    const kind = this.take('name', 'the name of an op');
    const attrs: Record<string, Attr> = {};
    if (kind === 'call' && this.at('symbol')) attrs['callee'] = this.take('symbol', 'a function');
    const operands = this.values();
    if (this.mark('{')) {
      this.listTo('}', () => {
        const name = this.take('name', 'the name of an attribute');
        this.need('=');
        attrs[name] = this.attr();
      });
    }
    const types: TensorType[] = [];
    if (this.mark(':')) {
      do types.push(this.type());
      while (this.mark(','));
    }
    if (types.length !== names.length) this.fail(`${names.length} results of ${kind}, but ${types.length} types`);
    // An op does not see its own results, nor do its regions.
    const regions = this.regions();
    const results = names.map((n, i) => this.define(n, types[i]!));
    return { kind, operands, attrs: attrs as Attrs, results, regions, origin: NO_ORIGIN };
  }

  private regions(): Region[] {
    const out: Region[] = [];
    while (this.at('name') && this.opensRegion()) {
      this.pos++;
      const outer = this.scope;
      this.scope = new Map(outer);
      const params = this.mark('(') ? this.listTo(')', () => this.param()) : [];
      this.need('{');
      const { ops, results } = this.body('yield');
      this.need('}');
      out.push({ params, ops, results });
      this.scope = outer;
    }
    return out;
  }

  /** A label is followed by `{` or by `(`; the next op without results never has `(` there, and has attrs only by `: `. */
  private opensRegion(): boolean {
    const next = this.tokens[this.pos + 1]!;
    return LABEL.has(this.tokens[this.pos]!.text) && next.kind === 'mark' && (next.text === '{' || next.text === '(');
  }

  type(): TensorType {
    const name = this.take('name', 'a type, as in f32[B, 4]');
    const elem = ELEMS[name];
    if (!elem) this.fail(`there is no element type ${name}`);
    this.need('[');
    return { elem, shape: this.listTo(']', () => this.dim()) };
  }

  private attr(): Attr {
    if (this.at('string')) return this.take('string', 'a string');
    for (const [word, meaning] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (!this.at('name', word)) continue;
      this.pos++;
      return meaning;
    }
    if (this.mark('<')) {
      const d = this.dim();
      this.need('>');
      return d;
    }
    if (this.mark('(')) return this.listTo(')', () => this.number());
    if (this.mark('[')) {
      return this.at('string')
        ? this.listTo(']', () => this.take('string', 'a string'))
        : this.listTo(']', () => this.dim());
    }
    return this.number();
  }

  private number(): number {
    const minus = this.mark('-');
    const word = this.at('name', 'inf') || this.at('name', 'nan');
    const text = this.take(word ? 'name' : 'number', 'a number');
    const x = text === 'inf' ? Infinity : text === 'nan' ? NaN : Number(text);
    return minus ? -x : x;
  }

  /** dim: term (('+' | '-') term)* */
  private dim(): Dim {
    let d = this.term();
    for (;;) {
      if (this.mark('+')) d = add(d, this.term());
      else if (this.mark('-')) d = sub(d, this.term());
      else return d;
    }
  }

  /** term: factor (('*' | '/' | '%') factor)* */
  private term(): Dim {
    let d = this.factor();
    for (;;) {
      if (this.mark('*')) d = mul(d, this.factor());
      else if (this.mark('/')) d = this.guard(div, d, this.factor());
      else if (this.mark('%')) d = this.guard(mod, d, this.factor());
      // The tokens cannot tell `H%2` from a value %2, but no value can follow a size.
      else if (this.at('value')) d = this.guard(mod, d, this.atom(this.take('value', 'a size')));
      else return d;
    }
  }

  private guard(fn: (a: Dim, b: Dim) => Dim, a: Dim, b: Dim): Dim {
    if (b.value === 0) this.fail('a size is divided by zero');
    return fn(a, b);
  }

  /** factor: '-' factor | integer | symbol | ('min' | 'max') '(' dim ',' dim ')' | '(' dim ')' */
  private factor(): Dim {
    if (this.mark('-')) return neg(this.factor());
    if (this.mark('(')) {
      const d = this.dim();
      this.need(')');
      return d;
    }
    return this.atom(this.take(this.at('number') ? 'number' : 'name', 'a size'));
  }

  private atom(name: string): Dim {
    if (/^[0-9.]/.test(name)) {
      const n = Number(name);
      if (!Number.isSafeInteger(n)) this.fail('a size must be an integer');
      return dim(n);
    }
    if ((name !== 'min' && name !== 'max') || !this.mark('(')) return sym(name);
    const a = this.dim();
    this.need(',');
    const b = this.dim();
    this.need(')');
    return DIM_FNS[name](a, b);
  }
}

const LABEL: ReadonlySet<string> = new Set(['then', 'else', 'while', 'do', 'of', 'region']);

const sameType = (a: TensorType, b: TensorType): boolean =>
  a.elem === b.elem && a.shape.length === b.shape.length && a.shape.every((d, i) => d.key === b.shape[i]!.key);
