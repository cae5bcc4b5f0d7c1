/** The `train` block as a plan: which method is the loss, which parameters are trained with which hyper-parameters. */
import { didYouMean } from '../diagnostics/index.ts';
import { listOf } from '../diagnostics/words.ts';
import { value } from '../ir/builder.ts';
import type { CallExpr, Expr, FnDecl, Ident, Lambda, Selector, Train } from '../parser/ast.ts';
import { callValue } from './call.ts';
import { at, newFn, originOf, report, staticCx, type Cx } from './context.ts';
import { describe } from './describe.ts';
import type { MethodInfo, TrainPlan } from './elaborated.ts';
import { hasTensor } from './entry.ts';
import { evaluate } from './evaluate.ts';
import { nearSelector } from './init.ts';
import { descendants, type InstanceNode, type TensorNode } from './instance.ts';
import { liveMembers } from './live-members.ts';
import { freeName } from './outline.ts';
import type { Named } from './names.ts';
import { floatsOf, planOptimizer } from './optimizer.ts';
import { Scope } from './scope.ts';
import { candidatesBelow, matches, type Candidate } from './selector.ts';
import { toTensor } from './tensor.ts';
import { pathText } from './ties.ts';
import { isPoison, numberOf, settle, tensorVal, type OptimizerVal, type Val } from './values.ts';

const SETTINGS = [
  'loss',
  'metric',
  'optimizer',
  'schedule',
  'clip_norm',
  'clip_value',
  'accumulate',
  'ema',
  'epochs',
  'batch_size',
  'data',
  'seed',
];

/** Tensors that `freeze` takes out of training: of the block's own `freeze` members, its train block's, and those below. */
export function frozenTensors(cx: Cx, root: InstanceNode): Set<TensorNode> {
  const out = new Set<TensorNode>();
  for (const node of descendants(root)) {
    if (!node.decl || node.pending) continue;
    const selectors = liveMembers(cx, node.declScope!, node.decl.members).flatMap((m): readonly Selector[] =>
      m.kind === 'freeze' ? [m.selector] : m.kind === 'train' && node === root ? m.freeze : [],
    );
    if (selectors.length === 0) continue;
    const below = candidatesBelow(node);
    for (const s of selectors) {
      const hit = below.filter((c) => matches(s, c));
      if (hit.length === 0) unmatched(cx, node, s, below);
      for (const c of hit) if (c.slot?.tensor.role === 'param') out.add(c.slot.tensor);
    }
  }
  return out;
}

function unmatched(cx: Cx, node: InstanceNode, s: Selector, below: readonly Candidate[]): void {
  const args = { selector: pathText(s), type: node.type };
  report(cx, 'selector_unmatched', args, s.span, { help: nearSelector(s, below), path: node.path });
}

export function planTraining(
  cx: Cx,
  root: InstanceNode,
  named: Named,
  methods: readonly MethodInfo[],
  frozen: ReadonlySet<TensorNode>,
): TrainPlan | null {
  const blocks = liveMembers(cx, root.declScope!, root.decl!.members).filter((m): m is Train => m.kind === 'train');
  const [train, second] = blocks;
  if (!train) return null;
  if (second)
    report(cx, 'duplicate_name', { name: 'train' }, second.span, {
      related: [{ span: train.span, message: 'declared first here' }],
    });
  const settings = readSettings(cx, train);
  const inner = staticCx(cx, root.declScope!);
  const loss = methodNamed(cx, root, methods, settings.get('loss') ?? null, 'loss', train);
  const metric = settings.has('metric')
    ? methodNamed(cx, root, methods, settings.get('metric')!, 'metric', train)
    : null;
  const number = (name: string, whole: boolean, least: number, below = Infinity): number | null => {
    const e = settings.get(name);
    if (!e) return null;
    const v = evaluate(inner, e);
    const x = numberOf(v);
    if (x !== null && (!whole || v.kind === 'int') && x >= least && x < below) return x;
    const wanted = `${whole ? 'an int' : 'a number'} of at least ${least}${below < Infinity ? ` and below ${below}` : ''}`;
    if (!isPoison(v)) report(cx, 'type_mismatch', { what: `\`${name}\``, wanted, found: describe(v) }, e.span);
    return null;
  };
  const plan = {
    epochs: number('epochs', true, 1),
    batchSize: number('batch_size', true, 1),
    seed: number('seed', true, 0),
    accumulate: number('accumulate', true, 1) ?? 1,
  };
  const limits = given({
    clip_norm: number('clip_norm', false, 0),
    clip_value: number('clip_value', false, 0),
    ema: number('ema', false, 0, 1),
  });
  const data = dataName(cx, inner, settings.get('data') ?? null);
  const opt = optimizerOf(cx, inner, settings.get('optimizer') ?? null, train);
  const schedule = settings.has('schedule') ? lowerSchedule(cx, inner, settings.get('schedule')!) : null;
  reportOverrides(cx, root, train);
  if (!opt || !loss) return null;
  const trained = named.order.filter((t) => t.role === 'param' && !frozen.has(t));
  const groups = groupTensors(cx, root, train, opt, trained, named);
  const shapes = trained.map((t) => ({ name: named.names.get(t)!, shape: t.type.shape }));
  const optimizer = planOptimizer({ ...cx, path: '' }, opt, shapes);
  if (!optimizer) return null;
  return {
    loss: loss.name,
    metric: metric?.name ?? null,
    optimizer,
    groups,
    schedule,
    limits,
    ...plan,
    data,
    origin: { span: train.span, path: '' },
  };
}

