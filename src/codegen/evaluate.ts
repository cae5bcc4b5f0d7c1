/**
 * Runs kernel IR in JavaScript, exactly as kernel.ts defines it: the oracle for the printers and for `math.ts`.
 * Slow and strict: an access outside a buffer, an integer division by zero and a shift by lanes that do not match throw.
 */
import { PART, PARTS } from './kernel.ts';
import type { BinOp, KBuffer, KElem, Kernel, KExpr, KStmt, KVar, StorageElem, UnOp } from './kernel.ts';

/** Memory of a buffer, in elements. Half floats hold their values as numbers and are rounded at the store. */
export type Memory = { [index: number]: number; readonly length: number };

export interface EvaluateOptions {
  /** Whether `fma` rounds once or twice. Plain SIMD WebAssembly rounds twice. */
  readonly fma?: 'fused' | 'split';
  /** Which of how many threads runs it: the first of one where nothing is said. */
  readonly thread?: readonly [part: number, parts: number];
  /** Called where it waits for the other threads. */
  readonly barrier?: () => void;
}

/** Calls a kernel: one argument per parameter, memory for a buffer and a number for a scalar. */
export function runKernel(kernel: Kernel, args: readonly (Memory | number)[], options: EvaluateOptions = {}): void {
  const run = new Evaluation(options);
  const [part, parts] = options.thread ?? [0, 1];
  run.vars.set(PART, [part]);
  run.vars.set(PARTS, [parts]);
  kernel.params.forEach((p, i) => {
    const arg = args[i];
    if (p.kind === 'buffer') {
      if (typeof arg !== 'object') throw new TypeError(`${p.name} needs memory`);
      run.memory.set(p, arg);
    } else {
      if (typeof arg !== 'number') throw new TypeError(`${p.name} needs a number`);
      run.vars.set(p, [round(p.type.elem, arg)]);
    }
  });
  run.block(kernel.body);
}

/** The lanes of an expression whose variables are named by `let` statements before it. */
export function evaluateExpr(
  body: readonly KStmt[],
  expr: KExpr,
  inputs: ReadonlyMap<KVar, readonly number[]>,
  options: EvaluateOptions = {},
): readonly number[] {
  const run = new Evaluation(options);
  for (const [v, lanes] of inputs) run.vars.set(v, lanes);
  run.block(body);
  return run.expr(expr);
}

type Lanes = readonly number[];

class Evaluation {
  readonly vars = new Map<KVar, Lanes>();
  readonly memory = new Map<KBuffer, Memory>();
  private readonly options: EvaluateOptions;

  constructor(options: EvaluateOptions) {
    this.options = options;
  }

  block(stmts: readonly KStmt[]): void {
    for (const s of stmts) this.stmt(s);
  }

  private stmt(s: KStmt): void {
    switch (s.s) {
      case 'let':
      case 'set':
        this.vars.set(s.var, this.expr(s.value));
        return;
      case 'store': {
        const at = this.scalar(s.index);
        const value = this.expr(s.value);
        const mem = this.access(s.buf, at, value.length);
        value.forEach((v, i) => (mem[at + i] = roundStored(s.buf.elem, v)));
        return;
      }
      case 'for': {
        const to = this.scalar(s.to);
        for (let i = this.scalar(s.from); i < to; i += s.step) {
          this.vars.set(s.var, [i]);
          this.block(s.body);
        }
        return;
      }
      case 'while':
        while (this.scalar(s.cond)) this.block(s.body);
        return;
      case 'if':
        this.block(this.scalar(s.cond) ? s.then : s.else);
        return;
      case 'barrier':
        if (s.space === 'threads') return this.options.barrier?.();
        throw new Error('invocations run one after the other here: a kernel with barriers cannot be evaluated');
      case 'note':
        return;
    }
  }

  private access(buf: KBuffer, at: number, lanes: number): Memory {
    let mem = this.memory.get(buf);
    if (!mem && buf.space !== 'global') this.memory.set(buf, (mem = new Float64Array(buf.length ?? 0)));
    if (!mem) throw new Error(`buffer ${buf.name} has no memory`);
    if (at < 0 || at + lanes > mem.length) {
      throw new RangeError(`${buf.name}[${at}..${at + lanes - 1}] lies outside its ${mem.length} elements`);
    }
    return mem;
  }

  private scalar(e: KExpr): number {
    return this.expr(e)[0]!;
  }

