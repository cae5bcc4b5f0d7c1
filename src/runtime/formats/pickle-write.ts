/** Writes plain data as a pickle of protocol 2, with the opcodes that the `weights_only` unpickler reads. */
import { DTypeError } from '../errors.ts';
import { PyGlobal } from './pickle.ts';
import { PyCall, PyComplex, PyDict, PyObject, PySet, PyTuple, type PyValue } from './pickle-values.ts';

/** Something that stands outside of the pickle, by its id. */
export class PyPersistent extends PyObject {
  readonly kind = 'a persistent id';
  readonly id: PyTuple;
  constructor(id: PyTuple) {
    super();
    this.id = id;
  }
}

/** Says an object of the host in values, calls and persistent ids; null for what it does not know. */
export type Lower = (object: PyObject) => PyValue | null;

const MAX_DEPTH = 200;

export class PickleWriter {
  private bytes = new Uint8Array(1024);
  private length = 0;
  private depth = 0;
  private readonly memo = new Map<object | string, number>();
  private readonly lower: Lower;

  constructor(lower: Lower) {
    this.lower = lower;
  }

  /** The whole pickle of a value. */
  dump(v: PyValue): Uint8Array {
    this.op(0x80, 2);
    this.value(v);
    this.op(0x2e);
    return this.bytes.slice(0, this.length);
  }

  private value(v: PyValue): void {
    if (++this.depth > MAX_DEPTH) throw new DTypeError(`a value nested more than ${MAX_DEPTH} deep cannot be saved`);
    this.write(v);
    this.depth--;
  }

  private call(name: string, ...args: readonly PyValue[]): void {
    this.global(name);
    this.value(new PyTuple(args));
    this.op(0x52);
  }

  private global(name: string): void {
    if (this.recall(name)) return;
    const dot = name.lastIndexOf('.');
    this.op(0x63);
    this.raw(new TextEncoder().encode(`${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`));
    this.remember(name);
  }

  private write(v: PyValue): void {
    if (v === null) return this.op(0x4e);
    if (typeof v === 'boolean') return this.op(v ? 0x88 : 0x89);
    if (typeof v === 'number') return this.number(v);
    if (typeof v === 'bigint') return this.long(v);
    if (typeof v === 'string') return this.text(v);
    if (v instanceof PyTuple && v.isSize) return this.call('torch.Size', new PyTuple(v.items));
    if (v instanceof PyTuple) return this.tuple(v.items);
    if (v instanceof PyComplex) return this.call('builtins.complex', new Float(v.re), new Float(v.im));
    if (v instanceof Float) return this.float(v.value);
    if (v instanceof PyGlobal) return this.global(v.name);
    if (v instanceof PyCall) return this.call(v.name, ...v.args);
    if (v instanceof PyPersistent) {
      this.tuple(v.id.items);
      return this.op(0x51);
    }
    if (this.recall(v)) return;
    if (v instanceof Uint8Array) {
      this.call('_codecs.encode', Array.from(v, (b) => String.fromCharCode(b)).join(''), 'latin1');
    } else if (Array.isArray(v)) {
      this.op(0x5d);
      this.remember(v);
      return this.items(v, 0x65);
    } else if (v instanceof PySet) {
      this.call('builtins.set', [...v.items()]);
    } else if (v instanceof PyDict) {
      return this.dict(v);
    } else {
      const lowered = this.lower(v);
      if (lowered === null) throw new DTypeError(`${v.kind} cannot be saved`);
      this.value(lowered);
    }
    this.remember(v);
  }

  private dict(v: PyDict): void {
    if (v.kind === 'dict') this.op(0x7d);
    else this.call(`collections.${v.kind}`);
    this.remember(v);
    this.items([...v.entries()].flat(), 0x75);
    if (!v.attributes) return;
    this.value(v.attributes);
    this.op(0x62);
  }

  private items(items: readonly PyValue[], op: number): void {
    if (items.length === 0) return;
    this.op(0x28);
    for (const item of items) this.value(item);
    this.op(op);
  }

  private tuple(items: readonly PyValue[]): void {
    if (items.length === 0) return this.op(0x29);
    if (items.length > 3) this.op(0x28);
    for (const item of items) this.value(item);
    this.op(items.length > 3 ? 0x74 : 0x84 + items.length);
  }

  /** A whole number becomes an int, as it was or as Python takes it for a float where one is wanted. */
  private number(v: number): void {
    if (!Number.isSafeInteger(v) || Object.is(v, -0)) return this.float(v);
    if (v >= 0 && v < 256) return this.op(0x4b, v);
    if (v >= 0 && v < 65536) return this.op(0x4d, v & 255, v >> 8);
    if (v === (v | 0)) return this.op(0x4a, v & 255, (v >> 8) & 255, (v >> 16) & 255, v >>> 24);
    this.long(BigInt(v));
  }

  private long(v: bigint): void {
    const bytes: number[] = [];
    // Until only copies of the sign are left, and the top bit says it.
    let rest = v;
    while (bytes.length === 0 || (rest !== 0n && rest !== -1n) || bytes.at(-1)! >> 7 !== (v < 0n ? 1 : 0)) {
      bytes.push(Number(rest & 255n));
      rest >>= 8n;
    }
    if (bytes.length > 255) throw new DTypeError('a number of more than 255 bytes cannot be saved');
    this.op(0x8a, bytes.length, ...bytes);
  }

  private float(v: number): void {
    const raw = new Uint8Array(8);
    new DataView(raw.buffer).setFloat64(0, v, false);
    this.op(0x47);
    this.raw(raw);
  }

  private text(v: string): void {
    const key = `str ${v}`;
    if (this.recall(key)) return;
    const raw = new TextEncoder().encode(v);
    this.op(0x58, ...u32(raw.length));
    this.raw(raw);
    this.remember(key);
  }

  private recall(key: object | string): boolean {
    const index = this.memo.get(key);
    if (index === undefined) return false;
    if (index < 256) this.op(0x68, index);
    else this.op(0x6a, ...u32(index));
    return true;
  }

  private remember(key: object | string): void {
    const index = this.memo.size;
    this.memo.set(key, index);
    if (index < 256) this.op(0x71, index);
    else this.op(0x72, ...u32(index));
  }

  private op(...bytes: readonly number[]): void {
    this.reserve(bytes.length);
    for (const b of bytes) this.bytes[this.length++] = b;
  }

  private raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  private reserve(n: number): void {
    if (this.length + n <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + n));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/** A number that is a float even where it is whole. */
class Float extends PyObject {
  readonly kind = 'a float';
  readonly value: number;
  constructor(value: number) {
    super();
    this.value = value;
  }
}

const u32 = (v: number): number[] => [v & 255, (v >> 8) & 255, (v >> 16) & 255, v >>> 24];
