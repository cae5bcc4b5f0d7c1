/**
 * Prints kernels as C for GCC and Clang (`-std=gnu11 -ffp-contract=off`, clean under -Wall -Wextra), with vectors of as
 * many lanes as the schedule chose. A bool is uint32_t 0/1 as a scalar, a mask as a vector.
 */
import { isHalf, narrow, widen } from '../half.ts';
import { INFIX } from '../infix.ts';
import type { BinOp, KBuffer, Kernel, KElem, KExpr, KStmt, KType, KVar, StorageElem, UnOp } from '../kernel.ts';
import { PART, PARTS, vec } from '../kernel.ts';
import { Names } from '../names.ts';
import { readsPart, shared, type SharedKernel } from '../threads.ts';
import { arraysOf, walk } from '../walk.ts';
import { indexVars } from './index-vars.ts';
import { DOT, prelude, reservedInC } from './prelude.ts';

export interface COptions {
  /** The processor has fused multiply-add: `fma` rounds once. Otherwise it is a multiplication and an addition. */
  readonly fma: boolean;
  /**
   * Plain C99, for scalar kernels: functions are private, and memory is read and written by copies, which may hold numbers of
   * one type now and of another later.
   */
  readonly portable?: boolean;
  /** From how many statements on the threads of the pool (`pool.ts`) share a kernel. Default: none is shared. */
  readonly sharedFrom?: number;
}

/** A translation unit with one function per kernel, under the kernel's name. */
export function printC(kernels: readonly Kernel[], options: COptions): string {
  const names = new Names(reservedInC);
  return preludeFor(kernels) + kernels.map((k) => printFunction(k, names.of(k), options)).join('');
}

/** One kernel as a function, which stands on the prelude. */
export const printFunction = (kernel: Kernel, name: string, options: COptions): string =>
  new CKernel(kernel, name, options).print();

/** The conversions of a 16-bit format that portable kernels call. */
export function halfFunctions(format: 'f16' | 'bf16'): string {
  const printer = new CKernel({ name: '', params: [], body: [], origins: [] }, '', { fma: false });
  const v = (elem: KElem): KExpr => ({
    k: 'var',
    var: { kind: 'var', name: 'x', type: vec(elem, 1), mutable: false },
    type: vec(elem, 1),
  });
  const [raw, x] = [v('u32'), v('f32')];
  const body = (e: KExpr, by: KExpr): string =>
    `(${typeName(by.type)} ${printer.expr(by)}) { return ${printer.expr(e)}; }\n`;
  return `FN float widen_${format}${body(widen(format, raw), raw)}FN uint32_t narrow_${format}${body(narrow(format, x), x)}`;
}

/** Its declaration. */
export const prototype = (kernel: Kernel, name: string): string =>
  `EXPORT void ${name}(${kernel.params.map((p) => (p.kind === 'buffer' ? pointer(p) : typeName(p.type))).join(', ') || 'void'});\n`;

/** What the kernels' functions need. */
export function preludeFor(kernels: readonly Kernel[]): string {
  const lanes = new Set<number>();
  let pairs = false;
  for (const kernel of kernels)
    walk(
      kernel.body,
      () => {},
      (e) => {
        if (e.type.lanes > 1) lanes.add(e.type.lanes);
        pairs ||= e.k === 'dot';
      },
    );
  return pairs ? `${prelude(lanes)}${DOT}` : prelude(lanes);
}

const SCALAR: Record<KElem, string> = { f32: 'float', i32: 'int32_t', u32: 'uint32_t', bool: 'uint32_t' };
const MEMORY: Record<StorageElem, string> = { ...SCALAR, f16: 'uint16_t', bf16: 'uint16_t' };
const COMPARE = new Set<BinOp>(['eq', 'ne', 'lt', 'le', 'gt', 'ge']);
const ROUNDING: Partial<Record<UnOp, string>> = {
  abs: 'fabs',
  sqrt: 'sqrt',
  floor: 'floor',
  ceil: 'ceil',
  trunc: 'trunc',
  round: 'rint',
};

