/**
 * A pickle machine that builds plain data and nothing else. It has the opcodes of PyTorch's `weights_only` unpickler
 * (torch/_weights_only_unpickler.py), no more; a GLOBAL is looked up in the host's list and never imported; a call is a
 * function of that list. Work is bounded by the length of the pickle: what copies must be paid for.
 */
import { keyWork, PyDict, PyObject, PyTuple, PySet, typeName, type PyValue } from './pickle-values.ts';
import { ByteReader } from './reader.ts';

/** Lets a global refuse its arguments, and pay for copies. */
export interface PickleCall {
  fail(what: string): never;
  spend(work: number): void;
}

/** A name that pickles may use. */
export class PyGlobal extends PyObject {
  readonly kind: string;
  readonly name: string;
  readonly call: ((args: readonly PyValue[], c: PickleCall) => PyValue) | null;
  readonly construct: ((args: readonly PyValue[], c: PickleCall) => PyValue) | null;
  constructor(name: string, call: PyGlobal['call'] = null, construct: PyGlobal['construct'] = null) {
    super();
    this.kind = `the global ${name}`;
    this.name = name;
    this.call = call;
    this.construct = construct;
  }
}

export interface PickleHost {
  /** Null for what is not on the list. */
  find(path: string): PyGlobal | null;
  persistent(id: PyTuple, c: PickleCall): PyValue;
}

const MAX_NAME = 512;
const MAX_MARKS = 10_000;
/** Opcode arguments apart, each opcode is a byte: honest pickles copy far less than this many items per byte. */
const WORK_PER_BYTE = 16;
const WORK_TO_START = 1 << 16;

/** Runs one pickle from the reader's position to its STOP. */
export function unpickle(r: ByteReader, host: PickleHost): PyValue {
  return new Machine(r, host).run();
}

class Machine implements PickleCall {
  private readonly r: ByteReader;
  private readonly host: PickleHost;
  private readonly memo = new Map<number, PyValue>();
  private readonly below: PyValue[][] = [];
  private stack: PyValue[] = [];
  private work: number;
  private at = 0;

  constructor(r: ByteReader, host: PickleHost) {
    this.r = r;
    this.host = host;
    this.work = WORK_TO_START + WORK_PER_BYTE * r.left;
  }

  /** Faults are told at the opcode. */
  fail(what: string): never {
    return this.r.fail(what, this.at);
  }

  spend(work: number): void {
    this.work -= work;
    if (this.work < 0) this.fail('the pickle copies the same values over and over');
  }

  run(): PyValue {
    for (;;) {
      this.at = this.r.at;
      if (this.r.left === 0) this.fail('the pickle has no STOP');
      const op = this.r.u8();
      if (op === 0x2e) return this.pop(); // STOP
      this.step(op);
    }
  }

  private step(op: number): void {
    const { r } = this;
    switch (op) {
      case 0x80: // PROTO: what follows it is what counts
        r.u8();
        return;
      case 0x28: // MARK
        if (this.below.length >= MAX_MARKS) this.fail(`more than ${MAX_MARKS} values are begun and none is ended`);
        this.below.push(this.stack);
        this.stack = [];
        return;
      case 0x4e: // NONE
        return this.push(null);
      case 0x88: // NEWTRUE
        return this.push(true);
      case 0x89: // NEWFALSE
        return this.push(false);
      case 0x4a: // BININT
        return this.push(r.i32());
      case 0x4b: // BININT1
        return this.push(r.u8());
      case 0x4d: // BININT2
        return this.push(r.u16());
      case 0x8a: // LONG1
        return this.push(longValue(r.take(r.u8())));
      case 0x47: // BINFLOAT
        return this.push(r.f64BigEndian());
      case 0x58: // BINUNICODE
        return this.push(r.text(r.u32()));
      case 0x55: // SHORT_BINSTRING: Python 2 text, which torch.load takes for UTF-8
        return this.push(r.text(r.u8()));
      case 0x29: // EMPTY_TUPLE
        return this.push(new PyTuple([]));
      case 0x5d: // EMPTY_LIST
        return this.push([]);
      case 0x7d: // EMPTY_DICT
        return this.push(new PyDict());
      case 0x8f: // EMPTY_SET
        return this.push(new PySet());
      case 0x74: // TUPLE
        return this.push(new PyTuple(this.popMark()));
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.shortTuple(op - 0x84);
      case 0x61: // APPEND
        return this.append([this.pop()]);
      case 0x65: // APPENDS
        return this.append(this.popMark());
      case 0x73: {
        // SETITEM
        const value = this.pop();
        return this.setItems([this.pop(), value]);
      }
      case 0x75: // SETITEMS
        return this.setItems(this.popMark());
      case 0x71: // BINPUT
        return void this.memo.set(r.u8(), this.top());
      case 0x72: // LONG_BINPUT
        return void this.memo.set(r.u32(), this.top());
      case 0x68: // BINGET
        return this.recall(r.u8());
      case 0x6a: // LONG_BINGET
        return this.recall(r.u32());
      case 0x63: // GLOBAL
        return this.global();
      case 0x52: // REDUCE
        return this.invoke('call');
      case 0x81: // NEWOBJ
        return this.invoke('construct');
      case 0x62: // BUILD
        return this.build();
      case 0x51: {
        // BINPERSID
        const id = this.pop();
        if (!(id instanceof PyTuple)) return this.fail(`a persistent id is a tuple, not ${typeName(id)}`);
        return this.push(this.host.persistent(id, this));
      }
      default:
        this.fail(`the opcode 0x${op.toString(16).padStart(2, '0')} is not one that files of weights may use`);
    }
  }

