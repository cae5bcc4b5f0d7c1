/** Random kernels over all of kernel IR that a CPU printer must carry, the same for the same seed. */
import {
  add,
  bin,
  bitcast,
  cast,
  eq,
  fma,
  i32,
  KernelBuilder,
  lane,
  load,
  loadedElem,
  select,
  shuffle,
  splat,
  un,
  vector,
} from '../../src/codegen/builder.ts';
import type { BinOp, KBuffer, KElem, Kernel, KExpr, StorageElem, UnOp } from '../../src/codegen/kernel.ts';
import { vec } from '../../src/codegen/kernel.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';

export const STORAGE: readonly StorageElem[] = ['f32', 'i32', 'u32', 'bool', 'f16', 'bf16'];
/** Elements of each buffer. */
export const LENGTH = 32;
const ELEMS: readonly KElem[] = ['f32', 'i32', 'u32', 'bool'];
const FLOAT_BIN: readonly BinOp[] = ['add', 'sub', 'mul', 'div', 'min', 'max', 'pmin', 'pmax'];
const INT_BIN: readonly BinOp[] = ['add', 'sub', 'mul', 'min', 'max', 'pmin', 'pmax', 'and', 'or', 'xor', 'shl', 'shr'];
const COMPARE: readonly BinOp[] = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'];
const FLOAT_UN: readonly UnOp[] = ['neg', 'abs', 'sqrt', 'floor', 'ceil', 'trunc', 'round'];
const INT_UN: readonly UnOp[] = ['neg', 'abs', 'not', 'clz', 'popcnt'];
const SPECIAL = [0, -0, 1, -1, 0.5, -2.5, 3e9, -3e9, 1e-41, 65504, 65520, 7e-6, Infinity, -Infinity, NaN];

export class RandomKernels {
  private state: number;
  private readonly lanes: number;
  private readonly withFma: boolean;

  constructor(seed: number, lanes: number, withFma: boolean) {
    this.state = seed;
    this.lanes = lanes;
    this.withFma = withFma;
  }

