/** Finds arguments that are class targets or row numbers, so that the runtime can refuse values that name nothing. */
import type { MethodInfo, ValueSpec } from '../check/elaborated.ts';
import { substitute, type Dim } from '../ir/dim.ts';
import type { Func, Module, Op, Value } from '../ir/ir.ts';
import { bindSymbols, type SymbolEnv } from '../ir/symbols.ts';
import type { IndexRange } from '../runtime/artifact.ts';
import { sizeExpr } from './sizes.ts';

interface Use {
  /** Operand that holds the indices. */
  readonly operand: number;
  readonly of: IndexRange['of'];
  readonly below: Dim;
  readonly except: number | null;
}

const USES: Readonly<Record<string, (op: Op) => Use>> = {
  take: (op) => ({
    operand: 1,
    of: 'row',
    below: op.operands[0]!.type.shape[Number(op.attrs['axis'])]!,
    except: null,
  }),
  cross_entropy: (op) => ({
    operand: 1,
    of: 'class',
    below: op.operands[0]!.type.shape[1]!,
    except: Number(op.attrs['ignore_index']),
  }),
};

/** Every element of the result is one of the operand's, and none is left out. */
const SAME_ELEMENTS: ReadonlySet<string> = new Set(['reshape', 'transpose', 'flip']);

/** Ranges by leaf of the method's arguments. Only what runs on every call counts, not what stands in branches and loops. */
export function indexRanges(module: Module, method: MethodInfo): ReadonlyMap<number, readonly IndexRange[]> {
  const found = new Map<number, Map<string, IndexRange>>();
  const note = (leaf: number, use: Use, env: SymbolEnv): void => {
    const range: IndexRange = { of: use.of, below: sizeExpr(substitute(use.below, env)), except: use.except };
    const ranges = found.get(leaf) ?? new Map<string, IndexRange>();
    found.set(leaf, ranges.set(JSON.stringify(range), range));
  };
  const walk = (func: Func, leaves: readonly (number | null)[], env: SymbolEnv): readonly (number | null)[] => {
    const leafOf = new Map<Value, number>();
    const track = (v: Value, leaf: number | null | undefined): void => {
      if (leaf !== null && leaf !== undefined) leafOf.set(v, leaf);
    };
    func.body.params.forEach((p, i) => track(p, leaves[i]));
    for (const op of func.body.ops) {
      const use = USES[op.kind]?.(op);
      const used = use && leafOf.get(op.operands[use.operand]!);
      if (use && used !== undefined) note(used, use, env);
      if (SAME_ELEMENTS.has(op.kind)) track(op.results[0]!, leafOf.get(op.operands[0]!));
      const callee = op.kind === 'call' ? module.funcs.get(String(op.attrs['callee'])) : undefined;
      if (!callee) continue;
      const actual = op.operands.map((o) => ({ ...o.type, shape: o.type.shape.map((d) => substitute(d, env)) }));
      const inner = bindSymbols(
        callee.body.params.map((p) => p.type),
        actual,
      );
      const results = walk(
        callee,
        op.operands.map((o) => leafOf.get(o) ?? null),
        inner,
      );
      op.results.forEach((r, i) => track(r, results[i]));
    }
    return func.body.results.map((r) => leafOf.get(r) ?? null);
  };
  const count = method.args.reduce((n, a) => n + leafCount(a.spec), 0);
  for (const { func, tensors } of [method.eval, method.training]) {
    const leaves = [...tensors.map(() => null), ...Array.from({ length: count }, (_, i) => i)];
    walk(module.funcs.get(func)!, leaves, new Map());
  }
  return new Map([...found].map(([leaf, ranges]) => [leaf, [...ranges.values()]]));
}

function leafCount(s: ValueSpec): number {
  if (s.kind === 'tensor') return 1;
  const parts = s.kind === 'tuple' ? s.items : s.fields.map((f) => f.spec);
  return parts.reduce((n, p) => n + leafCount(p), 0);
}
