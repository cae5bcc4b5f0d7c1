/**
 * Prints one kernel as a WGSL compute shader. All data of a device lies in one storage buffer of words, `memory`: WebGPU
 * forbids binding a buffer twice where one binding writes, limits their number and aligns their offsets, and none of it
 * applies to places in one buffer. `args` has 4 bytes for each parameter of the kernel, in order: the place of a buffer,
 * counted in its own elements, or the value of a scalar. bool is u32 0/1 in memory; the 16-bit formats lie two to a word.
 *
 * Loops bound to a workgroup or invocation axis have no loop in the text: the dispatch has exactly their extents.
 */
import { loadedElem } from '../builder.ts';
import { isHalf, narrow, widen } from '../half.ts';
import type { Axis, BinOp, KBuffer, Kernel, KExpr, KStmt, KVar } from '../kernel.ts';
import { vec } from '../kernel.ts';
import { wordsOf } from '../limits.ts';
import { Names } from '../names.ts';
import { arraysOf, walk } from '../walk.ts';
import { GRID_AXES, gridOf, type Extent, type Grid, type GridAxis } from './grid.ts';
import { preludeFor } from './prelude.ts';
import type { Origin } from '../../ir/ir.ts';
import { binary, cast, constant, memoryElem, opaque, typeName, unary } from './operators.ts';
import { reservedInWgsl } from './reserved.ts';

export interface Shader {
  readonly code: string;
  readonly workgroupSize: readonly [number, number, number];
  readonly grid: Grid;
}

/** `lineOf` names the lines that parts of the kernel compute, where they are several; without it no comment does. */
export function printWgsl(kernel: Kernel, lineOf?: (o: Origin) => string): Shader {
  return new ShaderPrinter(kernel, lineOf).print();
}

const ARITHMETIC: ReadonlySet<BinOp> = new Set<BinOp>(['add', 'sub', 'mul', 'div']);

class ShaderPrinter {
  private readonly kernel: Kernel;
  private readonly names = new Names(reservedInWgsl);
  private readonly lines: string[] = [];
  /** Functions that read and write elements and vectors of a buffer: their names by what they do, and their text. */
  private readonly accessors = new Map<string, { readonly name: string; readonly text: string }>();
  private readonly workgroupSize: Record<GridAxis, number> = { x: 1, y: 1, z: 1 };
  private readonly workgroups: Partial<Record<GridAxis, Extent>> = {};
  /** What hides a number from compilers: how often a loop runs, and a zero that is an operand. */
  private readonly hidden = new Set<'rolled' | 'zero_f32'>();
  /** Two 16-bit elements share a word, and whoever writes one must leave the other alone. */
  private readonly atomic: boolean;
  /** The place of this one stands for a number that compilers do not know. */
  private readonly buffer: KBuffer | undefined;

  private readonly lineOf: ((o: Origin) => string) | null;
  /** What the last comment says. */
  private line: string | null = null;

  constructor(kernel: Kernel, lineOf?: (o: Origin) => string) {
    this.kernel = kernel;
    this.lineOf = kernel.origins.length > 1 ? (lineOf ?? null) : null;
    this.buffer = kernel.params.find((p) => p.kind === 'buffer');
    this.atomic = storesHalves(kernel);
  }

