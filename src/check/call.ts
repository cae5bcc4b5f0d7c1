/** Calls: of functions (inlined), methods and layers (outlined), primitive ops, casts, and constructors (not yet placed). */
import type { Arg, BlockDecl, CallExpr, Expr, OptimizerDecl, Span } from '../parser/ast.ts';
import { bindArgs, isInt, matchArgs, paramSpecs, unsolved } from './arguments.ts';
import { callBuiltin } from './builtins.ts';
import { evalBody } from './body.ts';
import { callEinops, isEinops } from './einops.ts';
import { callEinsum } from './einsum.ts';
import type { Related } from '../diagnostics/index.ts';
import { at, isLibrary, report, staticCx, type Cx, type Wanted } from './context.ts';
import { describe } from './describe.ts';
import { evaluate, evalValue } from './evaluate.ts';
import { stateGradient } from './gradient.ts';
import type { InstanceNode } from './instance.ts';
import { labelOf } from './instance.ts';
import { callMethod, methodOf } from './method.ts';
import { readMode, withMode } from './mode.ts';
import { callOp } from './op-call.ts';
import { callTrail } from './random.ts';
import { Scope } from './scope.ts';
import { castTo, constantOf } from './tensor.ts';
import { bindWanted, tensorTypeOf, unboundIn, isElem, isUpper } from './dims.ts';
import { tensorMemberHelp } from './unknown-name.ts';
import { coerce, type Meeting } from './unify.ts';
import { floatVal, isPoison, POISON, settle, type FnVal, type HyperArg, type Val } from './values.ts';

/** Inlined calls that nest deeper are taken for a recursion. */
const DEEP = 100;

export function callExpr(cx: Cx, e: CallExpr, wanted: Wanted | null): Val {
  const callee = settle(evaluate(cx, e.callee));
  const hidden = e.callee.kind === 'name' && isNumber(callee) ? hiddenBy(cx, e.callee.name) : null;
  if (hidden) return report(cx, 'not_callable', { what: describe(callee) }, e.callee.span, hidden);
  return callValue(cx, callee, e.args, e.span, wanted);
}

const isNumber = (v: Val): boolean => v.kind === 'int' || v.kind === 'float' || v.kind === 'bool';

/** A number by the name of a function, which it hides: `dropout: float` and `dropout(x)`. */
function hiddenBy(cx: Cx, name: string): { readonly help: string; readonly related: Related[] } | null {
  let found = 0;
  for (let s: Scope | null = cx.scope; s; s = s.parent) {
    const b = s.names.get(name);
    if (!b) continue;
    if (found++ > 0 && b.val.kind === 'fn') {
      const help = `the number hides the function \`${name}\`: give one of them another name`;
      return { help, related: at([cx.scope.find(name)?.span, 'the number']) };
    }
  }
  return null;
}

export function callValue(cx: Cx, callee: Val, args: readonly Arg[], span: Span, wanted: Wanted | null): Val {
  switch (callee.kind) {
    case 'poison':
      for (const a of args) evaluate(cx, a.value);
      return POISON;
    case 'fn':
      return callFn(cx, callee, args, span, wanted);
    case 'op':
      return callOp(cx, callee.op, args, span, wanted);
    case 'builtin': {
      if (callee.name === 'einsum') return callEinsum(cx, args, span);
      if (isEinops(callee.name)) return callEinops(cx, callee.name, args, span);
      const named = args.find((a) => a.name);
      if (named?.name)
        return report(cx, 'unknown_argument', { callee: callee.name, name: named.name.name }, named.span, {
          help: tensorMemberHelp(callee.name),
        });
      return callBuiltin(
        cx,
        callee.name,
        args.map((a) => evalValue(cx, a.value)),
        span,
      );
    }
    case 'elem':
      return callCast(cx, callee, args, span);
    case 'block':
    case 'optimizerDecl':
      return construct(cx, callee.decl, callee.scope, args, span);
    case 'method':
      return callMethod(cx, callee.inst, callee.decl, args, span);
    case 'instance':
      return callInstance(cx, callee.inst, args, span, wanted);
    case 'slot':
    case 'absent':
      return callee.kind === 'absent'
        ? report(cx, 'absent_member', { name: callee.name }, span)
        : report(cx, 'not_callable', { what: describe(callee) }, span);
    case 'blockExpr':
    case 'seq':
      return report(cx, 'block_without_place', { what: describe(callee) }, span);
    default:
      return report(cx, 'not_callable', { what: describe(callee) }, span);
  }
}

// ---------------------------------------------------------------- functions

