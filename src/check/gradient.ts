/** `fn f(...) { ... } grad (dy) => ...`: the gradient that a function states instead of the one that follows from its body. */
import { typeText, value } from '../ir/builder.ts';
import type { Region, Value } from '../ir/ir.ts';
import type { FnDecl } from '../parser/ast.ts';
import type { Bound } from './arguments.ts';
import { evalBody } from './body.ts';
import { originOf, report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { inRegion, within } from './region.ts';
import { Scope } from './scope.ts';
import { fill, requireEqual, reshape, toTensor } from './tensor.ts';
import { isPoison, mapTensors, POISON, settle, tensorsIn, type TensorVal, type Val } from './values.ts';

const isFloat = (t: TensorVal): boolean => ['f32', 'f16', 'bf16'].includes(t.value.type.elem);

/** The result of the function with its stated gradient: `cx` is the function's own place, with its arguments in scope. */
export function stateGradient(cx: Cx, decl: FnDecl, bound: ReadonlyMap<string, Bound>, result: Val): Val {
  const fn = cx.fn;
  const grad = decl.grad!;
  const wrong = (fault: string): Val =>
    report(cx, 'custom_gradient', { name: decl.name.name, fault }, grad.body.result?.span ?? grad.span);
  const results = tensorsIn(result);
  const inputs = [...bound.values()].flatMap((b) => tensorsIn(b.val)).filter(isFloat);
  if (!fn || results.length === 0 || inputs.length === 0) return result;
  const { params } = grad;
  if (params.length !== results.length && params.length !== 2 * results.length) {
    const want = `${results.length} or ${2 * results.length}`;
    return wrong(
      `takes ${params.length} arguments, and must take ${want}: one for each result, then perhaps the results`,
    );
  }
  const cotangents = results.map((r, i) => value(r.value.type, params[i]!.name.name));
  const scope = new Scope(cx.scope);
  params.forEach((p, i) => {
    const val: TensorVal =
      i < results.length ? { ...results[i]!, value: cotangents[i]! } : results[i - results.length]!;
    scope.bind(p.name.name, 'local', val, p.name.span);
  });
  const { made, b } = inRegion(fn, () => settle(evalBody({ ...cx, scope, result: null }, grad.body, null)));
  if (isPoison(made)) return POISON;
  const parts = made.kind === 'tuple' || made.kind === 'list' ? made.items : [made];
  if (parts.length !== inputs.length)
    return wrong(`is ${describe(made)}, and must be one value for each of the ${inputs.length} float arguments`);
  const gradients: Value[] = [];
  for (const [i, part] of parts.entries()) {
    const { type } = inputs[i]!.value;
    const fits = within(fn, b, () => {
      const t = toTensor(cx, part, grad.span, type.elem);
      if (t.kind !== 'tensor') return t;
      const spread = part.kind === 'tensor' ? t : fill(cx, t, type.shape, grad.span);
      if (spread.kind !== 'tensor') return spread;
      const found = spread.value.type;
      const fault = `gives ${typeText(found)} for an argument of type ${typeText(type)}`;
      if (found.elem !== type.elem || found.shape.length !== type.shape.length) return wrong(fault);
      const args = { name: decl.name.name, fault };
      const where = grad.body.result?.span ?? grad.span;
      if (!type.shape.every((d, k) => requireEqual(cx, d, found.shape[k]!, 'custom_gradient', args, where)))
        return POISON;
      return reshape(cx, spread, type.shape, grad.span);
    });
    if (fits.kind !== 'tensor') return POISON;
    gradients.push(fits.value);
  }
  const region: Region = { params: cotangents, ops: b.ops, results: gradients };
  fn.b.origin = originOf(cx, grad.span);
  const out = fn.b.emitTyped(
    'with_gradient',
    [...results, ...inputs].map((t) => t.value),
    { results: results.length },
    results.map((r) => r.value.type),
    [region],
  );
  let next = 0;
  return mapTensors(result, (t) => ({ ...t, value: out[next++]! }));
}
