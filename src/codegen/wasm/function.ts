/** The code of one WebAssembly function while it is written: instructions, and locals handed out by type. */
import { Bytes } from './bytes.ts';
import { F32_TYPE, I32_TYPE, V128_TYPE, type ValueType, type WasmFunction } from './encoder.ts';
import { OP } from './opcodes.ts';

export class FunctionWriter {
  /** Instructions; those of locals without the local, which is numbered at the end. */
  readonly code = new Bytes();
  private readonly params: ValueType[] = [];
  private readonly locals: ValueType[] = [];
  /** Where `code` has an instruction of a local, and which local. */
  private readonly places: number[] = [];
  private readonly named: number[] = [];
  /** Where `code` has a multiplication or addition that relaxed SIMD does in one: see runtime/fma.ts. */
  private readonly fusible: number[] = [];
  private readonly free = new Map<ValueType, number[]>();
  /** Locals that go back at the end of the innermost scope; those outside of scopes never do. */
  private taken: number[] | null = null;

  /** What a module holds of it: locals of a type lie side by side, and those that nothing reads are gone. */
  get written(): Pick<WasmFunction, 'params' | 'locals' | 'code' | 'fusible'> {
    const { code, params, places, named } = this;
    const read = new Set<number>();
    named.forEach((local, i) => code.at(places[i]!) === OP.localGet && read.add(local));
    /** -1 for what nothing reads. */
    const numbers = [...params.keys(), ...this.locals.map(() => -1)];
    const locals: ValueType[] = [];
    for (const type of [I32_TYPE, F32_TYPE, V128_TYPE] as const)
      this.locals.forEach((own, i) => {
        const local = params.length + i;
        if (own === type && read.has(local)) numbers[local] = params.length + locals.push(type) - 1;
      });
    const out = new Bytes();
    const fusible: number[] = [];
    let from = 0;
    let site = 0;
    const copy = (to: number): void => {
      for (; site < this.fusible.length && this.fusible[site]! < to; site++)
        fusible.push(out.length + this.fusible[site]! - from);
      out.part(code, from, to);
    };
    places.forEach((at, i) => {
      copy(at);
      from = at + 1;
      const number = numbers[named[i]!]!;
      if (number >= 0) out.byte(code.at(at)).u32(number);
      else if (code.at(at) === OP.localSet) out.byte(OP.drop);
    });
    copy(code.length);
    return { params, locals, code: out, fusible };
  }

  /** Parameters come first. */
  param(type: ValueType): number {
    this.params.push(type);
    return this.params.length - 1;
  }

  /** A local, until the end of the scope. It holds what somebody left there. */
  local(type: ValueType): number {
    const index = this.free.get(type)?.pop() ?? this.fresh(type);
    this.taken?.push(index);
    return index;
  }

  private fresh(type: ValueType): number {
    this.locals.push(type);
    return this.params.length + this.locals.length - 1;
  }

  private give(index: number): void {
    const type = this.locals[index - this.params.length]!;
    const pool = this.free.get(type);
    if (pool) pool.push(index);
    else this.free.set(type, [index]);
  }

  /** What is handed out in `body` is given to others after it. */
  scope(body: () => void): void {
    const outer = this.taken;
    const taken: number[] = (this.taken = []);
    body();
    this.taken = outer;
    // The first is taken first again: loops that look alike are then written alike.
    while (taken.length > 0) this.give(taken.pop()!);
  }

  /** A local for the duration of `use`; given to others afterwards. */
  temp<T>(type: ValueType, use: (index: number) => T): T {
    const index = this.free.get(type)?.pop() ?? this.fresh(type);
    const result = use(index);
    this.give(index);
    return result;
  }

  op(...bytes: readonly number[]): this {
    this.code.u8(...bytes);
    return this;
  }

  /** An instruction behind the SIMD prefix. */
  simd(opcode: number): this {
    this.code.byte(0xfd).u32(opcode);
    return this;
  }

  /** Half of a multiply-add. */
  half(opcode: number): this {
    this.fusible.push(this.code.length);
    return this.simd(opcode);
  }

  misc(opcode: number): this {
    this.code.byte(0xfc).u32(opcode);
    return this;
  }

  /** Right behind the `set` of the same local it turns that into a `tee`. */
  get(index: number): this {
    const { code, places, named } = this;
    const last = places.length - 1;
    if (named[last] === index && places[last] === code.length - 1 && code.at(places[last]!) === OP.localSet) {
      code.patch(places[last]!, OP.localTee);
      return this;
    }
    return this.access(OP.localGet, index);
  }

  set(index: number): this {
    return this.access(OP.localSet, index);
  }

  tee(index: number): this {
    return this.access(OP.localTee, index);
  }

  private access(opcode: number, index: number): this {
    this.places.push(this.code.length);
    this.named.push(index);
    this.code.byte(opcode);
    return this;
  }

  i32(value: number): this {
    this.code.byte(OP.i32Const).s32(value);
    return this;
  }

  f32(value: number): this {
    this.code.byte(OP.f32Const).f32(value);
    return this;
  }

  /** Alignment (log2, a hint) and offset of a memory instruction. */
  memarg(align: number, offset: number): this {
    this.code.u32(align).u32(offset);
    return this;
  }
}
