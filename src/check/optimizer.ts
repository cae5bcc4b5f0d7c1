/** An optimizer declaration as functions on one tensor, or on a flat run of many where every op of the step is elementwise. */
import { DiagnosticBag } from '../diagnostics/index.ts';
import { value } from '../ir/builder.ts';
import { same, sym, type Dim } from '../ir/dim.ts';
import type { Func, Value } from '../ir/ir.ts';
import { opDef } from '../ir/ops/table.ts';
import type { FnDecl, Member, TensorMember, TypeExpr } from '../parser/ast.ts';
import { evalBody } from './body.ts';
import { at, newFn, originOf, refuse, report, staticCx, type Cx } from './context.ts';
import { describe } from './describe.ts';
import type { OptimizerPlan, StepFunc } from './elaborated.ts';
import { evaluate, evalValue } from './evaluate.ts';
import type { InstanceNode, TensorNode } from './instance.ts';
import { liveMembers } from './live-members.ts';
import { freeName } from './outline.ts';
import { execRequire } from './require.ts';
import { Scope } from './scope.ts';
import { fill, toTensor } from './tensor.ts';
import { bindWanted, tensorTypeOf } from './dims.ts';
import { coerce } from './unify.ts';
import { keyOfNumber, uniformArgument, type Uniforms } from './uniform.ts';
import { isPoison, tensorVal, tupleVal, type Val, type OptimizerVal, type TensorVal } from './values.ts';

/** A trained tensor's shape, with where to point when the optimizer cannot take it. */
export interface Trained {
  readonly name: string;
  readonly shape: readonly Dim[];
}

interface Step {
  readonly func: Func;
  readonly numbers: StepFunc['numbers'];
  readonly state: readonly State[];
}

type State = Omit<OptimizerPlan['state'][number], 'init'> & { readonly init: Func };

export function planOptimizer(cx: Cx, opt: OptimizerVal, trained: readonly Trained[]): OptimizerPlan | null {
  const step = findStep(cx, opt, opt.decl.members);
  if (!step) return refuse(cx, 'optimizer_step', { name: opt.decl.name.name }, opt.span);
  const floats = floatsOf(opt);
  const flat = lowerFlat(cx, opt, step);
  const name = opt.decl.name.name;
  const stateOf = (made: Step): OptimizerPlan['state'] =>
    made.state.map((x) => ({ ...x, init: add(cx, `${name}_init_${x.name}`, x.init) }));
  const stepFunc = (made: Step): StepFunc => ({ func: add(cx, `${name}_step`, made.func), numbers: made.numbers });
  if (flat) return { name, floats, state: stateOf(flat), flat: stepFunc(flat), byShape: {} };
  const byShape: Record<string, StepFunc> = {};
  let first: Step | null = null;
  for (const t of trained) {
    const key = t.shape.map((d) => d.key).join('x');
    if (key in byShape) continue;
    const made = lowerStep(cx, opt, step, t.shape, t.name);
    if (!made) return null;
    byShape[key] = stepFunc(made);
    first ??= made;
  }
  return { name, floats, state: first ? stateOf(first) : [], flat: null, byShape };
}

/** Whether a hyper-parameter of that type is one of the run. */
export const isOfRun = (t: TypeExpr | null): boolean =>
  t?.kind === 'tupleType' ? t.items.every(isFloatType) : t !== null && isFloatType(t);

const isFloatType = (t: TypeExpr): boolean => t.kind === 'namedType' && t.name.name === 'float';

/** The numbers of a hyper-parameter, by name: `lr`, or `betas.0` and `betas.1`. */
export function numbersOf(name: string, v: Val): { readonly name: string; readonly default: number }[] {
  if (v.kind === 'tuple') return v.items.flatMap((x, i) => numbersOf(`${name}.${i}`, x));
  return v.kind === 'float' ? [{ name, default: v.value }] : [];
}

/** Run-time hyper-parameters, with the values that the declaration is used with. */
export function floatsOf(opt: OptimizerVal): { readonly name: string; readonly default: number }[] {
  return opt.decl.params.flatMap((p) =>
    isOfRun(p.type) ? numbersOf(p.name.name, opt.hyper.get(p.name.name)!.val) : [],
  );
}

/** What such a hyper-parameter is inside a step. Schedules change `lr` on the device, so it is an argument like any other scalar. */
function inStep(name: string, v: Val, uniforms: Uniforms): Val {
  if (v.kind === 'tuple') return tupleVal(v.items.map((x, i) => inStep(`${name}.${i}`, x, uniforms)));
  return name === 'lr' ? uniformArgument(uniforms, name) : { kind: 'uniform', expr: name };
}

function add(cx: Cx, base: string, func: Func): string {
  const name = freeName(cx.world, base);
  cx.world.funcs.set(name, { ...func, name });
  return name;
}

