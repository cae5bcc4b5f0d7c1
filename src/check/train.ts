/** The `train` block as a plan: which method is the loss, which parameters are trained with which hyper-parameters. */
import { didYouMean, didYouMeanOf } from '../diagnostics/index.ts';
import { listOf } from '../diagnostics/words.ts';
import type { Expr, Ident, Selector, Train } from '../parser/ast.ts';
import { at, report, staticCx, type Cx } from './context.ts';
import { describe } from './describe.ts';
import type { MethodInfo, TrainPlan } from './elaborated.ts';
import { hasTensor } from './entry.ts';
import { evaluate } from './evaluate.ts';
import { nearSelector } from './init.ts';
import { descendants, type InstanceNode, type TensorNode } from './instance.ts';
import { liveMembers } from './live-members.ts';
import type { Named } from './names.ts';
import { floatsOf, isOfRun, numbersOf, planOptimizer } from './optimizer.ts';
import { checkpointed } from './checkpoint.ts';
import { withHyper, type Setting } from './outside.ts';
import { precisionOf } from './precision.ts';
import { planSchedule } from './schedule.ts';
import { candidatesBelow, matches, type Candidate } from './selector.ts';
import { pathText } from './ties.ts';
import { coerce } from './unify.ts';
import { hasPoison, isPoison, numberOf, settle, type OptimizerVal } from './values.ts';

const SETTINGS = [
  'loss',
  'metric',
  'optimizer',
  'schedule',
  'clip_norm',
  'clip_value',
  'accumulate',
  'ema',
  'precision',
  'scaler',
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
  outside: readonly Setting[],
): TrainPlan | null {
  const blocks = liveMembers(cx, root.declScope!, root.decl!.members).filter((m): m is Train => m.kind === 'train');
  const [train, second] = blocks;
  if (!train) {
    if (outside[0]) report(cx, 'no_train_block', { name: root.type }, outside[0].name.span);
    return null;
  }
  if (second)
    report(cx, 'duplicate_name', { name: 'train' }, second.span, {
      related: [{ span: train.span, message: 'declared first here' }],
    });
  const settings = readSettings(cx, train);
  const isOwn = (s: Setting): boolean => SETTINGS.includes(s.name.name);
  for (const s of outside.filter(isOwn)) settings.set(s.name.name, s.value);
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
    if (x !== null && (!whole || v.kind === 'int') && x >= least && x < below && Number.isFinite(x)) return x;
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
  const stated = optimizerOf(cx, inner, settings.get('optimizer') ?? null, train);
  const opt =
    stated &&
    withHyper(
      cx,
      inner,
      stated,
      outside.filter((s) => !isOwn(s)),
      SETTINGS,
    );
  const schedule = planSchedule(cx, inner, settings.get('schedule') ?? null);
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
    checkpoint: checkpointed(cx, root, train),
    schedule: schedule.factor,
    plateau: schedule.plateau,
    ...precisionOf(cx, inner, settings),
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
  const help = didYouMeanOf(name.name, known) ?? `there are ${listOf(known, 'and')}`;
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
      const { name } = s.name;
      const p = opt.decl.params.find((x) => x.name.name === name);
      if (!p?.type || !isOfRun(p.type)) {
        if (p) report(cx, 'override_fixed', { name, optimizer: opt.decl.name.name }, s.name.span);
        else
          unknownSetting(
            cx,
            s.name,
            opt.decl.params.filter((x) => isOfRun(x.type)).map((x) => x.name.name),
          );
        continue;
      }
      const meeting = { scope: opt.scope, what: `\`${name}\``, span: s.value.span, fills: false };
      const v = coerce(inner, p.type, evaluate(inner, s.value), meeting);
      for (const c of hit) {
        const hyper = c.slot && own.get(c.slot.tensor);
        if (hyper && !hasPoison(v)) for (const n of numbersOf(name, v)) hyper[n.name] = n.default;
      }
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
