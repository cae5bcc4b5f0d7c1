/**
 * Prints one kernel as a WGSL compute shader. Buffers are storage bindings 0, 1, ... in the order of the parameters; scalar
 * parameters are members of the uniform struct at the binding after them, 4 bytes each. bool is u32 0/1 in memory; the
 * 16-bit formats lie two to a u32.
 *
 * Loops bound to a workgroup or invocation axis have no loop in the text: the dispatch must have exactly their extents.
 */
import { loadedElem } from '../builder.ts';
import { isHalf, narrow, widen } from '../half.ts';
import type { Axis, BinOp, KBuffer, Kernel, KElem, KExpr, KStmt, KType, KVar, StorageElem, UnOp } from '../kernel.ts';
import { vec } from '../kernel.ts';
import { Names } from '../names.ts';
import { arraysOf } from '../walk.ts';
import { PRELUDE } from './prelude.ts';
import { reservedInWgsl } from './reserved.ts';

export type GridAxis = 'x' | 'y' | 'z';

/** A loop that became a dimension of the grid. */
export interface Extent {
  readonly from: KExpr;
  readonly to: KExpr;
  readonly step: number;
}

export interface Shader {
  readonly code: string;
  readonly entry: 'main';
  /** Parameters of the kernel that are bindings, in order, and those in the uniform struct (at binding `buffers.length`). */
  readonly buffers: readonly KBuffer[];
  readonly scalars: readonly KVar[];
  readonly workgroupSize: readonly [number, number, number];
  /** Workgroups to dispatch along each axis: (to - from) / step, rounded up; 1 where absent. */
  readonly workgroups: Partial<Record<GridAxis, Extent>>;
}

const SYMBOL: Partial<Record<BinOp, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  rem: '%',
  and: '&',
  or: '|',
  xor: '^',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
  gt: '>',
  ge: '>=',
};
const UNARY: Partial<Record<UnOp, string>> = {
  abs: 'abs',
  sqrt: 'sqrt',
  floor: 'floor',
  ceil: 'ceil',
  trunc: 'trunc',
  round: 'round',
  clz: 'countLeadingZeros',
  popcnt: 'countOneBits',
};

const typeName = (t: KType): string => {
  if (t.lanes === 1) return t.elem;
  if (t.lanes !== 4) throw new Error(`WGSL vectors have 4 lanes, not ${t.lanes}`);
  return `vec4<${t.elem}>`;
};
const memoryElem = (e: StorageElem): string => (e === 'f32' || e === 'i32' ? e : 'u32');

function constant(value: number, elem: KElem): string {
  if (elem === 'bool') return value ? 'true' : 'false';
  if (elem === 'i32') return `i32(${value})`;
  if (elem === 'u32') return `${value >>> 0}u`;
  if (Number.isNaN(value)) return 'bitcast<f32>(bits_of[2])';
  if (!Number.isFinite(value)) return `bitcast<f32>(bits_of[${value > 0 ? 0 : 1}])`;
  return `${Object.is(value, -0) ? '-0.0' : String(value)}f`;
}

/** The same number, but not a constant expression. */
function opaque(value: number, elem: KElem): string {
  if (elem === 'bool' || !Number.isFinite(value)) return constant(value, elem);
  if (elem === 'i32') return `(${constant(value, elem)} | i32(bits_of[3]))`;
  if (elem === 'u32') return `(${constant(value, elem)} | bits_of[3])`;
  return `bitcast<f32>(bitcast<u32>(${constant(value, elem)}) | bits_of[3])`;
}

export function printWgsl(kernel: Kernel): Shader {
  return new ShaderPrinter(kernel).print();
}