  print(): Shader {
    const { params } = this.kernel;
    const head = ['struct Args {'];
    for (const p of params) head.push(`  ${this.names.of(p)}: ${p.kind === 'buffer' ? 'i32' : typeName(p.type)},`);
    head.push(
      '}',
      `@group(0) @binding(0) var<storage, read_write> memory: array<${this.atomic ? 'atomic<u32>' : 'u32'}>;`,
      '@group(0) @binding(1) var<uniform> args: Args;',
    );
    for (const a of arraysOf(this.kernel)) {
      const space = a.space === 'shared' ? 'workgroup' : 'private';
      const items = a.vectors ? `vec4<f32>, ${wordsOf(a) / 4}` : `${memoryElem(a.elem)}, ${wordsOf(a)}`;
      head.push(`var<${space}> ${this.names.of(a)}: array<${items}>;`);
    }
    this.statements(this.kernel.body, '  ');
    const grid = gridOf(this.workgroups, params);
    const { x, y, z } = this.workgroupSize;
    const builtins = ['@builtin(workgroup_id) workgroup_id: vec3<u32>'];
    if (grid.folded) builtins.push('@builtin(num_workgroups) num_workgroups: vec3<u32>');
    builtins.push('@builtin(local_invocation_id) local_id: vec3<u32>');
    const entry = [
      `@compute @workgroup_size(${x}, ${y}, ${z})`,
      `fn main(${builtins.join(', ')}) {`,
      ...(grid.folded ? this.foldedIds() : this.plainIds()),
      ...this.lines,
      '}',
    ];
    // No place is negative, which no compiler knows.
    const nought = this.buffer ? `min(args.${this.names.of(this.buffer)}, 0i)` : '0i';
    // It cannot copy the body for each iteration, which takes it seconds.
    if (this.hidden.has('rolled')) head.push(`fn rolled(end: i32) -> i32 { return end + ${nought}; }`);
    // It cannot take `x * 0` for 0, nor `x / 0` for anything, as it may where it knows the zero.
    if (this.hidden.has('zero_f32'))
      head.push(`fn zero_f32(bits: u32) -> f32 { return bitcast<f32>(bits | u32(${nought})); }`);
    const body = [...[...this.accessors.values()].map((a) => a.text), ...entry, ''].join('\n');
    const prelude = preludeFor(body);
    const code = [...head, ...(prelude === '' ? [] : [prelude]), body].join('\n');
    return { code, workgroupSize: [x, y, z], grid };
  }

  private plainIds(): string[] {
    return GRID_AXES.flatMap((d) => (this.workgroups[d] ? [`  let group_${d} = i32(workgroup_id.${d});`] : []));
  }

  /** Which workgroup this is along each axis, from its flat number. The return is the same for the whole workgroup. */
  private foldedIds(): string[] {
    const axes = GRID_AXES.filter((d) => this.workgroups[d]);
    const count = (d: GridAxis): string => {
      const { from, to, step } = this.workgroups[d]!;
      const length = from.k === 'const' && from.value === 0 ? this.expr(to) : `(${this.expr(to)} - ${this.expr(from)})`;
      return step === 1 ? length : `(${length} + ${step - 1}) / ${step}`;
    };
    const lines = ['  let flat_id = i32(workgroup_id.x + workgroup_id.y * num_workgroups.x);'];
    for (const d of axes) lines.push(`  let groups_${d} = ${count(d)};`);
    lines.push(`  if (flat_id >= ${axes.map((d) => `groups_${d}`).join(' * ')}) { return; }`);
    axes.forEach((d, i) => {
      const inner = axes.slice(0, i).map((a) => `groups_${a}`);
      const quotient = inner.length === 0 ? 'flat_id' : `flat_id / (${inner.join(' * ')})`;
      lines.push(`  let group_${d} = ${i === axes.length - 1 ? quotient : `(${quotient}) % groups_${d}`};`);
    });
    return lines;
  }