export function callFn(cx: Cx, f: FnVal, args: readonly Arg[], span: Span, wanted: Wanted | null): Val {
  const decl = f.decl;
  const scope = new Scope(f.scope, new Map(), true);
  if (cx.depth > DEEP) return report(cx, 'recursion', { name: f.name }, span);
  const bound = bindArgs(cx, `\`${f.name}\``, decl.params, args, scope, span, cx.path, makesBlock(decl));
  if (!bound) return POISON;
  const trail = callTrail(cx, f.name);
  const site = cx.site ?? (isLibrary(decl.span) && !isLibrary(span) ? span : null);
  const inner: Cx = { ...cx, scope, trail, site, caller: span, depth: cx.depth + 1, result: null, inDim: false };
  const made = resultOf(cx, inner, f, wanted, span);
  return decl.kind === 'fn' && decl.grad && !isPoison(made) ? stateGradient(inner, decl, bound, made) : made;
}

/** A constructor: `fn LSTM(...) -> block`. */
const makesBlock = (decl: FnVal['decl']): boolean =>
  decl.kind === 'fn' && decl.result?.kind === 'namedType' && decl.result.name.name === 'block';

/** The value of the body in the declared type. `inner` stands in the function, `cx` where it is called. */
function resultOf(cx: Cx, inner: Cx, f: FnVal, wanted: Wanted | null, span: Span): Val {
  const { decl } = f;
  const { scope } = inner;
  const declared = decl.kind === 'fn' ? decl.result : null;
  if (!declared) return settle(evalBody(inner, decl.body, wanted));
  const meeting: Meeting = { scope, what: `the result of \`${f.name}\``, span, fills: true };
  if (declared.kind !== 'tensorType') {
    const v = settle(evalBody(inner, decl.body, null));
    if (isPoison(v)) return v;
    const made = coerce(inner, declared, v, { ...meeting, span: decl.body.result?.span ?? decl.body.span });
    return made.kind === 'blockExpr' && isUpper(f.name) ? { ...made, madeBy: f.name } : made;
  }
  const elemOpen = elemUnbound(declared.elem.name, scope);
  // A shape that is an argument leaves nothing to the place where the value goes: `zeros([B, D])` is f32 everywhere.
  const shapeGiven = declared.dims.some((d) => d.kind === 'spread' && scope.names.get(d.name.name)?.kind === 'arg');
  if (elemOpen && shapeGiven) {
    scope.bind(declared.elem.name, 'dim', { kind: 'elem', elem: 'f32' }, span);
  } else if (elemOpen || unboundIn(declared, scope)) {
    const from = wanted ?? cx.result;
    if (from) bindWanted(cx, declared, from, scope, span);
    const open = unboundIn(declared, scope);
    // `zeros` and its like take the shape as an argument, too.
    const shaped = decl.params.some((p) => `...${p.name.name}` === open?.name);
    const help = shaped ? { help: `give it: \`${f.name}([B, 4])\`` } : {};
    if (open) return report(cx, 'undetermined_shape', { name: f.name, dim: open.name }, span, help);
  }
  const result = tensorTypeOf(cx, declared, scope);
  const v = evalBody({ ...inner, result }, decl.body, result);
  if (isPoison(v)) return v;
  const made = coerce(inner, declared, v, { ...meeting, span: decl.body.result?.span ?? decl.body.span });
  // The declared type says where the sizes of the result come from: the arguments.
  if (made.kind === 'tensor' && result) return { ...made, from: made.from.map((x, i) => result.from[i] ?? x) };
  return made;
}

const elemUnbound = (name: string, scope: Scope): boolean => isUpper(name) && !isElem(name) && !scope.variable(name);

/** Calls a function value with values rather than expressions: elements of a seq. */
export function applyTo(
  cx: Cx,
  callee: Val,
  args: readonly { readonly val: Val; readonly span: Span }[],
  span: Span,
): Val {
  const scope = new Scope(cx.scope);
  const exprs = args.map(({ val, span: s }, i): Arg => {
    const name = `$${i}`;
    scope.bind(name, 'local', val, s);
    return { name: null, value: { kind: 'name', name, span: s }, span: s };
  });
  return callValue({ ...cx, scope }, callee, exprs, span, null);
}

// ---------------------------------------------------------------- layers

function callInstance(cx: Cx, inst: InstanceNode, args: readonly Arg[], span: Span, wanted: Wanted | null): Val {
  if (!cx.fn) return report(cx, 'tensor_at_compile_time', { what: labelOf(inst) }, span);
  if (inst.kind === 'fn') return callValue({ ...cx, path: inst.path ?? cx.path }, inst.fn!, args, span, wanted);
  if (inst.kind === 'list') return report(cx, 'list_called', { what: labelOf(inst) }, span);
  if (inst.kind === 'seq') return callSeq(cx, inst, args, span);
  if (inst.refused) return POISON;
  const forward = methodOf(cx, inst, 'forward');
  if (!forward)
    return report(cx, 'no_forward', { what: labelOf(inst) }, span, {
      related: at([inst.decl?.name.span, 'declared here']),
    });
  return callMethod(cx, inst, forward, args, span);
}

