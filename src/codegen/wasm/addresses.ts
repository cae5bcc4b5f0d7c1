/**
 * Turns a buffer and an index into an address. The address for a named index is computed once and kept in a local:
 * neighbouring vectors then visibly share it, which lets V8 pair their loads and stores into wider ones.
 */
import type { KBuffer, KExpr, KVar } from '../kernel.ts';
import { I32_TYPE } from './encoder.ts';
import type { FunctionWriter } from './function.ts';
import { OP } from './opcodes.ts';
import { sizeOfElem } from './types.ts';

/** Where buffers lie: at the address in a local, plus a constant. */
export type Places = (buf: KBuffer) => { readonly local: number; readonly offset: number };

export class AddressPrinter {
  private readonly f: FunctionWriter;
  private readonly places: Places;
  private readonly expr: (e: KExpr) => void;
  /** Locals with addresses, by buffer and index, for each enclosing block. */
  private readonly known: Map<KBuffer, Map<KVar, number>>[] = [new Map()];

  constructor(f: FunctionWriter, places: Places, expr: (e: KExpr) => void) {
    this.f = f;
    this.places = places;
    this.expr = expr;
  }

  /** Code of a block that may not run, or runs many times: what it computes is not known after it. */
  block(body: () => void): void {
    this.known.push(new Map());
    this.f.scope(body);
    this.known.pop();
  }

  /**
   * Emits the address of an element and gives the constant part of its offset in bytes, which goes into the instruction.
   * The variable part alone must not fall below address 0: a negative index with a positive constant stays far from it,
   * because data starts above the scratch page.
   */
  address(buf: KBuffer, index: KExpr): number {
    const shift = Math.log2(sizeOfElem(buf.elem));
    const [rest, constant] = splitConstant(index);
    const { local, offset } = this.places(buf);
    if (rest?.k === 'var' && !rest.var.mutable) this.named(buf, rest, local, shift);
    else {
      this.f.get(local);
      if (rest) this.scaled(rest, shift);
    }
    return offset + (constant << shift);
  }

  private scaled(index: KExpr, shift: number): void {
    this.expr(index);
    this.f.i32(shift).op(OP.i32Shl, OP.i32Add);
  }

  private named(buf: KBuffer, index: KExpr & { k: 'var' }, base: number, shift: number): void {
    const { f } = this;
    for (const block of this.known) {
      const local = block.get(buf)?.get(index.var);
      if (local !== undefined) return void f.get(local);
    }
    f.get(base);
    this.scaled(index, shift);
    const local = f.local(I32_TYPE);
    f.tee(local);
    const block = this.known[this.known.length - 1]!;
    block.set(buf, (block.get(buf) ?? new Map<KVar, number>()).set(index.var, local));
  }
}

/** The part of an index that varies and a constant part that is not negative. */
function splitConstant(index: KExpr): readonly [KExpr | null, number] {
  if (index.k === 'const') return index.value >= 0 ? [null, index.value] : [index, 0];
  if (index.k !== 'bin' || index.op !== 'add') return [index, 0];
  const { a, b } = index;
  return b.k === 'const' && b.value >= 0 ? [a, b.value] : [index, 0];
}
