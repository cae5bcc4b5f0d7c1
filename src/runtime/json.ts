/**
 * A strict JSON reader for headers from untrusted files: RFC 8259 to the letter, bounded depth, duplicate keys refused,
 * objects as Maps (so that no key can touch a prototype). Numbers must be non-negative integers: headers hold no others.
 */
export type Json = string | number | boolean | null | readonly Json[] | ReadonlyMap<string, Json>;

/** What is wrong, with its position in the text. */
export class JsonFault extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const MAX_DEPTH = 16;

export function parseJson(text: string): Json {
  const r = new Reader(text);
  const value = r.value(0);
  r.space();
  if (r.at < text.length) r.fail('something follows the value');
  return value;
}

class Reader {
  at = 0;
  private readonly text: string;
  constructor(text: string) {
    this.text = text;
  }

  fail(what: string): never {
    throw new JsonFault(what, this.at);
  }

  space(): void {
    while (this.at < this.text.length && ' \t\n\r'.includes(this.text[this.at]!)) this.at++;
  }

  private take(c: string): boolean {
    this.space();
    if (this.text[this.at] !== c) return false;
    this.at++;
    return true;
  }

  private expect(c: string): void {
    if (!this.take(c)) this.fail(`"${c}" is missing`);
  }

  value(depth: number): Json {
    if (depth > MAX_DEPTH) this.fail(`nested more than ${MAX_DEPTH} deep`);
    this.space();
    const c = this.text[this.at];
    if (c === '{') return this.object(depth);
    if (c === '[') return this.array(depth);
    if (c === '"') return this.string();
    for (const [word, v] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return v;
      }
    }
    return this.number();
  }

  private object(depth: number): ReadonlyMap<string, Json> {
    const out = new Map<string, Json>();
    this.expect('{');
    if (this.take('}')) return out;
    do {
      this.space();
      const key = this.string();
      if (out.has(key)) this.fail(`the key ${JSON.stringify(key)} stands twice`);
      this.expect(':');
      out.set(key, this.value(depth + 1));
    } while (this.take(','));
    this.expect('}');
    return out;
  }

  private array(depth: number): readonly Json[] {
    const out: Json[] = [];
    this.expect('[');
    if (this.take(']')) return out;
    do out.push(this.value(depth + 1));
    while (this.take(','));
    this.expect(']');
    return out;
  }

  private number(): number {
    const digits = /^(0|[1-9]\d*)(?![\d.eE])/.exec(this.text.slice(this.at, this.at + 24))?.[0];
    if (digits === undefined) this.fail('a whole number from 0 is expected');
    const n = Number(digits);
    if (!Number.isSafeInteger(n)) this.fail(`${digits} is too large`);
    this.at += digits.length;
    return n;
  }

  private string(): string {
    if (this.text[this.at] !== '"') this.fail('a string is expected');
    let out = '';
    let from = ++this.at;
    for (;;) {
      const c = this.text[this.at];
      if (c === undefined) this.fail('the string does not end');
      if (c < ' ') this.fail('a control character in a string');
      if (c === '"') {
        out += this.text.slice(from, this.at++);
        if (!out.isWellFormed()) this.fail('half of a surrogate pair in a string');
        return out;
      }
      if (c === '\\') {
        out += this.text.slice(from, this.at) + this.escape();
        from = this.at;
      } else this.at++;
    }
  }

  private escape(): string {
    const c = this.text[this.at + 1] ?? '';
    const plain: Readonly<Record<string, string>> = {
      '"': '"',
      '\\': '\\',
      '/': '/',
      b: '\b',
      f: '\f',
      n: '\n',
      r: '\r',
      t: '\t',
    };
    if (Object.hasOwn(plain, c)) {
      this.at += 2;
      return plain[c]!;
    }
    const hex = /^u([0-9a-fA-F]{4})/.exec(this.text.slice(this.at + 1, this.at + 6))?.[1];
    if (hex === undefined) return this.fail('an escape that JSON does not have');
    this.at += 6;
    return String.fromCharCode(parseInt(hex, 16));
  }
}
