/** A call of a block's method: a `call` of the function that its structure shares, or its body in place where it must be. */
import * as D from '../ir/dim.ts';
import type { TensorType } from '../ir/ir.ts';
import type { Arg, FnDecl, Member, Span } from '../parser/ast.ts';
import { bindArgs, type Bound } from './arguments.ts';
import { originOf, at, isLibrary, quiet, report, staticCx, type Cx } from './context.ts';
import { truth } from './control.ts';
import { evaluate } from './evaluate.ts';
import { labelOf, subtreeTensors, type InstanceNode } from './instance.ts';
import { solvePending } from './instantiate.ts';
import { readMode, withMode } from './mode.ts';
import { canOutline, lowerMethod, runBody, scopeOf, type LoweredMethod } from './outline.ts';
import { callTrail, streamKey } from './random.ts';
import { Scope } from './scope.ts';
import { addCheck, compareAtLeast, readTensor, writeTensor } from './tensor.ts';
import { isPoison, mapTensors, POISON, tensorsIn, type TensorVal, type Val } from './values.ts';

/** A method by name; while a `_` keeps conditions open, the first one that there may be. */
export function methodOf(cx: Cx, inst: InstanceNode, name: string): FnDecl | null {
  const known = inst.methods.get(name);
  if (known || !inst.pending || !inst.decl) return known ?? null;
  const inner = staticCx(quiet(cx), inst.declScope!);
  const search = (members: readonly Member[]): FnDecl | null => {
    for (const m of members) {
      if (m.kind === 'method' && m.fn.name.name === name) return m.fn;
      if (m.kind !== 'ifMember') continue;
      const cond = evaluate(inner, m.cond);
      const taken = isPoison(cond) ? null : truth(cond, m.cond, inner);
      const found = (taken !== false && search(m.then)) || (taken !== true && search(m.else));
      if (found) return found;
    }
    return null;
  };
  return search(inst.decl.members);
}

export function callMethod(cx: Cx, inst: InstanceNode, decl: FnDecl, args: readonly Arg[], span: Span): Val {
  const fn = cx.fn;
  if (!fn) return report(cx, 'tensor_at_compile_time', { what: `\`${decl.name.name}\`` }, span);
  if (inst.refused) return POISON;
  if (inst.path === null) {
    return report(cx, 'let_without_name', { type: inst.type }, span, {
      related: at([inst.letAt, 'declared with `let` here']),
    });
  }
  const mode = readMode(cx, args);
  if (mode === null) return POISON;
  const given = args.filter((a) => a.name?.name !== 'training' || decl.params.some((p) => p.name.name === 'training'));
  const scope = new Scope(scopeOf(inst), new Map(), true);
  const callee = decl.name.name === 'forward' ? labelOf(inst) : `\`${decl.name.name}\` of ${labelOf(inst)}`;
  const bound = bindArgs(cx, callee, decl.params, given, scope, span, inst.path || cx.path);
  if (inst.pending) solvePending(cx, inst, decl, span);
  if (!bound || inst.pending) return POISON;
  const training = mode ?? fn.training;
  const lowered = canOutline(bound, decl, scope) ? lowerMethod(cx, inst, decl, bound, scope, training, span) : null;
  if (!lowered) return inlineMethod(cx, inst, decl, bound, scope, mode, span);
  if (mode === undefined && lowered.readsMode) fn.readsMode = true;
  return lowered.result ? emitCall(cx, inst, decl, lowered, bound, scope, span) : POISON;
}

