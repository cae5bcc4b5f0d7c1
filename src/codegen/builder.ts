/**
 * Builds kernel IR: expression constructors that fold constants, and a builder that collects statements.
 * Expressions are trees; what is used twice is named with `let`, so that no printer needs to find common parts.
 */
import type { Origin } from '../ir/ir.ts';
import type { Axis, BinOp, KBuffer, KElem, Kernel, KExpr, KStmt, KType, KVar, StorageElem, UnOp } from './kernel.ts';
import { BOOL, F32, I32, U32, vec } from './kernel.ts';

/** A number stands for a constant of the other operand's type. */
export type Arg = KExpr | number;

const cst = (value: number, type: KType): KExpr => ({ k: 'const', value, type });
export const i32 = (value: number): KExpr => cst(value | 0, I32);
export const u32 = (value: number): KExpr => cst(value >>> 0, U32);
export const f32 = (value: number): KExpr => cst(Math.fround(value), F32);
export const bool = (value: boolean): KExpr => cst(value ? 1 : 0, BOOL);

const isConst = (e: KExpr, value?: number): e is KExpr & { k: 'const' } =>
  e.k === 'const' && (value === undefined || e.value === value);

/** A constant or scalar given the type of `like`: numbers become constants, scalars are splatted to its lanes. */
export function coerce(a: Arg, like: KType): KExpr {
  if (typeof a === 'number')
    return cst(like.elem === 'f32' ? Math.fround(a) : like.elem === 'u32' ? a >>> 0 : a | 0, like);
  return a.type.lanes === like.lanes ? a : splat(a, like.lanes);
}

function pair(a: Arg, b: Arg): [KExpr, KExpr] {
  if (typeof a === 'number') {
    if (typeof b === 'number') return [i32(a), i32(b)];
    return [coerce(a, b.type), b];
  }
  if (typeof b === 'number') return [a, coerce(b, a.type)];
  const lanes = Math.max(a.type.lanes, b.type.lanes);
  return [splat(a, lanes), splat(b, lanes)];
}

/** True of a number and itself. */
const REFLEXIVE: ReadonlySet<BinOp> = new Set<BinOp>(['eq', 'le', 'ge']);
const COMPARE: ReadonlySet<BinOp> = new Set<BinOp>(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);

export function bin(op: BinOp, x: Arg, y: Arg): KExpr {
  const [a, b] = pair(x, y);
  const type: KType = COMPARE.has(op) ? { elem: 'bool', lanes: a.type.lanes } : a.type;
  // Only integer identities are folded here: they are exact. Float algebra belongs to the net IR's simplifier.
  if (a.type.elem === 'i32') {
    if (isConst(a) && isConst(b)) {
      const v = foldI32(op, a.value, b.value);
      if (v !== null) return cst(v, type);
    }
    if (a.k === 'var' && b.k === 'var' && a.var === b.var && COMPARE.has(op))
      return cst(REFLEXIVE.has(op) ? 1 : 0, type);
    if (op === 'add' && isConst(a, 0)) return b;
    if ((op === 'add' || op === 'sub') && isConst(b, 0)) return a;
    if (op === 'mul' && (isConst(a, 0) || isConst(b, 1))) return a;
    if (op === 'mul' && (isConst(b, 0) || isConst(a, 1))) return b;
    if (op === 'div' && isConst(b, 1)) return a;
    if (op === 'rem' && isConst(b, 1)) return cst(0, type);
    // (e + c1) + c2: keep one constant on the right, where printers put it into the address.
    if (op === 'add' && isConst(a)) return bin('add', b, a);
    if (op === 'add' && isConst(b) && a.k === 'bin' && a.op === 'add' && isConst(a.b))
      return bin('add', a.a, cst((a.b.value + b.value) | 0, type));
    if (op === 'add' && b.k === 'bin' && b.op === 'add' && isConst(b.b)) return bin('add', bin('add', a, b.a), b.b);
    if (op === 'add' && a.k === 'bin' && a.op === 'add' && isConst(a.b) && !isConst(b))
      return bin('add', bin('add', a.a, b), a.b);
  }
  return { k: 'bin', op, a, b, type };
}

function foldI32(op: BinOp, a: number, b: number): number | null {
  switch (op) {
    case 'add':
      return (a + b) | 0;
    case 'sub':
      return (a - b) | 0;
    case 'mul':
      return Math.imul(a, b);
    case 'div':
      return b === 0 ? null : (a / b) | 0;
    case 'rem':
      return b === 0 ? null : (a % b) | 0;
    case 'min':
      return Math.min(a, b);
    case 'max':
      return Math.max(a, b);
    case 'shl':
      return a << b;
    case 'shr':
      return a >> b;
    case 'and':
      return a & b;
    case 'or':
      return a | b;
    case 'xor':
      return a ^ b;
    case 'eq':
      return Number(a === b);
    case 'ne':
      return Number(a !== b);
    case 'lt':
      return Number(a < b);
    case 'le':
      return Number(a <= b);
    case 'gt':
      return Number(a > b);
    case 'ge':
      return Number(a >= b);
    default:
      return null;
  }
}