function findStep(cx: Cx, opt: OptimizerVal, members: readonly Member[]): FnDecl | null {
  for (const m of liveMembers(cx, hyperScope(opt, opt.scope), members))
    if (m.kind === 'method' && m.fn.name.name === 'step') return m.fn;
  return null;
}

function hyperScope(opt: OptimizerVal, parent: Scope): Scope {
  const scope = new Scope(parent);
  for (const [name, h] of opt.hyper) scope.bind(name, 'hyper', h.val, h.span);
  return scope;
}

/**
 * On f32[N] where nothing depends on the shape: every op is elementwise, and the program for a matrix is the same one.
 * Faults here only mean that the optimizer is not of that kind.
 */
function lowerFlat(cx: Cx, opt: OptimizerVal, step: FnDecl): Step | null {
  const quiet: Cx = { ...cx, world: { ...cx.world, bag: new DiagnosticBag(), faulty: new Set() } };
  const flat = lowerStep(quiet, opt, step, [sym('N')], '');
  if (!flat || quiet.world.bag.hasErrors || !flat.func.body.ops.every((op) => isElementwise(op.kind, op.operands)))
    return null;
  const matrix = lowerStep(quiet, opt, step, [sym('M'), sym('N')], '');
  const ops = (s: Step): string => s.func.body.ops.map((o) => `${o.kind}${String(o.attrs['value'] ?? '')}`).join();
  const numbers = (s: Step): string => s.numbers.map(keyOfNumber).join();
  if (!matrix || ops(matrix) !== ops(flat) || numbers(matrix) !== numbers(flat)) return null;
  return lowerStep(cx, opt, step, [sym('N')], '');
}

function isElementwise(kind: string, operands: readonly Value[]): boolean {
  if (kind === 'constant' || kind === 'stop_gradient') return true;
  if (kind === 'broadcast_to') return operands[0]!.type.shape.length === 0;
  return opDef(kind).lower.kind === 'elementwise';
}

/** (p, g, state..., numbers...) -> (p', state'...) for one shape. */
function lowerStep(cx: Cx, opt: OptimizerVal, step: FnDecl, shape: readonly Dim[], tensor: string): Step | null {
  const uniforms: Uniforms = new Map();
  const fn = newFn(null, true, uniforms);
  const node = stateHolder(cx, opt);
  const scope = new Scope(node.methodScope, new Map(), true);
  const inner: Cx = { ...cx, scope, fn, self: node, path: '', trail: '', site: null, result: null, inDim: false };
  const params: Value[] = [];
  for (const p of step.params.slice(0, 2)) {
    const v = value({ elem: 'f32', shape }, p.name.name);
    params.push(v);
    const given: TensorVal = tensorVal(v, null);
    const what = tensor === '' ? 'a parameter' : `the parameter \`${tensor}\``;
    const made = p.type ? coerce(inner, p.type, given, { scope, what, span: opt.span, fills: false }) : given;
    if (isPoison(made)) {
      report(inner, 'optimizer_shape', { name: opt.decl.name.name, tensor, shape: `[${shape.join(', ')}]` }, opt.span);
      return null;
    }
    scope.bind(p.name.name, 'arg', made, p.name.span);
  }
  if (step.params.length !== 2) return refuse(inner, 'optimizer_step', { name: opt.decl.name.name }, step.name.span);

  for (const p of opt.decl.params) {
    if (!isOfRun(p.type)) continue;
    const val = inStep(p.name.name, opt.hyper.get(p.name.name)!.val, uniforms);
    node.hyper.set(p.name.name, { val, span: opt.span });
    node.members.set(p.name.name, { kind: 'hyper', val, span: opt.span });
  }
  const members = liveMembers(inner, hyperScope(opt, opt.scope), opt.decl.members);
  const state: (State | null)[] = [];
  const tensors: TensorNode[] = [];
  for (const m of members) {
    if (m.kind === 'const')
      node.members.set(m.name.name, {
        kind: 'member',
        val: evaluate({ ...inner, scope: node.methodScope! }, m.value),
        span: m.span,
      });
    else if (m.kind === 'method') {
      if (m.fn !== step)
        node.members.set(m.fn.name.name, {
          kind: 'member',
          val: { kind: 'fn', name: m.fn.name.name, decl: m.fn, scope: node.methodScope! },
          span: m.fn.span,
        });
    } else if (m.kind === 'buffer') {
      const made = stateTensor(inner, node, m, scope, shape);
      if (!made) return null;
      tensors.push(made.node);
      state.push(stateInit(cx, opt, m, made.like, made.node, scope));
    } else if (m.kind === 'require') execRequire({ ...inner, scope: node.methodScope! }, m, opt.span);
    else report(inner, 'optimizer_member', { kind: m.kind === 'sub' || m.kind === 'let' ? 'a block' : m.kind }, m.span);
  }
  // State comes in declaration order, also what a step only writes.
  const uses = tensors.map((t) => {
    const param = value(t.type, t.name);
    fn.tensors.set(t, { param, current: param });
    return param;
  });
  const result = evalBody(inner, step.body, { elem: 'f32', shape, from: shape.map(() => null) });
  if (result.kind !== 'tensor' || state.includes(null)) return null;
  const declared = step.result;
  const checked = declared
    ? coerce(inner, declared, result, {
        scope,
        what: 'the result of `step`',
        span: step.body.result?.span ?? step.span,
        fills: false,
      })
    : result;
  if (checked.kind !== 'tensor') return null;
  if (fn.keyParam) return refuse(inner, 'optimizer_random', { name: opt.decl.name.name }, step.span);
  return {
    func: {
      name: '',
      body: {
        params: [...params, ...uses, ...[...uniforms.values()].map((u) => u.param)],
        ops: fn.b.ops,
        results: [checked.value, ...tensors.map((t) => fn.tensors.get(t)!.current)],
      },
      checks: fn.checks,
      origin: originOf(inner, step.name.span),
    },
    numbers: [...uniforms.values()].map((u) => u.expr),
    state: state.map((s) => s!),
  };
}