  expr(e: KExpr): Lanes {
    const { elem, lanes } = e.type;
    switch (e.k) {
      case 'const':
        return fill(lanes, round(elem, e.value));
      case 'var': {
        const v = this.vars.get(e.var);
        if (!v) throw new Error(`variable ${e.var.name} is read before it is set`);
        return v;
      }
      case 'un':
        return this.expr(e.a).map((a) => round(elem, unary(e.op, elem, a)));
      case 'bin': {
        const [a, b] = [this.expr(e.a), this.expr(e.b)];
        if (a.length !== b.length) throw new Error(`${e.op} of ${a.length} and ${b.length} lanes`);
        return a.map((x, i) => round(elem, binary(e.op, e.a.type.elem, x, b[i]!)));
      }
      case 'fma': {
        const [a, b, c] = [this.expr(e.a), this.expr(e.b), this.expr(e.c)];
        // The product of two f32 is exact in float64; the sum may round twice, which no test can tell from once.
        return a.map((x, i) =>
          round(elem, (this.options.fma === 'fused' ? x * b[i]! : round(elem, x * b[i]!)) + c[i]!),
        );
      }
      case 'dot': {
        const [a, b, c] = [this.expr(e.a), this.expr(e.b), this.expr(e.c)];
        return c.map((x, i) => dotPair(a[i]!, b[i]!, x));
      }
      case 'select': {
        const [c, a, b] = [this.expr(e.cond), this.expr(e.a), this.expr(e.b)];
        return c.map((x, i) => (x ? a[i]! : b[i]!));
      }
      case 'load': {
        const at = this.scalar(e.index);
        const mem = this.access(e.buf, at, lanes);
        return Array.from({ length: lanes }, (_, i) => mem[at + i]!);
      }
      case 'cast':
        return this.expr(e.a).map((a) => convert(e.a.type.elem, elem, a));
      case 'bitcast':
        return this.expr(e.a).map((a) => reinterpret(e.a.type.elem, elem, a));
      case 'splat':
        return fill(lanes, this.scalar(e.a));
      case 'lane':
        return [this.expr(e.a)[e.lane]!];
      case 'vec':
        return e.items.map((item) => this.scalar(item));
      case 'shuffle': {
        const both = [...this.expr(e.a), ...this.expr(e.b)];
        return e.lanes.map((i) => both[i]!);
      }
      case 'subgroup':
        return [1];
      case 'passed':
        return this.expr(e.a);
    }
  }
}

const fill = (lanes: number, x: number): Lanes => new Array<number>(lanes).fill(x);

/** The value as its element type holds it. */
function round(elem: KElem, x: number): number {
  switch (elem) {
    case 'f32':
      return Math.fround(x);
    case 'i32':
      return x | 0;
    case 'u32':
      return x >>> 0;
    case 'bool':
      return Number(x !== 0);
  }
}

function roundStored(elem: StorageElem, x: number): number {
  if (elem === 'f16') return Math.f16round(x);
  if (elem !== 'bf16') return round(elem, x);
  if (Number.isNaN(x)) return x;
  const bits = reinterpret('f32', 'u32', x);
  return reinterpret('u32', 'f32', ((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000) >>> 0);
}

function unary(op: UnOp, elem: KElem, a: number): number {
  switch (op) {
    case 'neg':
      return -a;
    case 'abs':
      return Math.abs(a);
    case 'sqrt':
      return Math.sqrt(a);
    case 'floor':
      return Math.floor(a);
    case 'ceil':
      return Math.ceil(a);
    case 'trunc':
      return Math.trunc(a);
    case 'round': {
      const r = Math.round(a);
      return Math.abs(a % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
    }
    case 'not':
      return elem === 'bool' ? Number(!a) : ~a;
    case 'clz':
      return Math.clz32(a);
    case 'popcnt': {
      let n = 0;
      for (let bits = a >>> 0; bits !== 0; bits >>>= 1) n += bits & 1;
      return n;
    }
  }
}

function binary(op: BinOp, elem: KElem, a: number, b: number): number {
  switch (op) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return elem === 'f32' ? a * b : Math.imul(a, b);
    case 'div':
    case 'rem':
      if (elem !== 'f32' && b === 0) throw new RangeError('integer division by zero');
      if (op === 'rem') return a % b;
      return elem === 'f32' ? a / b : Math.trunc(a / b);
    case 'min':
      return Math.min(a, b);
    case 'max':
      return Math.max(a, b);
    case 'pmin':
      return b < a ? b : a;
    case 'pmax':
      return a < b ? b : a;
    case 'and':
      return a & b;
    case 'or':
      return a | b;
    case 'xor':
      return a ^ b;
    case 'shl':
      return a << b;
    case 'shr':
      return elem === 'u32' ? a >>> b : a >> b;
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
  }
}

function convert(from: KElem, to: KElem, a: number): number {
  if (from !== 'f32' || to === 'f32' || to === 'bool') return round(to, a);
  if (Number.isNaN(a)) return 0;
  const [lo, hi] = to === 'u32' ? [0, 0xffffffff] : [-0x80000000, 0x7fffffff];
  return Math.min(Math.max(Math.trunc(a), lo), hi) + 0; // + 0: an integer has no -0
}

/** As kernel.ts defines `dot`: sums of exact products, in float64 and then rounded, which differs from once too seldom to be seen. */
function dotPair(a: number, b: number, c: number): number {
  const flush = (x: number): number => (Math.abs(x) < 2 ** -126 ? 0 * x : x);
  const half = (word: number): number => flush(reinterpret('u32', 'f32', word & 0xffff0000));
  const high = flush(Math.fround(half(a) * half(b) + flush(c)));
  return flush(Math.fround(half(a << 16) * half(b << 16) + high));
}

function reinterpret(from: KElem, to: KElem, a: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  if (from === 'f32') bits.setFloat32(0, a);
  else bits.setUint32(0, a >>> 0);
  if (to === 'f32') return bits.getFloat32(0);
  return to === 'i32' ? bits.getInt32(0) : bits.getUint32(0);
}