/** Without the settings that are not there. */
function given<K extends string>(all: Readonly<Record<K, number | null>>): Partial<Record<K, number>> {
  return Object.fromEntries(Object.entries(all).filter(([, v]) => v !== null)) as Partial<Record<K, number>>;
}

function readSettings(cx: Cx, train: Train): Map<string, Expr> {
  const out = new Map<string, Expr>();
  for (const s of train.settings) {
    if (!SETTINGS.includes(s.name.name)) unknownSetting(cx, s.name, SETTINGS);
    else if (out.has(s.name.name)) report(cx, 'duplicate_name', { name: s.name.name }, s.name.span);
    else out.set(s.name.name, s.value);
  }
  return out;
}

function unknownSetting(cx: Cx, name: Ident, known: readonly string[]): void {
  const help = didYouMean(name.name, known) ?? `there are ${listOf(known, 'and')}`;
  report(cx, 'unknown_setting', { name: name.name }, name.span, { help });
}

/** The loss or metric: a method with a float scalar as result. Without `loss = ...` it is the method of that name. */
function methodNamed(
  cx: Cx,
  root: InstanceNode,
  methods: readonly MethodInfo[],
  e: Expr | null,
  role: string,
  train: Train,
): MethodInfo | null {
  const name = e === null ? 'loss' : e.kind === 'name' ? e.name : null;
  const span = e?.span ?? train.span;
  const found = methods.find((m) => m.name === name);
  if (!found) {
    const decl = name === null ? null : root.methods.get(name);
    if (decl) {
      // A method that has faults of its own is not listed, and was reported there.
      const open = decl.params.find((p) => p.default === null && p.type && !hasTensor(cx, p.type));
      if (open && name)
        report(cx, 'entry_argument', { name, role, argument: open.name.name }, span, {
          related: at([open.span, 'declared here']),
        });
      return null;
    }
    const names = [...root.methods.keys()];
    const help = (name && didYouMean(name, names)) ?? (names.length > 0 ? `it has ${listOf(names, 'and')}` : null);
    report(cx, 'no_such_method', { role, name: name ?? 'this expression', type: root.type }, span, { help });
    return null;
  }
  const { result } = found;
  if (result.kind === 'tensor' && result.type.elem === 'f32' && result.type.shape.length === 0) return found;
  report(cx, 'not_a_loss', { role, name: found.name }, span, {
    related: at([root.methods.get(found.name)?.result?.span, 'its result is declared here']),
  });
  return null;
}

function dataName(cx: Cx, inner: Cx, e: Expr | null): string | null {
  if (!e) return null;
  const v = evaluate(inner, e);
  if (v.kind === 'string') return v.value;
  if (!isPoison(v))
    report(cx, 'type_mismatch', { what: '`data`', wanted: 'a string such as "mnist"', found: describe(v) }, e.span);
  return null;
}

function optimizerOf(cx: Cx, inner: Cx, e: Expr | null, train: Train): OptimizerVal | null {
  if (!e) {
    report(cx, 'train_without_optimizer', {}, train.span);
    return null;
  }
  const v = settle(evaluate(inner, e));
  if (v.kind === 'optimizer') return v;
  if (v.kind === 'optimizerDecl') {
    report(cx, 'optimizer_without_call', { name: v.decl.name.name }, e.span);
  } else if (!isPoison(v))
    report(
      cx,
      'type_mismatch',
      { what: '`optimizer`', wanted: 'an optimizer such as SGD(lr: 0.1)', found: describe(v) },
      e.span,
    );
  return null;
}

function reportOverrides(cx: Cx, root: InstanceNode, train: Train): void {
  const below = candidatesBelow(root);
  for (const o of train.overrides) {
    if (!below.some((c) => matches(o.selector, c))) unmatched(cx, root, o.selector, below);
  }
}

