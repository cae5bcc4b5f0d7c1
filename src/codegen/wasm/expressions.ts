/** Prints expressions of kernel IR as WebAssembly: trees become stack code directly. */
import { coerce } from '../builder.ts';
import { isHalf, narrow, widen } from '../half.ts';
import type { BinOp, KBuffer, KExpr, KType, KVar } from '../kernel.ts';
import { I32, PARTS, U32, vec } from '../kernel.ts';
import type { Places } from './addresses.ts';
import { AddressPrinter } from './addresses.ts';
import { I32_TYPE, V128_TYPE } from './encoder.ts';
import type { FunctionWriter } from './function.ts';
import { scalarInstruction, vectorInstruction } from './instructions.ts';
import { MISC, OP, SIMD } from './opcodes.ts';
import { LANES, valueType } from './types.ts';

export class ExpressionPrinter {
  readonly f: FunctionWriter;
  private readonly vars = new Map<KVar, number>();
  readonly addresses: AddressPrinter;

  constructor(f: FunctionWriter, places: Places) {
    this.f = f;
    this.addresses = new AddressPrinter(f, places, (e) => this.expr(e));
  }

  bind(v: KVar, index: number): void {
    this.vars.set(v, index);
  }

  localOf(v: KVar): number {
    const known = this.vars.get(v);
    if (known !== undefined) return known;
    const index = this.f.local(valueType(v.type));
    this.vars.set(v, index);
    return index;
  }

  expr(e: KExpr): void {
    const { f } = this;
    switch (e.k) {
      case 'const':
        return this.constant(e.value, e.type);
      case 'var':
        f.get(this.localOf(e.var));
        return;
      case 'un':
        return this.unary(e);
      case 'bin':
        return this.binary(e);
      case 'fma':
        return this.fma(e);
      case 'dot':
        throw new Error('WebAssembly has no products of pairs of bf16');
      case 'select':
        return this.select(e);
      case 'load':
        return this.load(e);
      case 'cast':
        return this.cast(e.a, e.type);
      case 'bitcast':
        this.expr(e.a);
        if (e.type.lanes === 1 && e.a.type.elem !== e.type.elem) {
          if (e.type.elem === 'f32') f.op(OP.f32ReinterpretI32);
          else if (e.a.type.elem === 'f32') f.op(OP.i32ReinterpretF32);
        }
        return;
      case 'splat':
        if (e.a.k === 'load' && !isHalf(e.a.buf.elem) && e.a.type.elem !== 'bool') {
          const offset = this.addresses.address(e.a.buf, e.a.index);
          f.simd(SIMD.load32Splat).memarg(2, offset);
          return;
        }
        return this.splat(e.a);
      case 'lane':
        this.expr(e.a);
        return this.extract(e.a.type, e.lane);
      case 'vec':
        return this.vector(e.items);
      case 'shuffle':
        this.expr(e.a);
        this.expr(e.b);
        f.simd(SIMD.shuffle);
        for (const l of e.lanes) f.op(l * 4, l * 4 + 1, l * 4 + 2, l * 4 + 3);
        return;
      case 'subgroup':
        return this.constant(1, e.type);
      case 'passed':
        return this.expr(e.a);
    }
  }

  private constant(value: number, type: KType): void {
    const { f } = this;
    if (type.lanes === 1) {
      if (type.elem === 'f32') f.f32(value);
      else f.i32(value);
      return;
    }
    f.simd(SIMD.const);
    for (let i = 0; i < LANES; i++) {
      if (type.elem === 'f32') f.code.f32(value);
      else f.code.word(type.elem === 'bool' ? -value : value);
    }
  }

  private splat(a: KExpr): void {
    const { f } = this;
    if (a.type.elem === 'f32') {
      this.expr(a);
      f.simd(SIMD.f32x4Splat);
    } else if (a.type.elem === 'bool') {
      f.i32(0);
      this.expr(a);
      f.op(OP.i32Sub).simd(SIMD.i32x4Splat);
    } else {
      this.expr(a);
      f.simd(SIMD.i32x4Splat);
    }
  }

  /** From a vector on the stack to the scalar of its lane. */
  private extract(type: KType, lane: number): void {
    const { f } = this;
    if (type.lanes === 1) return;
    f.simd(type.elem === 'f32' ? SIMD.f32x4ExtractLane : SIMD.i32x4ExtractLane).op(lane);
    if (type.elem === 'bool') f.i32(1).op(OP.i32And);
  }

  private vector(items: readonly KExpr[]): void {
    const { f } = this;
    const elem = items[0]!.type.elem;
    this.splat(items[0]!);
    for (let i = 1; i < items.length; i++) {
      if (elem === 'bool') f.i32(0);
      this.expr(items[i]!);
      if (elem === 'bool') f.op(OP.i32Sub);
      f.simd(elem === 'f32' ? SIMD.f32x4ReplaceLane : SIMD.i32x4ReplaceLane).op(i);
    }
  }