  private push(v: PyValue): void {
    this.stack.push(v);
  }

  private pop(): PyValue {
    const v = this.stack.pop();
    return v === undefined ? this.fail('the stack is empty') : v;
  }

  private top(): PyValue {
    const v = this.stack.at(-1);
    return v === undefined ? this.fail('the stack is empty') : v;
  }

  private popMark(): PyValue[] {
    const items = this.stack;
    this.stack = this.below.pop() ?? this.fail('there is no MARK on the stack');
    return items;
  }

  private shortTuple(n: number): void {
    if (this.stack.length < n) this.fail('the stack is empty');
    this.push(new PyTuple(this.stack.splice(-n)));
  }

  private append(items: readonly PyValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) return this.fail(`items are appended to ${typeName(list)}`);
    for (const item of items) list.push(item);
  }

  private setItems(items: readonly PyValue[]): void {
    const dict = this.top();
    if (!(dict instanceof PyDict)) return this.fail(`items are set in ${typeName(dict)}`);
    if (items.length % 2 !== 0) this.fail('a key has no value');
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!;
      this.spend(keyWork(key));
      if (!dict.set(key, items[i + 1]!)) this.fail(`${typeName(key)} cannot be a key`);
    }
  }

  private recall(index: number): void {
    const v = this.memo.get(index);
    this.push(v === undefined ? this.fail(`there is nothing under memo ${index}`) : v);
  }

  private global(): void {
    const path = this.r.line(MAX_NAME);
    const name = this.r.line(MAX_NAME);
    const text = (b: Uint8Array): string => new TextDecoder('latin1').decode(b);
    // Python 2 called it so.
    const full = `${text(path) === '__builtin__' ? 'builtins' : text(path)}.${text(name)}`;
    const found = this.host.find(full);
    this.push(
      found ??
        this.fail(
          `it needs ${JSON.stringify(full)}, which files of weights may not name (nothing was run)${advice(full)}`,
        ),
    );
  }

  private invoke(how: 'call' | 'construct'): void {
    const args = this.pop();
    const callee = this.pop();
    if (!(args instanceof PyTuple)) return this.fail(`arguments are a tuple, not ${typeName(args)}`);
    const run = callee instanceof PyGlobal ? callee[how] : null;
    if (!run) return this.fail(`${typeName(callee)} cannot be called`);
    this.spend(args.items.length);
    this.push(run(args.items, this));
  }

  private build(): void {
    const state = this.pop();
    const target = this.top();
    if (!(target instanceof PyDict) || target.kind === 'dict') return this.fail(`${typeName(target)} takes no state`);
    if (!(state instanceof PyDict)) return this.fail(`the state of ${typeName(target)} is ${typeName(state)}`);
    this.spend(state.size);
    target.attributes ??= new PyDict();
    for (const [k, v] of state.entries()) {
      if (typeof k !== 'string') this.fail(`an attribute is called by ${typeName(k)}`);
      target.attributes.set(k, v);
    }
  }
}

/** Two's complement, little-endian, of at most 255 bytes. */
function longValue(bytes: Uint8Array): number | bigint {
  let v = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) v = (v << 8n) | BigInt(bytes[i]!);
  v = BigInt.asIntN(bytes.length * 8, v);
  return v >= BigInt(Number.MIN_SAFE_INTEGER) && v <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(v) : v;
}

/** A module of Python names its classes. */
const advice = (name: string): string =>
  /^__main__\.|^torch\.nn\.(modules|parallel)\./.test(name) ? ': of a whole module, save its state_dict()' : '';
