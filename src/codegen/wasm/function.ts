/** The code of one WebAssembly function while it is written: instructions, and locals handed out by type. */
import { Bytes } from './bytes.ts';
import type { ValueType, WasmFunction } from './encoder.ts';
import { OP } from './opcodes.ts';

export class FunctionWriter {
  readonly code = new Bytes();
  readonly params: ValueType[] = [];
  readonly locals: ValueType[] = [];
  /** Where `code` has a multiplication or addition that relaxed SIMD does in one: see runtime/fma.ts. */
  readonly fusible: number[] = [];
  private readonly free = new Map<ValueType, number[]>();

  /** What a module holds of it. */
  get written(): Pick<WasmFunction, 'params' | 'locals' | 'code' | 'fusible'> {
    const { params, locals, code, fusible } = this;
    return { params, locals, code, fusible };
  }

  /** Parameters come first. */
  param(type: ValueType): number {
    this.params.push(type);
    return this.params.length - 1;
  }

  local(type: ValueType): number {
    this.locals.push(type);
    return this.params.length + this.locals.length - 1;
  }

  /** A local for the duration of `use`; given to others afterwards. */
  temp<T>(type: ValueType, use: (index: number) => T): T {
    const pool = this.free.get(type) ?? [];
    this.free.set(type, pool);
    const index = pool.pop() ?? this.local(type);
    const result = use(index);
    pool.push(index);
    return result;
  }

  op(...bytes: readonly number[]): this {
    this.code.u8(...bytes);
    return this;
  }

  /** An instruction behind the SIMD prefix. */
  simd(opcode: number): this {
    this.code.u8(0xfd).u32(opcode);
    return this;
  }

  /** Half of a multiply-add. */
  half(opcode: number): this {
    this.fusible.push(this.code.length);
    return this.simd(opcode);
  }

  misc(opcode: number): this {
    this.code.u8(0xfc).u32(opcode);
    return this;
  }

  get(index: number): this {
    this.code.u8(OP.localGet).u32(index);
    return this;
  }

  set(index: number): this {
    this.code.u8(OP.localSet).u32(index);
    return this;
  }

  tee(index: number): this {
    this.code.u8(OP.localTee).u32(index);
    return this;
  }

  i32(value: number): this {
    this.code.u8(OP.i32Const).s32(value);
    return this;
  }

  f32(value: number): this {
    this.code.u8(OP.f32Const).f32(value);
    return this;
  }

  /** Alignment (log2, a hint) and offset of a memory instruction. */
  memarg(align: number, offset: number): this {
    this.code.u32(align).u32(offset);
    return this;
  }
}