  private statements(body: readonly KStmt[], indent: string): void {
    for (const s of body) {
      const line = s.origin && this.lineOf ? this.lineOf(s.origin) : '';
      if (line !== '' && line !== this.line) this.lines.push(`${indent}// ${commentText(line)}`);
      if (line !== '') this.line = line;
      this.statement(s, indent);
    }
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
        return put(s.space === 'global' ? 'storageBarrier();' : 'workgroupBarrier();');
      case 'note':
        return put(`// ${commentText(s.text)}`);
    }
  }

  private loop(s: KStmt & { s: 'for' }, indent: string): void {
    const i = this.names.of(s.var);
    const axis = gridAxis(s.axis);
    if (axis === null) {
      const end = this.bound(s, indent);
      this.lines.push(`${indent}for (var ${i}: i32 = ${this.expr(s.from)}; ${i} < ${end}; ${i} += ${s.step}i) {`);
      this.statements(s.body, `${indent}  `);
      this.lines.push(`${indent}}`);
      return;
    }
    const { level, dim } = axis;
    if (level === 'workgroup' && this.workgroups[dim]) throw new Error(`${this.kernel.name}: two loops are ${s.axis}`);
    if (level === 'workgroup') this.workgroups[dim] = { from: s.from, to: s.to, step: s.step };
    else {
      if (s.from.k !== 'const' || s.to.k !== 'const')
        throw new Error(`${this.kernel.name}: an invocation axis needs constant bounds`);
      this.workgroupSize[dim] = Math.ceil((s.to.value - s.from.value) / s.step);
    }
    const id = level === 'workgroup' ? `group_${dim}` : `i32(local_id.${dim})`;
    const start = s.from.k === 'const' && s.from.value === 0 ? '' : `${this.expr(s.from)} + `;
    this.lines.push(`${indent}{`);
    this.lines.push(`${indent}  let ${i}: i32 = ${start}${id}${s.step === 1 ? '' : ` * ${s.step}`};`);
    this.statements(s.body, `${indent}  `);
    this.lines.push(`${indent}}`);
  }

  /** The end of a serial loop: what is not one word is evaluated once. */
  private bound(s: KStmt & { s: 'for' }, indent: string): string {
    if (s.to.k === 'const') {
      if (s.axis === 'unrolled' || s.from.k !== 'const' || !this.buffer) return this.expr(s.to);
      this.hidden.add('rolled');
      return `rolled(${this.expr(s.to)})`;
    }
    const end = this.names.fresh('end');
    this.lines.push(`${indent}let ${end} = ${this.expr(s.to)};`);
    return end;
  }

  private expr(e: KExpr): string {
    const { elem, lanes } = e.type;
    switch (e.k) {
      case 'const':
        return lanes === 1 ? constant(e.value, elem) : `${typeName(e.type)}(${constant(e.value, elem)})`;
      case 'var':
        return this.kernel.params.includes(e.var) ? `args.${this.names.of(e.var)}` : this.names.of(e.var);
      case 'un':
        return unary(e.op, this.operands(e.a)[0]!, e.type);
      case 'bin': {
        const [a, b] = (ARITHMETIC.has(e.op) ? this.factors : this.operands).call(this, e.a, e.b);
        if (e.a.type.elem === 'f32' && e.a.k === 'var' && e.b.k === 'var' && e.a.var === e.b.var) {
          // Whether it is a number: compilers may take for granted that it is, but not of its bits.
          const nan = `is_nan_${lanes === 1 ? 'f32' : 'vec4'}(${a!})`;
          if (e.op === 'eq') return `(!${nan})`;
          if (e.op === 'ne') return nan;
        }
        return binary(e.op, a!, b!, e.a.type);
      }
      case 'fma':
        return `fma(${this.factors(e.a, e.b, e.c).join(', ')})`;
      case 'dot':
        throw new Error('WGSL has no products of pairs of bf16');
      case 'select':
        return `select(${this.expr(e.b)}, ${this.expr(e.a)}, ${this.expr(e.cond)})`;
      case 'load':
        return `${this.loader(e.buf, lanes)}(${this.expr(e.index)})`;
      case 'cast':
        return cast(this.operands(e.a)[0]!, e.a.type, e.type);
      case 'bitcast':
        return `bitcast<${typeName(e.type)}>(${this.expr(e.a)})`;
      case 'splat':
        return `${typeName(e.type)}(${this.expr(e.a)})`;
      case 'lane':
        return e.a.type.lanes === 1 ? this.expr(e.a) : `(${this.expr(e.a)})[${e.lane}]`;
      case 'vec':
        return `${typeName(e.type)}(${e.items.map((i) => this.expr(i)).join(', ')})`;
      case 'shuffle': {
        const [a, b] = [this.expr(e.a), this.expr(e.b)];
        return `${typeName(e.type)}(${e.lanes.map((l) => (l < 4 ? `(${a})[${l}]` : `(${b})[${l - 4}]`)).join(', ')})`;
      }
      case 'subgroup':
        return 'subgroup';
      case 'passed':
        return `passed_${elem}(${this.expr(e.a)}, ${this.expr(e.by)})`;
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

  /** Operands of float arithmetic: with a zero that they know, compilers assume that no NaN, infinity or -0 comes along. */
  private factors(...all: readonly KExpr[]): readonly string[] {
    const texts = this.operands(...all);
    return all.map((e, i) => {
      if (e.k !== 'const' || e.type.elem !== 'f32' || e.value !== 0) return texts[i]!;
      this.hidden.add('zero_f32');
      const scalar = `zero_f32(${Object.is(e.value, -0) ? '0x80000000u' : '0u'})`;
      return e.type.lanes === 1 ? scalar : `${typeName(e.type)}(${scalar})`;
    });
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
      if (buf.vectors) return `fn ${name}(i_: i32) -> ${type} { return ${this.names.of(buf)}[i_ >> 2u]; }`;
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
    const { elem } = buf;
    const cell = this.cell(buf, index);
    const word = this.atomic && buf.space === 'global' ? `atomicLoad(&${cell})` : cell;
    if (isHalf(elem)) return `((${word} >> ${this.shift(buf, index)}) & 0xffffu)`;
    if (elem === 'bool') return `(${word} != 0u)`;
    return buf.space === 'global' && elem !== 'u32' ? `bitcast<${elem}>(${word})` : word;
  }

  /** The word that holds an element. */
  private cell(buf: KBuffer, index: string): string {
    const place = this.place(buf, index);
    const array = buf.space === 'global' ? 'memory' : this.names.of(buf);
    return isHalf(buf.elem) ? `${array}[(${place}) >> 1u]` : `${array}[${place}]`;
  }

  /** Where in its word a 16-bit element begins. */
  private shift(buf: KBuffer, index: string): string {
    return `(u32((${this.place(buf, index)}) & 1) * 16u)`;
  }

  private place(buf: KBuffer, index: string): string {
    return buf.space === 'global' ? `args.${this.names.of(buf)} + ${index}` : index;
  }

  private store(buf: KBuffer, index: KExpr, value: KExpr): string {
    const { lanes } = value.type;
    const name = this.accessor('store', buf, lanes, (fn) => {
      if (buf.vectors) return `fn ${fn}(i_: i32, v_: vec4<f32>) { ${this.names.of(buf)}[i_ >> 2u] = v_; }`;
      const lines: string[] = [];
      const each = (line: (at: string, word: string) => string): void => {
        for (let i = 0; i < lanes; i++)
          lines.push(line(i === 0 ? 'i_' : `i_ + ${i}`, lanes === 1 ? 'word_' : `word_[${i}]`));
      };
      if (isHalf(buf.elem)) {
        const x: KVar = { kind: 'var', name: 'x', type: value.type, mutable: false };
        const raw = this.expr(narrow(buf.elem, { k: 'var', var: x, type: x.type }));
        lines.push(`let ${this.names.of(x)} = v_; let word_ = ${raw};`);
        each((at, word) => this.storeHalf(buf, at, word));
      } else {
        const bits = lanes === 1 ? 'u32' : 'vec4<u32>';
        const asWord = buf.elem === 'bool' ? `${bits}(v_)` : `bitcast<${bits}>(v_)`;
        lines.push(`let word_ = ${buf.elem === 'bool' || buf.space === 'global' ? asWord : 'v_'};`);
        each((at, word) =>
          this.atomic && buf.space === 'global'
            ? `atomicStore(&${this.cell(buf, at)}, ${word});`
            : `${this.cell(buf, at)} = ${word};`,
        );
      }
      return `fn ${fn}(i_: i32, v_: ${typeName(value.type)}) { ${lines.join(' ')} }`;
    });
    return `${name}(${this.expr(index)}, ${this.expr(value)});`;
  }

  private storeHalf(buf: KBuffer, at: string, half: string): string {
    const [cell, shift] = [this.cell(buf, at), this.shift(buf, at)];
    if (buf.space === 'shared')
      throw new Error(`${this.kernel.name}: ${buf.name} would be written by half a word at a time`);
    if (buf.space === 'private') return `${cell} = (${cell} & ~(0xffffu << ${shift})) | (${half} << ${shift});`;
    return `atomicAnd(&${cell}, ~(0xffffu << ${shift})); atomicOr(&${cell}, ${half} << ${shift});`;
  }
}

/** What may stand in a comment of one line, whatever the source says. */
export const commentText = (text: string): string => text.replace(/[^ -~]/g, '?');

function storesHalves(kernel: Kernel): boolean {
  let found = false;
  walk(
    kernel.body,
    (s) => (found ||= s.s === 'store' && isHalf(s.buf.elem) && s.buf.space === 'global'),
    () => undefined,
  );
  return found;
}

function gridAxis(axis: Axis): { readonly level: 'workgroup' | 'invocation'; readonly dim: GridAxis } | null {
  if (axis === 'serial' || axis === 'unrolled') return null;
  if (axis === 'parallel') throw new Error('a parallel loop must be bound to an axis of the grid');
  const [level, dim] = axis.split('.') as ['workgroup' | 'invocation', GridAxis];
  return { level, dim };
}
