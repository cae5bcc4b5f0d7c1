/** Net IR as text that people read and `parse.ts` reads back: what `--dump` shows and tests are written in. */
import type { Attr, Attrs, DimCheck, Func, Module, Op, Origin, Region, Value } from './ir.ts';
import { typeText } from './builder.ts';
import { isDim, isDims } from './symbols.ts';

export interface PrintOptions {
  /** Text of the comment after each op, '' for none: `(o) => "lenet.net:12 net.0"`. Comments are not parsed back. */
  readonly origin?: (o: Origin) => string;
}

export function printModule(module: Module, options: PrintOptions = {}): string {
  return [...module.funcs.values()].map((f) => printFunc(f, options)).join('\n');
}

export function printFunc(f: Func, options: PrintOptions = {}): string {
  const p = new Printer(options);
  p.func(f);
  return p.text;
}

/** What a region is for, by kind of op. The parser takes any word. */
const LABELS: Readonly<Record<string, readonly string[]>> = {
  if: ['then', 'else'],
  while: ['while', 'do'],
  for: ['do'],
  fusion: ['of'],
};

class Printer {
  text = '';
  private readonly options: PrintOptions;
  private readonly names = new Map<Value, string>();
  private readonly taken = new Set<string>();
  private readonly suffixes = new Map<string, number>();
  private counter = 0;

  constructor(options: PrintOptions) {
    this.options = options;
  }

  func(f: Func): void {
    const params = f.body.params.map((v) => this.define(v)).join(', ');
    const results = f.body.results.map((v) => typeText(v.type)).join(', ');
    this.line(0, `func ${symbolName(f.name)}(${params}) -> (${results}) {`, f.origin);
    for (const c of f.checks) this.line(1, checkText(c), c.origin);
    for (const op of f.body.ops) this.op(op, 1);
    this.line(1, `return${this.list(f.body.results)}`);
    this.line(0, '}');
  }

  private op(op: Op, depth: number): void {
    // Regions are printed before the results get names, but the results stand first in the text: name them first.
    const results = op.results.map((v) => this.name(v)).join(', ');
    const { callee, ...rest } = op.attrs;
    const called = op.kind === 'call' && typeof callee === 'string';
    const attrs = attrsText(called ? rest : op.attrs);
    const types = op.results.map((v) => typeText(v.type)).join(', ');
    const head =
      (results === '' ? '' : `${results} = `) +
      op.kind +
      (called ? ` ${symbolName(callee)}` : '') +
      this.list(op.operands) +
      attrs +
      (types === '' ? '' : ` : ${types}`);
    if (op.regions.length === 0) {
      this.line(depth, head, op.origin);
      return;
    }
    op.regions.forEach((r, i) => {
      const label = LABELS[op.kind]?.[i] ?? 'region';
      const params = r.params.length === 0 ? '' : ` (${r.params.map((v) => this.define(v)).join(', ')})`;
      this.line(depth, `${i === 0 ? head : '}'} ${label}${params} {`, i === 0 ? op.origin : undefined);
      this.region(r, depth + 1);
    });
    this.line(depth, '}');
  }

  private region(r: Region, depth: number): void {
    for (const op of r.ops) this.op(op, depth);
    this.line(depth, `yield${this.list(r.results)}`);
  }

  private list(values: readonly Value[]): string {
    return values.length === 0 ? '' : ` ${values.map((v) => this.names.get(v) ?? '%undefined').join(', ')}`;
  }

  private define(v: Value): string {
    return `${this.name(v)}: ${typeText(v.type)}`;
  }

  /** From the hint, made unique by a number; values without a hint are counted. */
  private name(v: Value): string {
    const hint = v.hint === null ? '' : v.hint.replace(/[^A-Za-z0-9_.]/g, '_');
    let name: string;
    if (hint === '') name = String(this.counter++);
    else {
      const base = /^[0-9]/.test(hint) ? `_${hint}` : hint;
      name = base;
      while (this.taken.has(name)) {
        const n = (this.suffixes.get(base) ?? 0) + 1;
        this.suffixes.set(base, n);
        name = `${base}_${n}`;
      }
    }
    this.taken.add(name);
    this.names.set(v, `%${name}`);
    return `%${name}`;
  }

  private line(depth: number, text: string, origin?: Origin): void {
    const note = origin && this.options.origin ? this.options.origin(origin) : '';
    this.text += `${'  '.repeat(depth)}${text}${note === '' ? '' : `   // ${note.replace(/\s+/g, ' ')}`}\n`;
  }
}

const symbolName = (name: string): string =>
  /^[A-Za-z_][\w.$]*$/.test(name) ? `@${name}` : `@${JSON.stringify(name)}`;

const checkText = (c: DimCheck): string =>
  `check ${c.left} ${c.kind === 'equal' ? '==' : '>='} ${c.right} ${JSON.stringify(c.message)}`;

export function attrsText(attrs: Attrs): string {
  const parts = Object.entries(attrs).map(([k, a]) => `${k} = ${attrText(a)}`);
  return parts.length === 0 ? '' : ` {${parts.join(', ')}}`;
}

/** The kinds stay apart in text: `3` a number, `<B>` a size, `(1, 2)` numbers, `[B, 2]` sizes, `["a"]` strings. */
export function attrText(a: Attr): string {
  if (typeof a === 'number') return numberText(a);
  if (typeof a === 'string') return JSON.stringify(a);
  if (a === null || typeof a === 'boolean') return String(a);
  if (isDim(a)) return `<${a}>`;
  if (isDims(a)) return `[${a.join(', ')}]`;
  const items: readonly unknown[] = a;
  return items.every((x) => typeof x === 'number')
    ? `(${items.map(numberText).join(', ')})`
    : `[${items.map((x) => JSON.stringify(x)).join(', ')}]`;
}

const numberText = (x: number): string =>
  Number.isNaN(x) ? 'nan' : x === Infinity ? 'inf' : x === -Infinity ? '-inf' : Object.is(x, -0) ? '-0' : String(x);
