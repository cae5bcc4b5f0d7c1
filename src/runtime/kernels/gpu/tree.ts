/**
 * Combines the states of the invocations that share a row in a tree; all of them get the result. Of two invocations that lie
 * far apart one reads the other's state in workgroup memory, of two in one subgroup in its registers. Who is combined with
 * whom is the same for every subgroup size, and so are the bits.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelBuilder } from '../../../codegen/builder.ts';
import type { KBuffer, KElem, KExpr } from '../../../codegen/kernel.ts';
import type { KernelLimits } from '../../../codegen/limits.ts';
import type { Scope } from '../../../codegen/scope.ts';
import type { Reducer, State } from '../accumulate.ts';
import { GROUP } from './grid.ts';

/** Variables that one round combines where there is room: what the smallest device holds. */
const AT_ONCE = 16;

/** Arrays of words in workgroup memory, one for each variable of a round; every round of a kernel uses the same. */
export class TreeMemory {
  readonly atOnce: number;
  /** Rounds beyond those of a device with room for all. */
  extraRounds = 0;
  private readonly k: KernelBuilder;
  private readonly arrays: KBuffer[] = [];

  constructor(k: KernelBuilder, limits: KernelLimits) {
    this.k = k;
    this.atOnce = Math.min(AT_ONCE, Math.floor(limits.workgroupBytes / (4 * GROUP)));
  }

  array(i: number): KBuffer {
    return (this.arrays[i] ??= this.k.local('tree', 'u32', GROUP, 'shared'));
  }

  /** The states cut into rounds: as many variables as there is room for, but a state at least. */
  rounds(states: readonly State[]): readonly (readonly number[])[] {
    const out = cut(states, this.atOnce);
    this.extraRounds += out.length - cut(states, AT_ONCE).length;
    return out;
  }
}

function cut(states: readonly State[], most: number): number[][] {
  const rounds: number[][] = [];
  let room = 0;
  states.forEach((state, i) => {
    if (rounds.length === 0 || state.length > room) {
      rounds.push([]);
      room = most;
    }
    rounds.at(-1)!.push(i);
    room -= state.length;
  });
  return rounds;
}

/**
 * `columns` rows lie side by side: invocation i works on row i mod columns.
 */
export function treeReduce(
  s: Scope,
  reducers: readonly Reducer[],
  states: readonly State[],
  { slot, column }: { readonly slot: KExpr; readonly column: KExpr },
  columns: number,
  memory: TreeMemory,
): readonly State[] {
  if (columns === GROUP) return states.map((state) => state.map((v) => s.share(v)));
  const local = columns === 1 ? slot : s.share(K.add(K.mul(slot, columns), column), 'own');
  return memory.rounds(states).flatMap((own) => {
    const [some, their] = [own.map((i) => reducers[i]!), own.map((i) => states[i]!)];
    return round(s, some, their, local, column, columns, memory);
  });
}

/** A value as a word, and back. */
const toWord = (v: KExpr): KExpr =>
  v.type.elem === 'u32' ? v : v.type.elem === 'bool' ? K.cast(v, 'u32') : K.bitcast(v, 'u32');
const fromWord = (w: KExpr, elem: KElem): KExpr =>
  elem === 'u32' ? w : elem === 'bool' ? K.ne(w, 0) : K.bitcast(w, elem);

function round(
  s: Scope,
  reducers: readonly Reducer[],
  states: readonly State[],
  local: KExpr,
  column: KExpr,
  columns: number,
  memory: TreeMemory,
): readonly State[] {
  const { k } = s;
  let used = 0;
  const arrays = states.map((state) => state.map(() => memory.array(used++)));
  const put = (): void =>
    states.forEach((state, i) => state.forEach((v, j) => k.store(arrays[i]![j]!, local, toWord(v))));
  const got = (state: State, i: number, at: KExpr): State =>
    state.map((v, j) => s.share(fromWord(K.load(arrays[i]![j]!, at), v.type.elem)));
  put();
  k.barrier();
  const half = k.mutable(K.i32(GROUP / 2), 'half');
  const far = s.share(K.max(K.SUBGROUP, columns), 'far');
  k.while(K.ge(half, far), () => {
    k.if(K.lt(local, half), () => {
      const other = k.let(K.add(local, half), 'other');
      reducers.forEach((r, i) => r.merge(states[i]!, got(states[i]!, i, other)));
      put();
    });
    k.barrier();
    k.set(half, K.div(half, 2));
  });
  k.if(K.gt(K.SUBGROUP, columns), () => {
    // Everyone takes part, and those from `half` on get what is of no use.
    k.while(K.ge(half, columns), () => {
      reducers.forEach((r, i) =>
        r.merge(
          states[i]!,
          states[i]!.map((v) => k.let(K.passed(v, half))),
        ),
      );
      k.set(half, K.div(half, 2));
    });
    k.if(K.lt(local, columns), put);
    k.barrier();
  });
  const whole = states.map((state, i) => got(state, i, column));
  // The arrays may be written again only when everyone has read.
  k.barrier();
  return whole;
}