/** A seq is not a function of its own: its elements are called one after the other. */
function callSeq(cx: Cx, inst: InstanceNode, args: readonly Arg[], span: Span): Val {
  const mode = readMode(cx, args);
  if (mode === null) return POISON;
  let current = args
    .filter((a) => a.name?.name !== 'training')
    .map((a) => ({ val: evalValue(cx, a.value), span: a.value.span }));
  if (current.some((c) => isPoison(c.val))) return POISON;
  return withMode(cx.fn!, mode, () => {
    for (const child of inst.children) {
      const where = isLibrary(child.node.span) ? span : child.node.span;
      // What an element gets from the one before it is blamed on the element; what the seq gets, on the caller.
      if (child !== inst.children[0]) current = [{ val: current[0]!.val, span: where }];
      const v = applyTo(cx, { kind: 'instance', inst: child.node }, current, where);
      if (isPoison(v)) return POISON;
      current = [{ val: v, span: where }];
    }
    return current[0]?.val ?? POISON;
  });
}

// ---------------------------------------------------------------- constructors and casts

/** `Linear(4, 8)`: its arguments are evaluated here and checked where it is placed; `_` waits for the first call. */
function construct(cx: Cx, decl: BlockDecl | OptimizerDecl, scope: Scope, args: readonly Arg[], span: Span): Val {
  const matched = matchArgs(cx, decl.name.name, paramSpecs(decl.params), args, span);
  if (!matched) return POISON;
  const hyper = new Map<string, HyperArg>();
  const inner = new Scope(scope);
  let ok = true;
  for (const p of decl.params) {
    const arg = matched.get(p.name.name);
    let val: Val;
    let where = span;
    const what = `\`${p.name.name}\` of ${decl.name.name}`;
    if (arg) {
      where = givenAt(cx, arg.value);
      if (arg.value.kind === 'infer') {
        val = isInt(p) && decl.kind === 'block' ? unsolved(p, where) : report(cx, 'infer_misplaced', {}, where);
      } else val = settle(evaluate(staticCx(cx, cx.scope), arg.value));
    } else {
      where = p.default?.span ?? span;
      val = p.default ? evaluate({ ...staticCx(cx, inner), site: cx.site ?? span }, p.default) : { kind: 'none' };
    }
    if (p.type && !isPoison(val))
      val = coerce(staticCx(cx, inner), p.type, val, { scope: inner, what, span: where, fills: false });
    if (isPoison(val)) ok = false;
    hyper.set(p.name.name, { val, span: where });
    inner.bind(p.name.name, 'hyper', val, where);
  }
  if (!ok) return POISON;
  return decl.kind === 'block'
    ? { kind: 'blockExpr', decl, scope, hyper, span: cx.site ?? span }
    : { kind: 'optimizer', decl, scope, hyper, span };
}

/** Where a user wrote the value: the library's constructors hand their arguments on. */
function givenAt(cx: Cx, e: Expr): Span {
  const passed = e.kind === 'name' && isLibrary(e.span) ? cx.scope.find(e.name) : null;
  return passed?.kind === 'arg' && passed.span && !isLibrary(passed.span) ? passed.span : e.span;
}

function callCast(cx: Cx, callee: Val & { kind: 'elem' }, args: readonly Arg[], span: Span): Val {
  const [arg] = args;
  if (!arg || args.length !== 1 || arg.name)
    return report(cx, 'bad_builtin_call', { name: callee.elem, found: `${args.length} arguments` }, span);
  const v = evalValue(cx, arg.value);
  const float = callee.elem === 'f32' || callee.elem === 'f16' || callee.elem === 'bf16';
  if (v.kind === 'int' && v.dim.value !== null && float) return floatVal(v.dim.value);
  if (v.kind === 'int' && v.dim.value !== null && callee.elem !== 'bool') return v;
  if (v.kind === 'float' && float) return v;
  if (v.kind === 'int' && cx.fn) return constantOf(cx, v, callee.elem, span);
  if (v.kind === 'bool' && float) return floatVal(v.value ? 1 : 0);
  if (v.kind === 'tensor') return castTo(cx, v, callee.elem, span);
  if (isPoison(v)) return v;
  return report(cx, 'bad_builtin_call', { name: callee.elem, found: describe(v) }, span);
}
