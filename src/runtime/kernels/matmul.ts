/** Matrix multiplication, plain and batched: chooses a schedule and gives the kernel call. */
import { type KernelCall, limitsOf, type Target } from '../../codegen/call.ts';
import { choose, mapCandidates } from '../../codegen/choose.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Origin, TensorType } from '../../ir/ir.ts';
import type { Epilogue, ResultView, Source } from './epilogue.ts';
import { tilings } from './gemm.ts';
import { matmulOnGrid } from './gpu/matmul.ts';
import { matmulGeneral, maySkipPanels, wordsOf } from './matmul-general.ts';
import { prepareColumns } from './matmul-pack.ts';
import { matrixVector } from './matmul-vector.ts';

export interface MatmulSpec {
  /** The batch dims of the result. */
  readonly batch: readonly Dim[];
  /** Along which of them each operand varies; it is repeated along the others. */
  readonly batchA: readonly boolean[];
  readonly batchB: readonly boolean[];
  readonly m: Dim;
  readonly n: Dim;
  readonly k: Dim;
  /** The operand is stored [..., K, M] and [..., N, K]. */
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** The specification of a `matmul` op; its result is [...batch, M, N]. */
export function matmulSpec(a: TensorType, b: TensorType, transposeA: boolean, transposeB: boolean): MatmulSpec {
  const rank = Math.max(a.shape.length, b.shape.length) - 2;
  const dims = (t: TensorType): readonly Dim[] => [
    ...Array.from({ length: rank + 2 - t.shape.length }, () => D.dim(1)),
    ...t.shape.slice(0, -2),
  ];
  const da = dims(a);
  const db = dims(b);
  const batch = da.map((d, i) => (d.value === 1 ? db[i]! : d));
  const [a0, a1] = [a.shape.at(-2)!, a.shape.at(-1)!];
  const [b0, b1] = [b.shape.at(-2)!, b.shape.at(-1)!];
  const varies = (d: Dim, i: number): boolean => batch[i]!.value === 1 || d.value !== 1;
  return fold({
    batch,
    batchA: da.map(varies),
    batchB: db.map(varies),
    m: transposeA ? a1 : a0,
    k: transposeA ? a0 : a1,
    n: transposeB ? b0 : b1,
    transposeA,
    transposeB,
  });
}

/** Where the second operand is one matrix for the whole batch, the rows of all batches are one long matrix. */
function fold(s: MatmulSpec): MatmulSpec {
  const shared = s.batch.every((d, i) => d.value === 1 || (!s.batchB[i] && s.batchA[i]));
  if (s.batch.length === 0 || s.transposeA || !shared) return s;
  return { ...s, batch: [], batchA: [], batchB: [], m: D.mul(D.product(s.batch), s.m) };
}

export const matmulView = (s: MatmulSpec): ResultView => ({ batch: D.product(s.batch), rows: s.m, cols: s.n });

/** Kernels for `a` times `b`; `origins` are the lines it computes, the main one first. */
export function matmulCalls(
  spec: MatmulSpec,
  a: Source,
  b: Source,
  epilogue: Epilogue,
  target: Target,
  origins: readonly Origin[],
): KernelCall[] {
  if (target.kind === 'wgsl') return matmulOnGrid(spec, a, b, epilogue, limitsOf(target), origins);
  if (spec.m.value === 1 && D.product(spec.batch).value === 1)
    return [matrixVector(spec, a, b, epilogue, target, origins)];
  const prepared = Boolean(b.lasts) && spec.batch.length === 0;
  const key = matmulKey(spec);
  const [usual, ...others] = mapCandidates(tilings(target, spec.m, spec.k), (t) => () => {
    if (!prepared) return [matmulGeneral(spec, a, b, epilogue, t, origins)];
    const { call, panels } = prepareColumns(spec, b, t, maySkipPanels(spec, a), origins);
    return [call, matmulGeneral(spec, a, b, epilogue, t, origins, panels)];
  });
  // Whether an operand lasts must not change a bit.
  if (!inWords(spec, a, b, target)) return choose(target, `${key}${prepared ? ' prepared' : ''}`, [usual, ...others])();
  const [first, ...more] = tilings(target, spec.m, wordsOf(spec.k)).map(({ name, value: t }) => ({
    name: `pairs ${name}`,
    value: () => [matmulGeneral(spec, a, b, epilogue, t, origins, null, true)],
  }));
  return choose(target, `${key} of bf16`, [first!, ...more, usual])();
}

/** Both operands are bf16, the processor multiplies pairs of them, and no word is cut where the depth lies side by side. */
function inWords({ k, transposeA, transposeB }: MatmulSpec, a: Source, b: Source, target: Target): boolean {
  const even = D.mod(k, 2).value === 0;
  return target.dot === true && a.words !== undefined && b.words !== undefined && (even || (transposeA && !transposeB));
}

/** `matmul nt 64x32x64 of 8`: the form, rows x columns x depth, and how many. */
function matmulKey({ batch, m, n, k, transposeA, transposeB }: MatmulSpec): string {
  const form = `${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}`;
  return `matmul ${form} ${m}x${n}x${k}${batch.length === 0 ? '' : ` of ${D.product(batch)}`}`;
}
