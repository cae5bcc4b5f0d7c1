/** `precision` and `scaler` of a `train` block: how wide products are while training, and how the loss is scaled for it. */
import type { Expr, Span } from '../parser/ast.ts';
import { report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import type { ScalerPlan, TrainPlan } from './elaborated.ts';
import { evaluate } from './evaluate.ts';
import { settingsOf, type Range } from './settings.ts';
import { isPoison, settle } from './values.ts';

const SCALER: Readonly<Record<string, Range>> = {
  init_scale: { wanted: 'a float above 0', holds: (x) => x > 0 && Number.isFinite(x) },
  growth_factor: { wanted: 'a float above 1', holds: (x) => x > 1 && Number.isFinite(x) },
  backoff_factor: { wanted: 'a float between 0 and 1', holds: (x) => x > 0 && x < 1 },
  growth_interval: { wanted: 'an int of at least 1', holds: (x) => x >= 1 },
};

/** f16 scales its loss unless `scaler = none`; the others only where they say so. */
export function precisionOf(
  cx: Cx,
  inner: Cx,
  settings: ReadonlyMap<string, Expr>,
): Pick<TrainPlan, 'precision' | 'scaler'> {
  const e = settings.get('precision');
  const precision = e ? elemOf(cx, inner, e) : 'f32';
  const given = settings.get('scaler') ?? (e && precision === 'f16' ? standard(e.span) : null);
  return { precision, scaler: given ? scalerOf(cx, inner, given) : null };
}

function elemOf(cx: Cx, inner: Cx, e: Expr): TrainPlan['precision'] {
  const v = settle(evaluate(inner, e));
  if (v.kind === 'elem' && (v.elem === 'f32' || v.elem === 'f16' || v.elem === 'bf16')) return v.elem;
  if (!isPoison(v))
    report(cx, 'type_mismatch', { what: '`precision`', wanted: 'f32, f16 or bf16', found: describe(v) }, e.span);
  return 'f32';
}

function scalerOf(cx: Cx, inner: Cx, e: Expr): ScalerPlan | null {
  const v = settle(evaluate(inner, e));
  if (v.kind === 'none' || isPoison(v)) return null;
  const scaler = settingsOf(cx, v, 'GradScaler', SCALER, e.span);
  if (!scaler) {
    const wanted = 'grad_scaler() or none';
    report(cx, 'type_mismatch', { what: '`scaler`', wanted, found: describe(v) }, e.span);
  }
  return scaler as ScalerPlan | null;
}

const standard = (span: Span): Expr => ({
  kind: 'call',
  callee: { kind: 'name', name: 'grad_scaler', span },
  args: [],
  span,
});