export const un = (op: UnOp, a: KExpr): KExpr => ({ k: 'un', op, a, type: a.type });
export const add = (a: Arg, b: Arg): KExpr => bin('add', a, b);
export const sub = (a: Arg, b: Arg): KExpr => bin('sub', a, b);
export const mul = (a: Arg, b: Arg): KExpr => bin('mul', a, b);
export const div = (a: Arg, b: Arg): KExpr => bin('div', a, b);
export const rem = (a: Arg, b: Arg): KExpr => bin('rem', a, b);
export const min = (a: Arg, b: Arg): KExpr => bin('min', a, b);
export const max = (a: Arg, b: Arg): KExpr => bin('max', a, b);
export const lt = (a: Arg, b: Arg): KExpr => bin('lt', a, b);
export const le = (a: Arg, b: Arg): KExpr => bin('le', a, b);
export const gt = (a: Arg, b: Arg): KExpr => bin('gt', a, b);
export const ge = (a: Arg, b: Arg): KExpr => bin('ge', a, b);
export const eq = (a: Arg, b: Arg): KExpr => bin('eq', a, b);
export const ne = (a: Arg, b: Arg): KExpr => bin('ne', a, b);
export const and = (a: Arg, b: Arg): KExpr => bin('and', a, b);
export const or = (a: Arg, b: Arg): KExpr => bin('or', a, b);
export const neg = (a: KExpr): KExpr => un('neg', a);

export function fma(a: Arg, b: Arg, c: KExpr): KExpr {
  return { k: 'fma', a: coerce(a, c.type), b: coerce(b, c.type), c, type: c.type };
}
/** Products of pairs of bf16, added to `c`. */
export const dot = (a: KExpr, b: KExpr, c: KExpr): KExpr => ({ k: 'dot', a, b, c, type: c.type });
export function select(cond: KExpr, a: Arg, b: Arg): KExpr {
  const [x, y] = pair(a, b);
  const lanes = Math.max(cond.type.lanes, x.type.lanes);
  const type = { ...x.type, lanes };
  return { k: 'select', cond: coerce(cond, { elem: 'bool', lanes }), a: coerce(x, type), b: coerce(y, type), type };
}
export const cast = (a: KExpr, elem: KElem): KExpr =>
  a.type.elem === elem ? a : { k: 'cast', a, type: { elem, lanes: a.type.lanes } };
export const bitcast = (a: KExpr, elem: KElem): KExpr => ({ k: 'bitcast', a, type: { elem, lanes: a.type.lanes } });
export function splat(a: KExpr, lanes: number): KExpr {
  if (a.type.lanes === lanes) return a;
  const type = vec(a.type.elem, lanes);
  return a.k === 'const' ? cst(a.value, type) : { k: 'splat', a, type };
}
export const lane = (a: KExpr, i: number): KExpr =>
  a.type.lanes === 1 ? a : { k: 'lane', a, lane: i, type: vec(a.type.elem, 1) };
export const vector = (items: readonly KExpr[]): KExpr =>
  items.length === 1 ? items[0]! : { k: 'vec', items, type: vec(items[0]!.type.elem, items.length) };
/** Lanes of `a`, then of `b`. Of scalars, one of them. */
export const shuffle = (a: KExpr, b: KExpr, lanes: readonly number[]): KExpr =>
  a.type.lanes === 1 ? [a, b][lanes[0]!]! : { k: 'shuffle', a, b, lanes, type: vec(a.type.elem, lanes.length) };

/** Invocations that can surely see each other's registers. */
export const SUBGROUP: KExpr = { k: 'subgroup', type: I32 };
/** `a` of the invocation `by` further on in the subgroup. */
export const passed = (a: KExpr, by: KExpr): KExpr => ({ k: 'passed', a, by, type: a.type });
/** The element type that a load from such storage yields. */
export const loadedElem = (e: StorageElem): KElem => (e === 'f16' || e === 'bf16' ? 'f32' : e);

export const load = (buf: KBuffer, index: Arg, lanes = 1): KExpr => ({
  k: 'load',
  buf,
  index: typeof index === 'number' ? i32(index) : index,
  type: vec(loadedElem(buf.elem), lanes),
});

/** Combines the lanes pairwise (0 with n/2, ...): one fixed order on every target. */
export function reduceLanes(k: KernelBuilder, op: BinOp, v: KExpr): KExpr {
  let items = Array.from({ length: v.type.lanes }, (_, i) => lane(v, i));
  while (items.length > 1) {
    const half = items.length / 2;
    items = Array.from({ length: half }, (_, i) => bin(op, items[i]!, items[i + half]!));
  }
  return k.let(items[0]!);
}

