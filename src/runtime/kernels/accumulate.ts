/** Reductions as running states: how they start, take one more element, and are combined. */
import * as K from '../../codegen/builder.ts';
import type { KElem, KExpr } from '../../codegen/kernel.ts';
import type { Scope } from '../../codegen/scope.ts';
import type { Op } from '../../ir/ir.ts';

/** The variables of one running reduction: one, or a value with its position. */
export type State = readonly KExpr[];

const COMBINE = { sum: 'add', prod: 'mul', max: 'max', min: 'min' } as const;
const isPlain = (kind: string): kind is keyof typeof COMBINE => kind in COMBINE;

export class Reducer {
  readonly op: Op;
  private readonly s: Scope;
  readonly elem: KElem;

  constructor(s: Scope, op: Op) {
    this.s = s;
    this.op = op;
    const e = op.operands[0]!.type.elem;
    this.elem = e === 'f16' || e === 'bf16' ? 'f32' : e;
  }

  /** The state of nothing. */
  start(lanes: number): State {
    const { k } = this.s;
    const first = k.mutable(K.coerce(this.identity(), { elem: this.elem, lanes }), 'acc');
    return isPlain(this.op.kind) ? [first] : [first, k.mutable(K.coerce(0, { elem: 'i32', lanes }), 'where')];
  }

  private identity(): number {
    switch (this.op.kind) {
      case 'sum':
        return 0;
      case 'prod':
        return 1;
      case 'max':
      case 'argmax':
        return this.elem === 'f32' ? -Infinity : this.elem === 'i32' ? -0x80000000 : 0;
      default:
        return this.elem === 'f32' ? Infinity : this.elem === 'i32' ? 0x7fffffff : 0xffffffff;
    }
  }

  /** Takes in an element; `position` is its place along the axis. */
  take(state: State, v: KExpr, position: KExpr): void {
    this.s.k.from(this.op.origin, () => this.taken(state, v, position));
  }

  private taken(state: State, v: KExpr, position: KExpr): void {
    const { k } = this.s;
    const { kind } = this.op;
    const [best, where] = state;
    if (isPlain(kind)) {
      k.set(best!, K.bin(COMBINE[kind], best!, v));
      return;
    }
    const better = k.let(this.beats(kind, v, best!), 'better');
    k.set(best!, K.select(better, v, best!));
    k.set(where!, K.select(better, position, where!));
  }

  /** A strictly better value, or the first NaN: a comparison that fails for NaN, and a best that is not one already. */
  private beats(kind: string, v: KExpr, best: KExpr): KExpr {
    return K.and(K.un('not', K.bin(kind === 'argmax' ? 'le' : 'ge', v, best)), K.eq(best, best));
  }

  /** `into` becomes the reduction of both; of equals the earlier position stays. */
  merge(into: State, from: State): void {
    this.s.k.from(this.op.origin, () => this.merged(into, from));
  }

  private merged(into: State, from: State): void {
    const { k } = this.s;
    const { kind } = this.op;
    if (isPlain(kind)) {
      k.set(into[0]!, K.bin(COMBINE[kind], into[0]!, from[0]!));
      return;
    }
    const [a, ia, b, ib] = [into[0]!, into[1]!, from[0]!, from[1]!].map((e) => k.let(e)) as [
      KExpr,
      KExpr,
      KExpr,
      KExpr,
    ];
    const same = K.or(K.eq(a, b), K.and(K.ne(a, a), K.ne(b, b)));
    const pick = k.let(K.or(this.beats(kind, b, a), K.and(same, K.lt(ib, ia))), 'better');
    k.set(into[0]!, K.select(pick, b, a));
    k.set(into[1]!, K.select(pick, ib, ia));
  }

  /** Combines the lanes pairwise, 0 with n/2 and so on: one order on every target. */
  narrow(state: State): State {
    const { k } = this.s;
    const lanes = state[0]!.type.lanes;
    const values = state.map((v) => k.let(v));
    let parts: State[] = Array.from({ length: lanes }, (_, i) => values.map((v) => k.mutable(K.lane(v, i))));
    while (parts.length > 1) {
      const half = parts.length / 2;
      parts = parts.slice(0, half).map((p, i) => {
        this.merge(p, parts[i + half]!);
        return p;
      });
    }
    return parts[0]!;
  }

  /** What the op gives. */
  result(state: State): KExpr {
    return this.s.share(state[state.length - 1]!);
  }
}
