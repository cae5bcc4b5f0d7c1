/**
 * Strict JSON (RFC 8259) for headers of files from strangers. Unlike `JSON.parse` it refuses keys that occur twice and
 * unpaired surrogates, bounds the nesting, and keeps objects as maps: no name means anything to the JavaScript engine.
 */

export type Json = null | boolean | number | string | readonly Json[] | ReadonlyMap<string, Json>;

/** `message` says what is wrong, `at` is the offset in UTF-16 units. */
export class JsonFault extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(`${message} at offset ${at}`);
    this.at = at;
  }
}

export function parseJson(text: string, maxDepth = 16): Json {
  const p = new Parser(text, maxDepth);
  const value = p.value(0);
  p.space();
  if (p.at < text.length) throw new JsonFault('text after the value', p.at);
  return value;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);
const WORDS: readonly (readonly [string, Json])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
];

class Parser {
  at = 0;
  private readonly text: string;
  private readonly maxDepth: number;

  constructor(text: string, maxDepth: number) {
    this.text = text;
    this.maxDepth = maxDepth;
  }

  space(): void {
    while (' \t\n\r'.includes(this.text[this.at] ?? '?')) this.at++;
  }

  value(depth: number): Json {
    if (depth > this.maxDepth) throw this.fault(`nesting deeper than ${this.maxDepth}`);
    this.space();
    const c = this.text[this.at];
    if (c === '{') return this.object(depth);
    if (c === '[') return this.list(depth);
    if (c === '"') return this.string();
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    const number = this.match(NUMBER);
    if (!number) throw this.fault(c === undefined ? 'the text ends where a value is expected' : 'no value');
    return Number(number);
  }

  private object(depth: number): Json {
    const out = new Map<string, Json>();
    this.items('}', () => {
      this.space();
      const key = this.string();
      if (out.has(key)) throw this.fault(`the key ${JSON.stringify(key)} occurs twice`);
      this.space();
      this.expect(':');
      out.set(key, this.value(depth + 1));
    });
    return out;
  }

  private list(depth: number): Json {
    const out: Json[] = [];
    this.items(']', () => out.push(this.value(depth + 1)));
    return out;
  }

  private items(close: string, item: () => void): void {
    this.at++;
    this.space();
    if (this.text[this.at] === close) {
      this.at++;
      return;
    }
    for (;;) {
      item();
      this.space();
      if (this.text[this.at] === close) {
        this.at++;
        return;
      }
      this.expect(',');
    }
  }

  private string(): string {
    this.expect('"');
    let out = '';
    for (;;) {
      out += this.match(PLAIN);
      const c = this.text[this.at];
      if (c === '"') break;
      if (c !== '\\') throw this.fault(c === undefined ? 'a string without end' : 'a control character in a string');
      out += this.escape();
    }
    this.at++;
    if (!out.isWellFormed()) throw this.fault('an unpaired surrogate in a string');
    return out;
  }

  private escape(): string {
    const kind = this.text[this.at + 1] ?? '';
    if (kind === 'u') {
      const hex = this.text.slice(this.at + 2, this.at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.fault('a bad \\u escape');
      this.at += 6;
      return String.fromCharCode(parseInt(hex, 16));
    }
    const plain = ESCAPES.get(kind);
    if (plain === undefined) throw this.fault('a bad escape');
    this.at += 2;
    return plain;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.at += found.length;
    return found;
  }

  private expect(c: string): void {
    if (this.text[this.at] !== c) throw this.fault(`no ${JSON.stringify(c)} where one is expected`);
    this.at++;
  }

  private fault(message: string): JsonFault {
    return new JsonFault(message, this.at);
  }
}