  private unary(e: KExpr & { k: 'un' }): void {
    const { f } = this;
    const { elem, lanes } = e.type;
    if (e.op === 'abs' && elem !== 'f32' && elem !== 'i32') return this.expr(e.a);
    const opcode = lanes === 1 ? scalarInstruction(e.op, elem) : vectorInstruction(e.op, elem);
    if (opcode !== undefined) {
      this.expr(e.a);
      if (lanes === 1) f.op(opcode);
      else f.simd(opcode);
      return;
    }
    if (lanes > 1)
      return this.lanewise([e.a], e.type, (items) => ({ k: 'un', op: e.op, a: items[0]!, type: vec(elem, 1) }));
    switch (e.op) {
      case 'neg':
        f.i32(0);
        this.expr(e.a);
        f.op(OP.i32Sub);
        return;
      case 'not':
        this.expr(e.a);
        if (elem === 'bool') f.op(OP.i32Eqz);
        else f.i32(-1).op(OP.i32Xor);
        return;
      case 'abs':
        return this.named(e.a, (a) =>
          this.expr({ k: 'select', cond: cmp('lt', a, zero(a.type)), a: { ...e, op: 'neg', a }, b: a, type: e.type }),
        );
      default:
        throw new Error(`no ${e.op} of ${elem}`);
    }
  }

  private binary(e: KExpr & { k: 'bin' }): void {
    const { f } = this;
    const { elem, lanes } = e.a.type;
    if (lanes > 1 && (e.op === 'shl' || e.op === 'shr')) return this.vectorShift(e);
    if (lanes === 1 && elem === 'i32' && e.op === 'div' && !isNeverMinusOne(e.b)) return this.wrappingDiv(e);
    const opcode = lanes === 1 ? scalarInstruction(e.op, elem) : vectorInstruction(e.op, elem);
    if (opcode !== undefined) {
      this.expr(e.a);
      this.expr(e.b);
      if (lanes === 1) f.op(opcode);
      else f.simd(opcode);
      return;
    }
    if (lanes > 1)
      return this.lanewise([e.a, e.b], e.type, (items) => ({
        k: 'bin',
        op: e.op,
        a: items[0]!,
        b: items[1]!,
        type: vec(e.type.elem, 1),
      }));
    const less = e.op === 'min' || e.op === 'pmin';
    if (!less && e.op !== 'max' && e.op !== 'pmax') throw new Error(`no ${e.op} of ${elem}`);
    this.named(e.a, (a) =>
      this.named(e.b, (b) =>
        this.expr({ k: 'select', cond: less ? cmp('lt', b, a) : cmp('lt', a, b), a: b, b: a, type: e.type }),
      ),
    );
  }

  /** i32.div_s traps for the one quotient that overflows; kernel IR wraps. */
  private wrappingDiv(e: KExpr & { k: 'bin' }): void {
    const { f } = this;
    this.named(e.a, (a) =>
      this.named(e.b, (b) => {
        this.expr(cmp('eq', b, { k: 'const', value: -1, type: I32 }));
        f.op(OP.if, I32_TYPE).i32(0);
        this.expr(a);
        f.op(OP.i32Sub, OP.else);
        this.expr(a);
        this.expr(b);
        f.op(OP.i32DivS, OP.end);
      }),
    );
  }

  private vectorShift(e: KExpr & { k: 'bin' }): void {
    const count: KExpr | null =
      e.b.k === 'const' ? { ...e.b, type: U32 } : e.b.k === 'splat' && e.b.a.type.lanes === 1 ? e.b.a : null;
    if (!count)
      return this.lanewise([e.a, e.b], e.type, (items) => ({
        k: 'bin',
        op: e.op,
        a: items[0]!,
        b: items[1]!,
        type: vec(e.type.elem, 1),
      }));
    this.expr(e.a);
    this.expr(count);
    this.f.simd(e.op === 'shl' ? SIMD.i32x4Shl : e.type.elem === 'i32' ? SIMD.i32x4ShrS : SIMD.i32x4ShrU);
  }

  /** As multiplication and addition, of which the runtime makes one instruction. Of vectors for scalars too: a tail rounds as the body does. */
  private fma(e: KExpr & { k: 'fma' }): void {
    const { f } = this;
    const scalar = e.type.lanes === 1;
    const operand = (a: KExpr): void => (scalar ? this.splat(a) : this.expr(a));
    operand(e.a);
    operand(e.b);
    f.half(SIMD.f32x4Mul);
    operand(e.c);
    f.half(SIMD.f32x4Add);
    if (scalar) this.extract(vec('f32', LANES), 0);
  }

  private select(e: KExpr & { k: 'select' }): void {
    const { f } = this;
    const cond = e.cond.k === 'splat' ? e.cond.a : e.cond;
    this.expr(e.a);
    this.expr(e.b);
    this.expr(cond);
    if (e.type.lanes === 1) f.op(OP.select);
    else if (cond.type.lanes === 1) f.op(OP.selectTyped, 1, V128_TYPE);
    else f.simd(SIMD.bitselect);
  }