/** Parameters with equal hyper-parameters are one group: overrides by selector, later ones over earlier ones. */
function groupTensors(
  cx: Cx,
  root: InstanceNode,
  train: Train,
  opt: OptimizerVal,
  trained: readonly TensorNode[],
  named: Named,
): TrainPlan['groups'] {
  const base = Object.fromEntries(floatsOf(opt).map((f) => [f.name, f.default]));
  const own = new Map<TensorNode, Record<string, number>>(trained.map((t) => [t, { ...base }]));
  const below = candidatesBelow(root);
  const inner = staticCx(cx, root.declScope!);
  for (const o of train.overrides) {
    const hit = below.filter((c) => matches(o.selector, c));
    for (const s of o.settings) {
      if (!(s.name.name in base)) {
        const fixed = opt.hyper.has(s.name.name);
        if (fixed) report(cx, 'override_fixed', { name: s.name.name, optimizer: opt.decl.name.name }, s.name.span);
        else unknownSetting(cx, s.name, Object.keys(base));
        continue;
      }
      const v = evaluate(inner, s.value);
      const x = numberOf(v);
      if (x === null) {
        if (!isPoison(v))
          report(
            cx,
            'type_mismatch',
            { what: `\`${s.name.name}\``, wanted: 'a float', found: describe(v) },
            s.value.span,
          );
        continue;
      }
      for (const c of hit) if (c.slot && own.has(c.slot.tensor)) own.get(c.slot.tensor)![s.name.name] = x;
    }
  }
  const groups = new Map<string, { tensors: number[]; hyper: Record<string, number> }>();
  for (const [t, hyper] of own) {
    const key = Object.values(hyper).join();
    const g = groups.get(key);
    if (g) g.tensors.push(named.index.get(t)!);
    else groups.set(key, { tensors: [named.index.get(t)!], hyper });
  }
  return [...groups.values()];
}

// ---------------------------------------------------------------- schedule

/** A lambda's argument has no type; a function's must be an i32 scalar. */
function takesStep(decl: FnDecl | Lambda): boolean {
  const type = decl.params[0]?.type;
  if (!type) return decl.params.length > 0;
  return type.kind === 'tensorType' && type.elem.name === 'i32' && type.dims.length === 0;
}

/** `cosine_lr(total_steps: 1000)`, a function name, or `step => ...`: all as a function (step: i32[]) -> f32[]. */
function lowerSchedule(cx: Cx, inner: Cx, e: Expr): string | null {
  const fn = newFn(null, true);
  const step = value({ elem: 'i32', shape: [] }, 'step');
  const scope = new Scope(inner.scope);
  scope.bind('$step', 'local', tensorVal(step, null), e.span);
  const within: Cx = { ...inner, scope, fn, path: '' };
  const stepArg = { name: null, value: { kind: 'name' as const, name: '$step', span: e.span }, span: e.span };
  const call: CallExpr =
    e.kind === 'call' ? { ...e, args: e.args } : { kind: 'call', callee: e, args: [], span: e.span };
  const callee = settle(evaluate(within, call.callee));
  if (isPoison(callee)) return null;
  if (callee.kind !== 'fn') {
    report(
      cx,
      'type_mismatch',
      { what: '`schedule`', wanted: 'a schedule such as cosine_lr(total_steps: 1000)', found: describe(callee) },
      e.span,
    );
    return null;
  }
  const first = takesStep(callee.decl) ? callee.decl.params[0]?.name : null;
  if (!first) {
    report(cx, 'schedule_signature', { name: callee.name }, e.span, {
      related: at([nameOf(callee.decl)?.span, 'declared here']),
    });
    return null;
  }
  const v: Val = callValue(
    within,
    callee,
    [{ ...stepArg, name: { name: first.name, span: e.span } }, ...call.args],
    e.span,
    null,
  );
  const made = toTensor(within, v, e.span, 'f32');
  if (made.kind !== 'tensor') return null;
  if (made.value.type.elem !== 'f32' || made.value.type.shape.length > 0) {
    report(cx, 'schedule_signature', { name: callee.name }, e.span, {
      related: at([nameOf(callee.decl)?.span, 'declared here']),
    });
    return null;
  }
  const name = freeName(cx.world, `schedule_${callee.name}`);
  cx.world.funcs.set(name, {
    name,
    body: { params: [step], ops: fn.b.ops, results: [made.value] },
    checks: [],
    origin: originOf(inner, e.span),
  });
  return name;
}

const nameOf = (d: FnDecl | Lambda): Ident | null => (d.kind === 'fn' ? d.name : null);