/** The `call`, in the caller's sizes. What the function must have checked becomes the caller's to check. */
function emitCall(
  cx: Cx,
  inst: InstanceNode,
  decl: FnDecl,
  m: LoweredMethod,
  bound: ReadonlyMap<string, Bound>,
  scope: Scope,
  span: Span,
): Val {
  const fn = cx.fn!;
  const env = callerSizes(scope);
  const tensors = subtreeTensors(inst);
  const operands = [
    ...m.tensors.map((i) => readTensor(fn, tensors[i]!)),
    ...[...bound.values()].flatMap((b) => tensorsIn(b.val).map((t) => t.value)),
    ...(m.random ? [streamKey(cx, stepName(inst, decl), span)] : []),
  ];
  const func = cx.world.funcs.get(m.func)!;
  const types = func.body.results.map((r): TensorType => ({
    elem: r.type.elem,
    shape: r.type.shape.map((d) => D.substitute(d, env)),
  }));
  const site = isLibrary(decl.span) && !isLibrary(inst.span) ? inst.span : span;
  fn.b.origin = originOf(cx, site, inst.path || cx.path);
  const results = fn.b.emitTyped('call', operands, { callee: m.func }, types, [], stepHint(inst));
  liftChecks(cx, m, env, span);
  const leaves = tensorsIn(m.result!);
  m.updates.forEach((t, i) => writeTensor(fn, tensors[t]!, results[leaves.length + i]!));
  let next = 0;
  return mapTensors(m.result!, (t) => {
    const made = results[next++]!;
    return {
      kind: 'tensor',
      value: made,
      from: made.type.shape.map((d, i) => provenance(t, i, d, scope, span)),
    } satisfies TensorVal;
  });
}

/** A size that a hyper-parameter decided points there; one that an argument decided points at where the argument got it. */
function provenance(t: TensorVal, i: number, d: D.Dim, scope: Scope, span: Span): Span {
  for (const b of scope.names.values()) {
    const sizes = b.kind === 'dim' ? (b.val.kind === 'tuple' ? b.val.items : [b.val]) : [];
    for (const x of sizes) if (x.kind === 'int' && x.from && x.dim.key === d.key) return x.from;
  }
  const from = t.from[i];
  return from && !isLibrary(from) ? from : span;
}

const stepName = (inst: InstanceNode, decl: FnDecl): string =>
  `${inst.path?.split('.').pop() ?? inst.type}.${decl.name.name}`;
const stepHint = (inst: InstanceNode): string | null => inst.path?.split('.').pop()?.replace(/^\d/, '') || null;

function callerSizes(scope: Scope): Map<string, D.Dim> {
  const env = new Map<string, D.Dim>();
  for (const [name, b] of scope.names) {
    if (b.kind !== 'dim') continue;
    if (b.val.kind === 'int') env.set(name, b.val.dim);
    else if (b.val.kind === 'tuple') b.val.items.forEach((x, i) => x.kind === 'int' && env.set(`${name}_${i}`, x.dim));
  }
  return env;
}

function liftChecks(cx: Cx, m: LoweredMethod, env: ReadonlyMap<string, D.Dim>, span: Span): void {
  for (const c of m.checks) {
    const left = D.substitute(c.left, env);
    const right = D.substitute(c.right, env);
    const verdict = c.kind === 'equal' ? D.compare(left, right) : compareAtLeast(left, right);
    if (verdict === 'equal' || verdict === 'yes') continue;
    if (verdict === 'different' || verdict === 'no') {
      const args = { message: c.message, left: left.key, right: right.key };
      report(cx, 'check_fails', args, span, { related: at([c.origin.span, 'required here']) });
    } else addCheck(cx.fn!, { ...c, left, right });
  }
}

// ---------------------------------------------------------------- in place

/** Lowers the body into the caller: for functions as arguments and sizes that no tensor carries. */
function inlineMethod(
  cx: Cx,
  inst: InstanceNode,
  decl: FnDecl,
  bound: ReadonlyMap<string, Bound>,
  scope: Scope,
  mode: boolean | undefined,
  span: Span,
): Val {
  const fn = cx.fn!;
  if (cx.depth > 60) return report(cx, 'recursion', { name: decl.name.name }, span);
  for (const [name, b] of bound) scope.bind(name, 'arg', b.val, b.span, b.optional);
  const site = isLibrary(decl.span) ? (cx.site ?? (isLibrary(inst.span) ? span : inst.span)) : cx.site;
  const inner: Cx = {
    ...cx,
    scope,
    self: inst,
    path: inst.path || cx.path,
    trail: callTrail(cx, stepName(inst, decl)),
    site,
    caller: span,
    result: null,
    inDim: false,
    depth: cx.depth + 1,
  };
  return withMode(fn, mode, () => runBody(inner, decl, scope));
}