class ShaderPrinter {
  private readonly kernel: Kernel;
  private readonly names = new Names(reservedInWgsl);
  private readonly lines: string[] = [];
  /** Functions that read and write elements and vectors of a buffer: their names by what they do, and their text. */
  private readonly accessors = new Map<string, { readonly name: string; readonly text: string }>();
  private readonly workgroupSize: Record<GridAxis, number> = { x: 1, y: 1, z: 1 };
  private readonly workgroups: Partial<Record<GridAxis, Extent>> = {};
  private readonly scalars: readonly KVar[];
  private readonly buffers: readonly KBuffer[];

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.scalars = kernel.params.filter((p) => p.kind === 'var');
    this.buffers = kernel.params.filter((p) => p.kind === 'buffer');
  }

  print(): Shader {
    const head: string[] = [];
    this.buffers.forEach((b, i) => {
      const access = b.access === 'read' ? 'read' : 'read_write';
      head.push(`@group(0) @binding(${i}) var<storage, ${access}> ${this.names.of(b)}: array<${memoryElem(b.elem)}>;`);
    });
    if (this.scalars.length > 0) {
      head.push('struct Sizes {', ...this.scalars.map((s) => `  ${this.names.of(s)}: ${typeName(s.type)},`), '}');
      head.push(`@group(0) @binding(${this.buffers.length}) var<uniform> sizes: Sizes;`);
    }
    for (const a of arraysOf(this.kernel)) {
      const space = a.space === 'shared' ? 'workgroup' : 'private';
      const words = isHalf(a.elem) ? Math.ceil(a.length! / 2) : a.length;
      head.push(`var<${space}> ${this.names.of(a)}: array<${memoryElem(a.elem)}, ${words}>;`);
    }
    this.statements(this.kernel.body, '  ');
    const { x, y, z } = this.workgroupSize;
    const entry = [
      `@compute @workgroup_size(${x}, ${y}, ${z})`,
      'fn main(@builtin(workgroup_id) workgroup_id: vec3<u32>, @builtin(local_invocation_id) local_id: vec3<u32>) {',
      ...this.lines,
      '}',
    ];
    const code = [...head, PRELUDE, ...[...this.accessors.values()].map((a) => a.text), ...entry, ''].join('\n');
    const { buffers, scalars, workgroups } = this;
    return { code, entry: 'main', buffers, scalars, workgroupSize: [x, y, z], workgroups };
  }

  private statements(body: readonly KStmt[], indent: string): void {
    for (const s of body) this.statement(s, indent);
  }

  private statement(s: KStmt, indent: string): void {
    const put = (line: string): void => void this.lines.push(indent + line);
    const block = (head: string, body: readonly KStmt[]): void => {
      put(`${head} {`);
      this.statements(body, `${indent}  `);
      put('}');
    };
    switch (s.s) {
      case 'let':
        return put(
          `${s.var.mutable ? 'var' : 'let'} ${this.names.of(s.var)}: ${typeName(s.var.type)} = ${this.expr(s.value)};`,
        );
      case 'set':
        return put(`${this.names.of(s.var)} = ${this.expr(s.value)};`);
      case 'store':
        return put(this.store(s.buf, s.index, s.value));
      case 'for':
        return this.loop(s, indent);
      case 'while':
        return block(`while (${this.expr(s.cond)})`, s.body);
      case 'if':
        block(`if (${this.expr(s.cond)})`, s.then);
        if (s.else.length > 0) block('else', s.else);
        return;
      case 'barrier':
        return put('workgroupBarrier();');
      case 'note':
        return put(`// ${s.text.replace(/[^ -~]/g, '?')}`);
    }
  }

  private loop(s: KStmt & { s: 'for' }, indent: string): void {
    const i = this.names.of(s.var);
    const axis = gridAxis(s.axis);
    if (axis === null) {
      const end = this.names.fresh('end');
      this.lines.push(`${indent}let ${end}: i32 = ${this.expr(s.to)};`);
      this.lines.push(`${indent}for (var ${i}: i32 = ${this.expr(s.from)}; ${i} < ${end}; ${i} += ${s.step}) {`);
      this.statements(s.body, `${indent}  `);
      this.lines.push(`${indent}}`);
      return;
    }
    const { level, dim } = axis;
    if (level === 'workgroup') this.workgroups[dim] = { from: s.from, to: s.to, step: s.step };
    else {
      if (s.from.k !== 'const' || s.to.k !== 'const')
        throw new Error(`${this.kernel.name}: an invocation axis needs constant bounds`);
      this.workgroupSize[dim] = Math.ceil((s.to.value - s.from.value) / s.step);
    }
    const id = level === 'workgroup' ? 'workgroup_id' : 'local_id';
    this.lines.push(`${indent}{`);
    this.lines.push(`${indent}  let ${i}: i32 = ${this.expr(s.from)} + i32(${id}.${dim}) * ${s.step};`);
    this.statements(s.body, `${indent}  `);
    this.lines.push(`${indent}}`);
  }

  private expr(e: KExpr): string {
    const { elem, lanes } = e.type;
    switch (e.k) {
      case 'const':
        return lanes === 1 ? constant(e.value, elem) : `${typeName(e.type)}(${constant(e.value, elem)})`;
      case 'var':
        return this.scalars.includes(e.var) ? `sizes.${this.names.of(e.var)}` : this.names.of(e.var);
      case 'un':
        return this.unary(e.op, this.operands(e.a)[0]!, e.type);
      case 'bin': {
        const [a, b] = this.operands(e.a, e.b);
        return this.binary(e.op, a!, b!, e.a.type);
      }
      case 'fma':
        return `fma(${this.operands(e.a, e.b, e.c).join(', ')})`;
      case 'select':
        return `select(${this.expr(e.b)}, ${this.expr(e.a)}, ${this.expr(e.cond)})`;
      case 'load':
        return `${this.loader(e.buf, lanes)}(${this.expr(e.index)})`;
      case 'cast':
        return this.cast(this.operands(e.a)[0]!, e.a.type, e.type);
      case 'bitcast':
        return `bitcast<${typeName(e.type)}>(${this.expr(e.a)})`;
      case 'splat':
        return `${typeName(e.type)}(${this.expr(e.a)})`;
      case 'lane':
        return `(${this.expr(e.a)})[${e.lane}]`;
      case 'vec':
        return `${typeName(e.type)}(${e.items.map((i) => this.expr(i)).join(', ')})`;
      case 'shuffle': {
        const [a, b] = [this.expr(e.a), this.expr(e.b)];
        return `${typeName(e.type)}(${e.lanes.map((l) => (l < 4 ? `(${a})[${l}]` : `(${b})[${l - 4}]`)).join(', ')})`;
      }
    }
  }

  /** Operands of one operator; constants alone are hidden from the shader compiler. */
  private operands(...all: readonly KExpr[]): readonly string[] {
    if (!all.every((e) => e.k === 'const')) return all.map((e) => this.expr(e));
    return all.map((e) => {
      const scalar = opaque(e.value, e.type.elem);
      return e.type.lanes === 1 ? scalar : `${typeName(e.type)}(${scalar})`;
    });
  }

  private unary(op: UnOp, a: string, { elem }: KType): string {
    if (op === 'neg') return elem === 'u32' ? `(~${a} + 1u)` : `(-${a})`;
    if (op === 'not') return elem === 'bool' ? `(!${a})` : `(~${a})`;
    return `${UNARY[op]}(${a})`;
  }

  private binary(op: BinOp, a: string, b: string, type: KType): string {
    const { elem, lanes } = type;
    const suffix = lanes === 1 ? 'f32' : 'vec4';
    if (op === 'min' || op === 'max') return elem === 'f32' ? `${op}_${suffix}(${a}, ${b})` : `${op}(${a}, ${b})`;
    if (op === 'pmin') return `select(${a}, ${b}, ${b} < ${a})`;
    if (op === 'pmax') return `select(${a}, ${b}, ${a} < ${b})`;
    if (op === 'shl' || op === 'shr') {
      const count = lanes === 1 ? 'u32' : 'vec4<u32>';
      return `(${a} ${op === 'shl' ? '<<' : '>>'} (${count}(${b}) & ${count}(31u)))`;
    }
    if (elem === 'bool' && op === 'xor') return `(${a} != ${b})`;
    return `(${a} ${SYMBOL[op]} ${b})`;
  }

  private cast(a: string, from: KType, to: KType): string {
    if (from.elem === 'f32' && (to.elem === 'i32' || to.elem === 'u32'))
      return `to_${to.elem}_${to.lanes === 1 ? 'f32' : 'vec4'}(${a})`;
    return `${typeName(to)}(${a})`;
  }

  /** Its own names end in an underscore, which no name from outside does. */
  private accessor(kind: 'load' | 'store', buf: KBuffer, lanes: number, text: (name: string) => string): string {
    const key = `${kind} ${lanes} ${this.names.of(buf)}`;
    const known = this.accessors.get(key);
    if (known) return known.name;
    const name = this.names.fresh(`${kind}${lanes}_${this.names.of(buf)}`);
    this.accessors.set(key, { name, text: text(name) });
    return name;
  }

  /** The name of a function that reads an element or a vector; written on first use. */
  private loader(buf: KBuffer, lanes: number): string {
    return this.accessor('load', buf, lanes, (name) => {
      const type = typeName(vec(loadedElem(buf.elem), lanes));
      const items = Array.from({ length: lanes }, (_, i) => this.word(buf, i === 0 ? 'i_' : `i_ + ${i}`));
      const head = `fn ${name}(i_: i32) -> ${type}`;
      if (!isHalf(buf.elem)) return `${head} { return ${lanes === 1 ? items[0] : `${type}(${items.join(', ')})`}; }`;
      const raw: KVar = { kind: 'var', name: 'raw', type: vec('u32', lanes), mutable: false };
      const bits = lanes === 1 ? items[0] : `vec4<u32>(${items.join(', ')})`;
      const value = this.expr(widen(buf.elem, { k: 'var', var: raw, type: raw.type }));
      return `${head} { let ${this.names.of(raw)} = ${bits}; return ${value}; }`;
    });
  }

  /** One element as it comes from memory; 16-bit formats as their bits. */
  private word(buf: KBuffer, index: string): string {
    const name = this.names.of(buf);
    if (isHalf(buf.elem)) return `((${name}[(${index}) >> 1u] >> (u32((${index}) & 1) * 16u)) & 0xffffu)`;
    return buf.elem === 'bool' ? `(${name}[${index}] != 0u)` : `${name}[${index}]`;
  }

  private store(buf: KBuffer, index: KExpr, value: KExpr): string {
    const { lanes } = value.type;
    if (isHalf(buf.elem) && lanes === 1)
      throw new Error(`${this.kernel.name}: ${buf.name} packs two elements in a word; its schedule must store vectors`);
    const name = this.accessor('store', buf, lanes, (fn) => {
      const target = this.names.of(buf);
      const lines: string[] = [];
      if (isHalf(buf.elem)) {
        // Vectors start at an even element.
        const x: KVar = { kind: 'var', name: 'x', type: value.type, mutable: false };
        const raw = this.expr(narrow(buf.elem, { k: 'var', var: x, type: x.type }));
        lines.push(`let ${this.names.of(x)} = v_; let word_ = ${raw};`);
        for (let i = 0; i < lanes; i += 2)
          lines.push(`${target}[(i_ >> 1u) + ${i / 2}] = word_[${i}] | (word_[${i + 1}] << 16u);`);
      } else {
        const words = buf.elem === 'bool' ? (lanes === 1 ? 'u32(v_)' : 'vec4<u32>(v_)') : 'v_';
        lines.push(`let word_ = ${words};`);
        for (let i = 0; i < lanes; i++) lines.push(`${target}[i_ + ${i}] = word_${lanes === 1 ? '' : `[${i}]`};`);
      }
      return `fn ${fn}(i_: i32, v_: ${typeName(value.type)}) { ${lines.join(' ')} }`;
    });
    return `${name}(${this.expr(index)}, ${this.expr(value)});`;
  }
}

function gridAxis(axis: Axis): { readonly level: 'workgroup' | 'invocation'; readonly dim: GridAxis } | null {
  if (axis === 'serial') return null;
  if (axis === 'parallel') throw new Error('a parallel loop must be bound to an axis of the grid');
  const [level, dim] = axis.split('.') as ['workgroup' | 'invocation', GridAxis];
  return { level, dim };
}
