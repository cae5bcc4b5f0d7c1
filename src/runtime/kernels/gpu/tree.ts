/**
 * Combines the states of the invocations that share a row in a tree; all of them get the result. Of two invocations that lie
 * far apart one reads the other's state in workgroup memory, of two in one subgroup in its registers. Who is combined with
 * whom is the same for every subgroup size, and so are the bits.
 */
import * as K from '../../../codegen/builder.ts';
import type { KExpr } from '../../../codegen/kernel.ts';
import type { Scope } from '../../../codegen/scope.ts';
import type { Reducer, State } from '../accumulate.ts';
import { GROUP } from './grid.ts';

/** Arrays of one round: 16 KiB hold sixteen, and a state may have two variables. */
const AT_ONCE = 8;

/**
 * `columns` rows lie side by side: invocation i works on row i mod columns.
 */
export function treeReduce(
  s: Scope,
  reducers: readonly Reducer[],
  states: readonly State[],
  { slot, column }: { readonly slot: KExpr; readonly column: KExpr },
  columns: number,
): readonly State[] {
  if (columns === GROUP) return states.map((state) => state.map((v) => s.share(v)));
  const local = columns === 1 ? slot : s.share(K.add(K.mul(slot, columns), column), 'own');
  const out: State[] = [];
  for (let from = 0; from < reducers.length; from += AT_ONCE) {
    const to = Math.min(reducers.length, from + AT_ONCE);
    out.push(...round(s, reducers.slice(from, to), states.slice(from, to), local, column, columns));
  }
  return out;
}

function round(
  s: Scope,
  reducers: readonly Reducer[],
  states: readonly State[],
  local: KExpr,
  column: KExpr,
  columns: number,
): readonly State[] {
  const { k } = s;
  const arrays = states.map((state) => state.map((v) => k.local('tree', v.type.elem, GROUP, 'shared')));
  const put = (): void => states.forEach((state, i) => state.forEach((v, j) => k.store(arrays[i]![j]!, local, v)));
  put();
  k.barrier();
  const half = k.mutable(K.i32(GROUP / 2), 'half');
  const far = s.share(K.max(K.SUBGROUP, columns), 'far');
  k.while(K.ge(half, far), () => {
    k.if(K.lt(local, half), () => {
      const other = k.let(K.add(local, half), 'other');
      reducers.forEach((r, i) =>
        r.merge(
          states[i]!,
          arrays[i]!.map((b) => k.let(K.load(b, other))),
        ),
      );
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
  const whole = arrays.map((state) => state.map((b) => s.share(K.load(b, column))));
  // The arrays may be written again only when everyone has read.
  k.barrier();
  return whole;
}
