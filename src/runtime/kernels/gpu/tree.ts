/** Combines the states of the invocations that share a row, in a tree in workgroup memory; all of them get the result. */
import * as K from '../../../codegen/builder.ts';
import type { KExpr } from '../../../codegen/kernel.ts';
import type { Scope } from '../../../codegen/scope.ts';
import type { Reducer, State } from '../accumulate.ts';
import { GROUP } from './grid.ts';

/** Arrays of one round: 16 KiB hold sixteen, and a state may have two variables. */
const AT_ONCE = 8;

/**
 * `columns` rows lie side by side: invocation i works on row i mod columns. The tree has one shape for every subgroup size.
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
  k.while(K.ge(half, columns), () => {
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
  const whole = arrays.map((state) => state.map((b) => s.share(K.load(b, column))));
  // The arrays may be written again only when everyone has read.
  k.barrier();
  return whole;
}