  private next(below: number): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 2 ** 32) * below);
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.next(items.length)]!;
  }

  /** Bytes of a buffer's first contents: numbers of all kinds. */
  contents(elem: StorageElem): number[] {
    return Array.from({ length: LENGTH }, () => {
      if (elem === 'bool') return this.next(2);
      if (elem === 'i32' || elem === 'u32') {
        const x = this.pick([this.next(5) - 2, this.next(2 ** 32) - 2 ** 31, -(2 ** 31), 2 ** 31 - 1, this.next(100)]);
        return elem === 'i32' ? x | 0 : x >>> 0;
      }
      const x = this.next(3) === 0 ? this.pick(SPECIAL) : (this.next(2 ** 24) / 2 ** 23 - 1) * 10 ** (this.next(7) - 3);
      if (elem === 'f16') return Math.f16round(x);
      if (elem === 'bf16') {
        const [word] = new Uint32Array(Float32Array.of(x).buffer);
        return new Float32Array(Uint32Array.of(word! & 0xffff0000).buffer)[0]!;
      }
      return Math.fround(x);
    });
  }

  /** One read-only and one writable buffer of every storage format, then statements. */
  kernel(name: string): Kernel {
    const k = new KernelBuilder();
    const sources = STORAGE.map((e) => k.buffer(`in_${e}`, e));
    const targets = STORAGE.map((e) => k.buffer(`out_${e}`, e, 'readwrite'));
    const scratch = k.local('scratch', 'f32', LENGTH);
    for (let i = 0; i < LENGTH; i += this.lanes) k.store(scratch, i, load(sources[0]!, i, this.lanes));
    const bufs = [...sources, ...targets, scratch];
    const scope: KExpr[] = [];
    for (let n = 3 + this.next(4); n > 0; n--) this.statement(k, bufs, [...targets, scratch], scope, 2);
    return k.finish(name, [NO_ORIGIN]);
  }

  private statement(
    k: KernelBuilder,
    bufs: readonly KBuffer[],
    targets: readonly KBuffer[],
    scope: KExpr[],
    depth: number,
  ): void {
    const lanes = this.pick([1, this.lanes]);
    const inner = (): void => {
      const known = scope.length;
      for (let n = 1 + this.next(3); n > 0; n--) this.statement(k, bufs, targets, scope, depth - 1);
      scope.length = known;
    };
    switch (this.next(depth > 0 ? 7 : 4)) {
      case 0:
        scope.push(k.let(this.expr(this.pick(ELEMS), lanes, bufs, scope, 3)));
        return;
      case 1:
        scope.push(k.mutable(this.expr(this.pick(ELEMS), lanes, bufs, scope, 2)));
        return;
      case 2: {
        const settable = scope.filter((v) => v.k === 'var' && v.var.mutable);
        if (settable.length === 0) return;
        const v = this.pick(settable);
        return k.set(v, this.expr(v.type.elem, v.type.lanes, bufs, scope, 3));
      }
      case 3: {
        const buf = this.pick(targets);
        return k.store(buf, this.index(scope), this.expr(loadedElem(buf.elem), lanes, bufs, scope, 3));
      }
      case 4:
        return k.if(this.expr('bool', 1, bufs, scope, 2), inner, inner);
      case 5:
        return k.for(this.next(3) - 1, this.next(5), 1 + this.next(2), (i) => {
          scope.push(i);
          inner();
          scope.pop();
        });
      default: {
        const count = k.mutable(i32(this.next(4)), 'count');
        k.while(bin('gt', count, 0), () => {
          inner();
          k.set(count, add(count, -1));
        });
      }
    }
  }

  /** Inside the buffers for any lanes, and sometimes with a constant part. */
  private index(scope: readonly KExpr[]): KExpr {
    const ints = scope.filter((v) => v.type.elem === 'i32' && v.type.lanes === 1);
    const room = LENGTH - this.lanes;
    if (ints.length === 0 || this.next(3) === 0) return i32(this.next(room + 1));
    return add(bin('and', this.pick(ints), 7), this.next(room - 7));
  }

  private expr(elem: KElem, lanes: number, bufs: readonly KBuffer[], scope: readonly KExpr[], depth: number): KExpr {
    const again = (e: KElem = elem, l = lanes): KExpr => this.expr(e, l, bufs, scope, depth - 1);
    if (depth === 0 || this.next(5) === 0) {
      const known = scope.filter((v) => v.type.elem === elem && v.type.lanes === lanes);
      if (known.length > 0 && this.next(2) === 0) return this.pick(known);
      if (this.next(4) === 0) return { k: 'const', value: this.literal(elem), type: vec(elem, lanes) };
      return load(this.pick(bufs.filter((b) => loadedElem(b.elem) === elem)), this.index(scope), lanes);
    }
    if (lanes > 1) {
      const roll = this.next(8);
      if (roll === 0) return splat(again(elem, 1), lanes);
      if (roll === 1) return vector(Array.from({ length: lanes }, () => again(elem, 1)));
      if (roll === 2)
        return shuffle(
          again(),
          again(),
          Array.from({ length: lanes }, () => this.next(2 * lanes)),
        );
    } else if (this.next(8) === 0) return lane(again(elem, this.lanes), this.next(this.lanes));
    if (this.next(6) === 0) return select(again('bool', lanes), again(), again());
    if (this.next(6) === 0) return cast(again(this.pick(ELEMS)), elem);
    switch (elem) {
      case 'f32': {
        const roll = this.next(10);
        if (roll === 0) return bitcast(again(this.pick(['i32', 'u32'])), 'f32');
        if (roll === 1 && this.withFma) return fma(again(), again(), again());
        return roll < 5 ? un(this.pick(FLOAT_UN), again()) : bin(this.pick(FLOAT_BIN), again(), again());
      }
      case 'bool': {
        if (this.next(2) === 0) {
          const of = this.pick(['f32', 'i32', 'u32'] as const);
          return bin(this.pick(COMPARE), again(of), again(of));
        }
        return this.next(4) === 0
          ? un('not', again())
          : bin(this.pick(['and', 'or', 'xor', 'eq', 'ne']), again(), again());
      }
      default: {
        const roll = this.next(10);
        // The bits of a NaN are nobody's business.
        if (roll === 0) {
          const x = again('f32');
          return bitcast(select(eq(x, x), x, 0), elem);
        }
        if (roll === 1) return bin(this.pick(['div', 'rem']), again(), bin('or', again(), 1));
        return roll < 4 ? un(this.pick(INT_UN), again()) : bin(this.pick(INT_BIN), again(), again());
      }
    }
  }

  private literal(elem: KElem): number {
    if (elem === 'bool') return this.next(2);
    if (elem === 'f32') return Math.fround(this.pick(SPECIAL));
    return elem === 'i32' ? this.next(2 ** 32) | 0 : this.next(50);
  }
}