/** Holds the state buffers as a block holds its own, so that `update` works the same. */
function stateHolder(cx: Cx, opt: OptimizerVal): InstanceNode {
  const members: InstanceNode['members'] = new Map();
  const node: InstanceNode = {
    id: cx.world.nextInstance++,
    kind: 'block',
    type: opt.decl.name.name,
    decl: null,
    span: opt.span,
    path: '',
    drawPath: '',
    letAt: null,
    hyper: new Map(opt.hyper),
    slots: new Map(),
    children: [],
    lets: [],
    methods: new Map(),
    absent: new Set(),
    members,
    declScope: null,
    methodScope: new Scope(hyperScope(opt, opt.scope), members),
    fn: null,
    fnExpr: null,
    refused: false,
    pending: false,
    key: null,
    subtree: null,
  };
  return node;
}

function stateTensor(cx: Cx, node: InstanceNode, m: TensorMember, scope: Scope, shape: readonly Dim[]) {
  const type = m.type.kind === 'tensorType' ? tensorTypeOf(cx, m.type, scope) : null;
  const like = !type
    ? null
    : type.shape.length === 0
      ? ('scalar' as const)
      : sameShape(type.shape, shape)
        ? ('param' as const)
        : null;
  if (!type || !like || (type.elem !== 'f32' && type.elem !== 'i32')) {
    return refuse(cx, 'optimizer_state', { name: m.name.name }, m.type.span);
  }
  const tensor: TensorNode = {
    role: 'buffer',
    name: m.name.name,
    scope,
    type: { elem: type.elem, shape: type.shape },
    member: m,
    owner: node,
    from: type.from,
  };
  const slot = { name: m.name.name, owner: node, tensor, transposed: false, tiedAt: null };
  node.slots.set(m.name.name, slot);
  node.members.set(m.name.name, { kind: 'member', val: { kind: 'slot', slot }, span: m.span });
  return { node: tensor, like };
}

const sameShape = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((d, i) => same(d, b[i]!));

/** () -> f32[N] or a scalar: state is made for whole groups, so its first value may not depend on the shape. */
function stateInit(
  cx: Cx,
  opt: OptimizerVal,
  m: TensorMember,
  like: 'param' | 'scalar',
  t: TensorNode,
  outer: Scope,
): State | null {
  const fn = newFn(null, true);
  const shape = like === 'param' ? [sym('N')] : [];
  const elem = t.type.elem === 'i32' ? ('i32' as const) : ('f32' as const);
  const wanted = { elem, shape, from: shape.map(() => null) };
  const scope = new Scope(hyperScope(opt, outer.parent ?? opt.scope));
  if (m.type.kind === 'tensorType') bindWanted(cx, m.type, wanted, scope, m.span);
  const inner: Cx = { ...staticCx(cx, scope), fn, result: wanted };
  if (!m.init) return refuse(cx, 'no_initial_value', { name: m.name.name }, m.span);
  const given = evalValue(inner, m.init, wanted);
  const v = toTensor(inner, given, m.init.span, elem);
  const full = v.kind === 'tensor' && v.value.type.shape.length === 0 ? fill(inner, v, shape, m.init.span) : v;
  if (full.kind !== 'tensor') return null;
  if (fn.keyParam || full.value.type.elem !== elem || !sameShape(full.value.type.shape, shape)) {
    const args = { found: describe(full), type: like === 'param' ? `${elem}[the parameter's shape]` : `${elem}[]` };
    return refuse(cx, 'init_type', args, m.init.span, { related: at([m.span, 'declared here']) });
  }
  const func: Func = {
    name: '',
    body: { params: [], ops: fn.b.ops, results: [full.value] },
    checks: [],
    origin: originOf(inner, m.span),
  };
  return { name: m.name.name, like, elem, init: func };
}