/** Operators that mean in 64 bits what they mean in 32 where nothing wraps. */
const EXACT: Partial<Record<BinOp, string>> = { add: '+', sub: '-', mul: '*', div: '/', rem: '%', and: '&' };

/** A vector's type; bools are masks of i32. */
const vectorName = (t: KType): string => `${t.elem === 'bool' ? 'i32' : t.elem}x${t.lanes}`;
const typeName = (t: KType): string => (t.lanes === 1 ? SCALAR[t.elem] : vectorName(t));

/** The type of a buffer's parameter. */
export const pointer = (b: KBuffer): string => `${b.access === 'read' ? 'const ' : ''}${MEMORY[b.elem]} *`;

/** Negative ones in parentheses: two minus signs in a row are another operator. */
function constant(value: number, elem: KElem): string {
  const text = literal(value, elem);
  return text.startsWith('-') ? `(${text})` : text;
}

function literal(value: number, elem: KElem): string {
  if (elem === 'i32') return value === -2147483648 ? 'INT32_MIN' : `${value}`;
  if (elem !== 'f32') return `${value >>> 0}u`;
  if (Number.isNaN(value)) return 'NAN';
  if (!Number.isFinite(value)) return value < 0 ? '-INFINITY' : 'INFINITY';
  const text = Object.is(value, -0) ? '-0.0' : String(value);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

class CKernel {
  private readonly kernel: Kernel;
  private readonly name: string;
  private readonly options: COptions;
  private readonly names = new Names(reservedInC);
  private readonly lines: string[] = [];
  private readonly indices: ReadonlySet<KVar>;
  private readonly shared: SharedKernel | null;

  constructor(kernel: Kernel, name: string, options: COptions) {
    this.kernel = kernel;
    this.name = name;
    this.options = options;
    this.shared = options.sharedFrom === undefined ? null : shared(kernel, options.sharedFrom);
    this.indices = indexVars(this.shared?.body ?? kernel.body);
  }

  print(): string {
    const params = this.kernel.params.map((p) =>
      p.kind === 'buffer' ? `${pointer(p)}${this.names.of(p)}` : `${typeName(p.type)} ${this.names.of(p)}`,
    );
    if (this.shared) return this.task(params, this.shared);
    this.lines.push(`${this.options.portable ? 'static ' : ''}void ${this.name}(${params.join(', ') || 'void'}) {`);
    for (const p of this.kernel.params) this.lines.push(`  (void)${this.names.of(p)};`);
    if (readsPart(this.kernel))
      this.lines.push(`  LET int32_t ${this.names.of(PART)} = 0, ${this.names.of(PARTS)} = 1;`);
    return this.body(this.kernel.body);
  }

  private body(body: readonly KStmt[]): string {
    for (const a of arraysOf(this.kernel)) this.lines.push(`  ${MEMORY[a.elem]} ${this.names.of(a)}[${a.length}];`);
    this.statements(body, '  ');
    this.lines.push('}', '');
    return this.lines.join('\n');
  }

  /** The function that every thread runs, on arguments that lie in a struct, after the one that weighs the work and calls it. */
  private task(params: readonly string[], { weigh, body }: SharedKernel): string {
    const names = this.kernel.params.map((p) => this.names.of(p));
    const [args, all] = ['args', 'all'].map((n) => this.names.fresh(n));
    const [part, parts] = [PART, PARTS].map((v) => this.names.of(v));
    const struct = `struct ${this.name}_args`;
    const task = `${this.name}_part`;
    this.lines.push(
      `${struct} { ${params.map((p) => `${p};`).join(' ')} };`,
      `static void ${task}(const void *, int, int);`,
      `void ${this.name}(${params.join(', ')}) {`,
      `  const ${struct} ${args} = { ${names.join(', ')} };`,
      '  if (netwright_threads > 1) {',
    );
    this.statements(weigh.body, '    ');
    this.lines.push(
      `    if (${this.expr(weigh.worth)}) { netwright_share(${task}, &${args}); return; }`,
      '  }',
      `  ${task}(&${args}, 0, 1);`,
      '}',
      `static void ${task}(const void *${all}, int ${part}, int ${parts}) {`,
      `  const ${struct} *const ${args} = ${all};`,
      ...params.map((p, i) => `  LET ${p} = ${args}->${names[i]};`.replace(/LET (.*\*)/, 'VAR $1')),
    );
    return this.body(body);
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
        if (this.indices.has(s.var)) return put(`LET ptrdiff_t ${this.names.of(s.var)} = ${this.index(s.value)};`);
        return put(
          `${s.var.mutable ? 'VAR' : 'LET'} ${typeName(s.var.type)} ${this.names.of(s.var)} = ${this.expr(s.value)};`,
        );
      case 'set':
        return put(`${this.names.of(s.var)} = ${this.expr(s.value)};`);
      case 'store':
        return put(this.store(s.buf, this.index(s.index), s.value));
      case 'for': {
        const i = this.names.of(s.var);
        const end = this.names.fresh('end');
        const type = this.indices.has(s.var) ? 'ptrdiff_t' : 'int32_t';
        const init = `${type} ${i} = ${this.index(s.from)}, ${end} = ${this.index(s.to)}`;
        return block(`for (${init}; ${i} < ${end}; ${i} += ${s.step})`, s.body);
      }
      case 'while':
        return block(`while (${this.expr(s.cond)})`, s.body);
      case 'if':
        block(`if (${this.expr(s.cond)})`, s.then);
        if (s.else.length > 0) block('else', s.else);
        return;
      case 'barrier':
        if (this.shared && s.space === 'threads') put(`if (${this.names.of(PARTS)} > 1) netwright_barrier();`);
        return;
      case 'note':
        return put(`/* ${s.text.replace(/[^ -~]/g, '?').replaceAll('*/', '* /')} */`);
    }
  }

  private store(buf: KBuffer, index: string, value: KExpr): string {
    const place = `${this.names.of(buf)} + ${index}`;
    const { elem, lanes } = value.type;
    if (this.options.portable) {
      const x = this.expr(value);
      if (isHalf(buf.elem)) return `store_half(${place}, narrow_${buf.elem}(${x}));`;
      return `store_${elem === 'bool' ? 'u32' : elem}(${place}, ${x});`;
    }
    if (isHalf(buf.elem)) {
      const format = buf.elem;
      const x: KVar = { kind: 'var', name: 'x', type: value.type, mutable: false };
      const raw = this.expr(narrow(format, { k: 'var', var: x, type: x.type }));
      const stored = lanes === 1 ? `*(${place}) = (uint16_t)${raw}` : `store_half_x${lanes}(${place}, ${raw})`;
      return `{ LET ${typeName(x.type)} ${this.names.of(x)} = ${this.expr(value)}; ${stored}; }`;
    }
    if (lanes === 1) return `*(${place}) = ${this.expr(value)};`;
    if (elem === 'bool') return `store_i32x${lanes}(${place}, ${this.expr(value)} & 1);`;
    return `store_${vectorName(value.type)}(${place}, ${this.expr(value)});`;
  }

  /**
   * An index or a size, computed without wrapping in the width of an address: what wraps in 32 bits has to be extended before
   * each access.
   */
  private index(e: KExpr): string {
    if (e.k === 'const') return constant(e.value, 'i32');
    if (e.k === 'var' && this.indices.has(e.var)) return this.names.of(e.var);
    const symbol = e.k === 'bin' ? EXACT[e.op] : undefined;
    if (e.k === 'bin' && symbol) return `(${this.index(e.a)} ${symbol} ${this.index(e.b)})`;
    if (e.k === 'bin' && (e.op === 'min' || e.op === 'max'))
      return `${e.op}_index(${this.index(e.a)}, ${this.index(e.b)})`;
    return `(ptrdiff_t)${this.expr(e)}`;
  }

  expr(e: KExpr): string {
    const { elem, lanes } = e.type;
    switch (e.k) {
      case 'const':
        if (lanes === 1) return constant(e.value, elem);
        return `splat_${vectorName(e.type)}(${elem === 'bool' ? (e.value ? '(-1)' : '0') : constant(e.value, elem)})`;
      case 'var':
        return this.names.of(e.var);
      case 'un':
        return this.unary(e.op, this.expr(e.a), e.type);
      case 'bin':
        return this.binary(e.op, this.expr(e.a), this.expr(e.b), e.a.type);
      case 'fma':
        if (!this.options.fma) return `(${this.expr(e.a)} * ${this.expr(e.b)} + ${this.expr(e.c)})`;
        return `${lanes === 1 ? 'fmaf' : `fma_f32x${lanes}`}(${this.expr(e.a)}, ${this.expr(e.b)}, ${this.expr(e.c)})`;
      case 'dot':
        return `dot_f32x${lanes}(${this.expr(e.a)}, ${this.expr(e.b)}, ${this.expr(e.c)})`;
      case 'select':
        if (lanes > 1)
          return `select_${vectorName(e.type)}(${this.expr(e.cond)}, ${this.expr(e.a)}, ${this.expr(e.b)})`;
        return `(${this.expr(e.cond)} ? ${this.expr(e.a)} : ${this.expr(e.b)})`;
      case 'load':
        return this.load(e);
      case 'cast':
        return this.cast(this.expr(e.a), e.a.type, e.type);
      case 'bitcast':
        return this.bitcast(this.expr(e.a), e.a.type, e.type);
      case 'splat':
        return `splat_${vectorName(e.type)}(${elem === 'bool' ? '-(int32_t)' : ''}${this.expr(e.a)})`;
      case 'lane': {
        const value = `lane_${vectorName(e.a.type)}(${this.expr(e.a)}, ${e.lane})`;
        return elem === 'bool' ? `(uint32_t)(${value} & 1)` : value;
      }
      case 'vec':
        return `(${vectorName(e.type)}){${e.items.map((i) => (elem === 'bool' ? `-(int32_t)${this.expr(i)}` : this.expr(i))).join(', ')}}`;
      case 'shuffle':
        return `__builtin_shufflevector(${this.expr(e.a)}, ${this.expr(e.b)}, ${e.lanes.join(', ')})`;
      case 'subgroup':
        return '1';
      case 'passed':
        return this.expr(e.a);
    }
  }

  private unary(op: UnOp, a: string, type: KType): string {
    const { elem, lanes } = type;
    const suffix = lanes === 1 ? '' : `x${lanes}`;
    if (elem === 'f32') {
      if (op === 'neg') return `(-${a})`;
      const fn = ROUNDING[op];
      if (!fn) throw new Error(`no ${op} of f32`);
      return lanes === 1 ? `${fn}f(${a})` : `${fn}_f32${suffix}(${a})`;
    }
    const wide = lanes === 1 ? 'uint32_t' : `u32${suffix}`;
    if (op === 'not') return elem === 'bool' && lanes === 1 ? `(${a} ^ 1u)` : `(~${a})`;
    if (op === 'neg') return `((${typeName(type)})(-(${wide})${a}))`;
    if (op === 'abs') return elem === 'i32' ? `abs_i32${suffix}(${a})` : a;
    return `((${typeName(type)})${op}_u32${suffix}((${wide})${a}))`;
  }

  private binary(op: BinOp, a: string, b: string, type: KType): string {
    const { elem, lanes } = type;
    const suffix = lanes === 1 ? '' : `x${lanes}`;
    if (COMPARE.has(op)) {
      // Masks are -1 for true: as unsigned numbers they compare as 0 and 1 do.
      const side = (x: string): string => (elem === 'bool' && lanes > 1 ? `(u32${suffix})${x}` : x);
      return `((${lanes === 1 ? 'uint32_t' : `i32${suffix}`})(${side(a)} ${INFIX[op]} ${side(b)}))`;
    }
    if (op === 'min' || op === 'max' || op === 'pmin' || op === 'pmax') {
      const plain = elem === 'f32' ? op : op === 'min' || op === 'pmin' ? 'min' : 'max';
      return `${plain}_${elem === 'bool' ? 'u32' : elem}${suffix}(${a}, ${b})`;
    }
    if (elem === 'f32') {
      if (op === 'rem') throw new Error('no rem of f32');
      return `(${a} ${INFIX[op]} ${b})`;
    }
    if (op === 'div' || op === 'rem') return `${op}_${elem}${suffix}(${a}, ${b})`;
    if (elem !== 'i32' && op !== 'shl' && op !== 'shr') return `(${a} ${INFIX[op]} ${b})`;
    const own = typeName(type);
    const wide = lanes === 1 ? 'uint32_t' : `u32${suffix}`;
    if (op === 'shl') return `((${own})((${wide})${a} << ((${wide})${b} & 31)))`;
    if (op === 'shr') return `(${a} >> ((${own})${b} & 31))`;
    return `((${own})((${wide})${a} ${INFIX[op]} (${wide})${b}))`;
  }

  private load(e: KExpr & { k: 'load' }): string {
    const place = `${this.names.of(e.buf)} + ${this.index(e.index)}`;
    const { elem, lanes } = e.type;
    if (this.options.portable) return this.portableLoad(e, place);
    if (isHalf(e.buf.elem)) {
      // A statement expression names the bits, which the conversion uses several times.
      const raw: KVar = { kind: 'var', name: 'raw', type: vec('u32', lanes), mutable: false };
      const source = lanes === 1 ? `*(${place})` : `load_half_x${lanes}(${place})`;
      const value = this.expr(widen(e.buf.elem, { k: 'var', var: raw, type: raw.type }));
      return `({ LET ${typeName(raw.type)} ${this.names.of(raw)} = ${source}; ${value}; })`;
    }
    if (lanes === 1) return `(*(${place}))`;
    return elem === 'bool'
      ? `((i32x${lanes})(load_u32x${lanes}(${place}) != 0))`
      : `load_${vectorName(e.type)}(${place})`;
  }

  private portableLoad(e: KExpr & { k: 'load' }, place: string): string {
    if (isHalf(e.buf.elem)) return `widen_${e.buf.elem}(load_half(${place}))`;
    return `load_${e.type.elem === 'bool' ? 'u32' : e.type.elem}(${place})`;
  }

  private cast(a: string, from: KType, to: KType): string {
    const { lanes } = to;
    if (to.elem === 'bool') {
      if (from.elem === 'bool') return a;
      return lanes === 1 ? `((uint32_t)(${a} != 0))` : `((i32x${lanes})(${a} != 0))`;
    }
    if (from.elem === 'f32' && to.elem !== 'f32') return `f32_to_${to.elem}${lanes === 1 ? '' : `x${lanes}`}(${a})`;
    if (lanes === 1) return `((${typeName(to)})${a})`;
    const value = from.elem === 'bool' ? `(${a} & 1)` : a;
    return to.elem === 'f32' ? `__builtin_convertvector(${value}, f32x${lanes})` : `((${vectorName(to)})${value})`;
  }

  private bitcast(a: string, from: KType, to: KType): string {
    if (from.elem === to.elem) return a;
    if (to.lanes > 1) return `((${vectorName(to)})${a})`;
    if (to.elem === 'f32') return `bits_f32((uint32_t)${a})`;
    return from.elem === 'f32' ? `((${typeName(to)})f32_bits(${a}))` : `((${typeName(to)})${a})`;
  }
}