  private cast(a: KExpr, to: KType): void {
    const { f } = this;
    const from = a.type;
    const vector = to.lanes > 1;
    if (from.elem === 'bool' && to.elem !== 'bool') {
      this.expr(a);
      if (to.elem === 'f32') {
        if (!vector) f.op(OP.f32ConvertI32U);
        else {
          this.constant(1, to);
          f.simd(SIMD.and);
        }
      } else if (vector) f.simd(SIMD.i32x4Neg);
      return;
    }
    if (to.elem === 'bool') return from.elem === 'bool' ? this.expr(a) : this.expr(cmp('ne', a, zero(from)));
    this.expr(a);
    if (from.elem === 'f32' && to.elem !== 'f32') {
      const signed = to.elem === 'i32';
      if (vector) f.simd(signed ? SIMD.i32x4TruncSatF32x4S : SIMD.i32x4TruncSatF32x4U);
      else f.misc(signed ? MISC.i32TruncSatF32S : MISC.i32TruncSatF32U);
    } else if (from.elem !== 'f32' && to.elem === 'f32') {
      const signed = from.elem === 'i32';
      if (vector) f.simd(signed ? SIMD.f32x4ConvertI32x4S : SIMD.f32x4ConvertI32x4U);
      else f.op(signed ? OP.f32ConvertI32S : OP.f32ConvertI32U);
    }
  }

  private load(e: KExpr & { k: 'load' }): void {
    const { f } = this;
    const { buf, index, type } = e;
    const offset = this.addresses.address(buf, index);
    if (isHalf(buf.elem)) {
      const format = buf.elem;
      if (type.lanes === 1) f.op(OP.i32Load16U).memarg(1, offset);
      else f.simd(SIMD.load64Zero).memarg(1, offset).simd(SIMD.i32x4ExtendLowI16x8U);
      return this.namedTop(vec('u32', type.lanes), (raw) => this.expr(widen(format, raw)));
    }
    if (type.lanes === 1) f.op(type.elem === 'f32' ? OP.f32Load : OP.i32Load).memarg(2, offset);
    else {
      f.simd(SIMD.load).memarg(2, offset);
      if (type.elem === 'bool') f.simd(SIMD.i32x4Neg);
    }
  }

  store(buf: KBuffer, index: KExpr, value: KExpr): void {
    const { f } = this;
    const offset = this.addresses.address(buf, index);
    const { elem, lanes } = value.type;
    if (isHalf(buf.elem)) {
      const format = buf.elem;
      this.named(value, (x) => this.expr(narrow(format, x)));
      if (lanes === 1) f.op(OP.i32Store16).memarg(1, offset);
      else {
        // The values fit 16 bits, so that saturation does nothing; both operands of narrow are the same vector.
        this.namedTop(vec('u32', lanes), (raw) => {
          this.expr(raw);
          this.expr(raw);
        });
        f.simd(SIMD.i16x8NarrowI32x4U).simd(SIMD.store64Lane).memarg(1, offset).op(0);
      }
      return;
    }
    this.expr(value);
    if (lanes === 1) f.op(elem === 'f32' ? OP.f32Store : OP.i32Store).memarg(2, offset);
    else {
      if (elem === 'bool') f.simd(SIMD.i32x4Neg);
      f.simd(SIMD.store).memarg(2, offset);
    }
  }

  /** For operators that SIMD lacks: lane by lane. */
  private lanewise(operands: readonly KExpr[], type: KType, one: (items: readonly KExpr[]) => KExpr): void {
    const go = (vars: readonly KExpr[]): void => {
      if (vars.length < operands.length) return this.named(operands[vars.length]!, (v) => go([...vars, v]));
      this.vector(
        Array.from({ length: type.lanes }, (_, i) =>
          one(vars.map((v) => ({ k: 'lane', a: v, lane: i, type: vec(v.type.elem, 1) }))),
        ),
      );
    };
    go([]);
  }

  /** Evaluates `a` once and gives a name for it; constants and variables are their own. */
  private named(a: KExpr, use: (name: KExpr) => void): void {
    if (a.k === 'var' || a.k === 'const') return use(a);
    this.expr(a);
    this.namedTop(a.type, use);
  }

  /** The same for what is on top of the stack. */
  private namedTop(type: KType, use: (name: KExpr) => void): void {
    this.f.temp(valueType(type), (index) => {
      this.f.set(index);
      const v: KVar = { kind: 'var', name: 't', type, mutable: false };
      this.vars.set(v, index);
      use({ k: 'var', var: v, type });
    });
  }
}

const isNeverMinusOne = (e: KExpr): boolean =>
  (e.k === 'const' && e.value !== -1) || (e.k === 'var' && e.var === PARTS);
const zero = (type: KType): KExpr => coerce(0, type);
const cmp = (op: BinOp, a: KExpr, b: KExpr): KExpr => ({ k: 'bin', op, a, b, type: vec('bool', a.type.lanes) });
