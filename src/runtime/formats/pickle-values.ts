/** What a pickle can hold, as plain data: dictionaries are Maps behind a class, so no key can touch a prototype. */

export type PyValue =
  null | boolean | number | bigint | string | Uint8Array | PyValue[] | PyTuple | PyDict | PySet | PyComplex | PyObject;

/** Something that only the reader of a certain kind of pickle knows: a global, a storage, a tensor. */
export abstract class PyObject {
  /** For messages. */
  abstract readonly kind: string;
}

/** `name(...args)`, kept as it stands: a `torch.device`, and what a writer says objects with. */
export class PyCall extends PyObject {
  readonly kind = 'a call';
  readonly name: string;
  readonly args: readonly PyValue[];
  constructor(name: string, args: readonly PyValue[]) {
    super();
    this.name = name;
    this.args = args;
  }
}

/** A tuple, or a `torch.Size`. */
export class PyTuple {
  readonly items: readonly PyValue[];
  readonly isSize: boolean;
  constructor(items: readonly PyValue[], isSize = false) {
    this.items = items;
    this.isSize = isSize;
  }
}

export class PyComplex {
  readonly re: number;
  readonly im: number;
  constructor(re: number, im: number) {
    this.re = re;
    this.im = im;
  }
}

/** Keys are equal as Python's are: 1, 1.0 and True are one key, and tuples go by their items. */
export class PyDict {
  readonly kind: 'dict' | 'OrderedDict' | 'Counter';
  /** What BUILD sets on an OrderedDict: `_metadata` of a state dict. */
  attributes: PyDict | null = null;
  private readonly map = new Map<string, readonly [PyValue, PyValue]>();

  constructor(kind: PyDict['kind'] = 'dict') {
    this.kind = kind;
  }

  get size(): number {
    return this.map.size;
  }
  get(key: PyValue): PyValue | undefined {
    const hash = hashOf(key);
    return hash === null ? undefined : this.map.get(hash)?.[1];
  }
  /** False where the key cannot be one. A key that is there keeps its place and its first spelling. */
  set(key: PyValue, value: PyValue): boolean {
    const hash = hashOf(key);
    if (hash === null) return false;
    this.map.set(hash, [this.map.get(hash)?.[0] ?? key, value]);
    return true;
  }
  entries(): Iterable<readonly [PyValue, PyValue]> {
    return this.map.values();
  }
}

export class PySet {
  private readonly map = new Map<string, PyValue>();
  add(item: PyValue): boolean {
    const hash = hashOf(item);
    if (hash === null) return false;
    if (!this.map.has(hash)) this.map.set(hash, item);
    return true;
  }
  items(): Iterable<PyValue> {
    return this.map.values();
  }
}

/** Keys are short in real files; the bounds stop tuples of tuples that double at every level. */
const MAX_KEY_PARTS = 256;
const MAX_TUPLE_TEXT = 4096;

/** What a key costs to look up, in items that are looked at. */
export const keyWork = (key: PyValue): number =>
  typeof key === 'string' || key instanceof Uint8Array
    ? 1 + key.length / 4
    : key instanceof PyTuple
      ? MAX_KEY_PARTS
      : 1;

function hashOf(key: PyValue): string | null {
  let parts = 0;
  let text = 0;
  const hash = (v: PyValue): string | null => {
    if (++parts > MAX_KEY_PARTS) return null;
    if (v === null) return 'N';
    if (typeof v === 'string') {
      text += v.length;
      return v !== key && text > MAX_TUPLE_TEXT ? null : `s${v.length}:${v}`;
    }
    if (typeof v === 'boolean') return v ? 'n1;' : 'n0;';
    if (typeof v === 'number' || typeof v === 'bigint') return `n${v};`;
    if (v instanceof Uint8Array) return (text += v.length) > MAX_TUPLE_TEXT ? null : `b${[...v].join(',')};`;
    if (!(v instanceof PyTuple)) return null;
    let out = `t${v.items.length}:`;
    for (const item of v.items) {
      const h = hash(item);
      if (h === null) return null;
      out += h;
    }
    return out;
  };
  return hash(key);
}

/** The value's type as Python calls it, for messages. */
export function typeName(v: PyValue): string {
  if (v === null) return 'None';
  switch (typeof v) {
    case 'boolean':
      return 'a bool';
    case 'number':
    case 'bigint':
      return 'a number';
    case 'string':
      return 'a str';
  }
  if (Array.isArray(v)) return 'a list';
  if (v instanceof Uint8Array) return 'bytes';
  if (v instanceof PyTuple) return v.isSize ? 'a torch.Size' : 'a tuple';
  if (v instanceof PyDict) return v.kind === 'OrderedDict' ? 'an OrderedDict' : `a ${v.kind}`;
  if (v instanceof PySet) return 'a set';
  if (v instanceof PyComplex) return 'a complex number';
  return v.kind;
}