/** Collects the statements of one kernel. Names need not be unique: printers number them. */
export class KernelBuilder {
  private readonly params: (KBuffer | KVar)[] = [];
  /** The blocks being built, outermost first. A loop is appended to its block only once its body is complete. */
  private blocks: readonly KStmt[][] = [[]];

  /** Of the statements that follow. */
  private origin: Origin | null = null;

  private push(s: KStmt): void {
    this.blocks[this.blocks.length - 1]!.push(this.origin ? { ...s, origin: this.origin } : s);
  }

  /** What `body` emits computes that line of the network. */
  from<T>(origin: Origin, body: () => T): T {
    const outer = this.origin;
    this.origin = origin;
    try {
      return body();
    } finally {
      this.origin = outer;
    }
  }

  /** How many blocks enclose the next statement; 0 at the top of the kernel. */
  get depth(): number {
    return this.blocks.length - 1;
  }

  /**
   * Emits into an enclosing block, just before the loop or branch under construction there: where things go that do
   * not change inside. What `body` uses must be known at that depth.
   */
  hoisted<T>(depth: number, body: () => T): T {
    return this.within(this.blocks.slice(0, depth + 1), body);
  }

  /** A global buffer parameter. */
  buffer(name: string, elem: StorageElem, access: KBuffer['access'] = 'read'): KBuffer {
    const buf: KBuffer = { kind: 'buffer', name, elem, space: 'global', access, length: null };
    this.params.push(buf);
    return buf;
  }

  /** A scalar parameter: a size (i32) or a number (f32). */
  scalar(name: string, type: KType = I32): KExpr {
    const v: KVar = { kind: 'var', name, type, mutable: false };
    this.params.push(v);
    return { k: 'var', var: v, type };
  }

  /** An array that lives as long as the kernel (private) or the workgroup (shared). */
  local(name: string, elem: StorageElem, length: number, space: 'shared' | 'private' = 'private'): KBuffer {
    return { kind: 'buffer', name, elem, space, access: 'readwrite', length };
  }

  /** An array of the workgroup that holds vectors of 4; indices count elements and are multiples of 4. */
  sharedVectors(name: string, length: number): KBuffer {
    return { ...this.local(name, 'f32', length, 'shared'), vectors: true };
  }

  /** Names a value that is used more than once. Constants and variables are returned as they are. */
  let(value: KExpr, name = 't'): KExpr {
    if (value.k === 'const' || (value.k === 'var' && !value.var.mutable)) return value;
    const v: KVar = { kind: 'var', name, type: value.type, mutable: false };
    this.push({ s: 'let', var: v, value });
    return { k: 'var', var: v, type: value.type };
  }

  /** A variable that `set` may change; reading it gives the value at that point of the program. */
  mutable(value: KExpr, name = 'm'): KExpr & { k: 'var' } {
    const v: KVar = { kind: 'var', name, type: value.type, mutable: true };
    this.push({ s: 'let', var: v, value });
    return { k: 'var', var: v, type: value.type };
  }

  set(target: KExpr, value: Arg): void {
    if (target.k !== 'var') throw new Error('set needs a variable');
    this.push({ s: 'set', var: target.var, value: coerce(value, target.type) });
  }

  store(buf: KBuffer, index: Arg, value: KExpr): void {
    this.push({ s: 'store', buf, index: typeof index === 'number' ? i32(index) : index, value });
  }

  for(from: Arg, to: Arg, step: number, body: (i: KExpr) => void, axis: Axis = 'serial', name = 'i'): void {
    const v: KVar = { kind: 'var', name, type: I32, mutable: false };
    const stmts = this.nested(() => body({ k: 'var', var: v, type: I32 }));
    this.push({ s: 'for', var: v, from: coerce(from, I32), to: coerce(to, I32), step, body: stmts, axis });
  }

  while(cond: KExpr, body: () => void): void {
    this.push({ s: 'while', cond, body: this.nested(body) });
  }

  if(cond: KExpr, then: () => void, otherwise?: () => void): void {
    if (cond.k === 'const') {
      if (cond.value) then();
      else otherwise?.();
      return;
    }
    this.push({ s: 'if', cond, then: this.nested(then), else: otherwise ? this.nested(otherwise) : [] });
  }

  barrier(space: 'shared' | 'global' | 'threads' = 'shared'): void {
    this.push({ s: 'barrier', space });
  }

  note(text: string): void {
    this.push({ s: 'note', text });
  }

  finish(name: string, origins: readonly Origin[]): Kernel {
    return { name, params: this.params, body: this.blocks[0]!, origins };
  }

  private nested(body: () => void): readonly KStmt[] {
    const inner: KStmt[] = [];
    this.within([...this.blocks, inner], body);
    return inner;
  }

  private within<T>(blocks: readonly KStmt[][], body: () => T): T {
    const outer = this.blocks;
    this.blocks = blocks;
    try {
      return body();
    } finally {
      this.blocks = outer;
    }
  }
}
