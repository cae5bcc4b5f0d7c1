/** One exported block with its hyper-parameters as everything after the checker wants it. */
import { didYouMean, type DiagnosticBag } from '../diagnostics/index.ts';
import type { BlockDecl } from '../parser/ast.ts';
import { report, type Cx, type World } from './context.ts';
import type { Elaborated, StaticValue } from './elaborated.ts';
import { lowerEntryMethod, methodInfo } from './entry.ts';
import { evaluate } from './evaluate.ts';
import { chooseRules, initFunction } from './init.ts';
import { descendants } from './instance.ts';
import { instantiate, reportNeverCalled } from './instantiate.ts';
import { nameTensors, staticHyper } from './names.ts';
import type { Setting } from './outside.ts';
import type { ModuleFile, Project } from './project.ts';
import { Scope } from './scope.ts';
import { settleTies } from './ties.ts';
import { frozenTensors, planTraining } from './train.ts';
import { coerce } from './unify.ts';
import {
  boolVal,
  floatVal,
  intVal,
  isPoison,
  listVal,
  NONE,
  stringVal,
  tupleVal,
  type HyperArg,
  type Val,
} from './values.ts';

/** Elaborates a block of a file; null where there were errors, which are in the bag. */
export function elaborateBlock(
  project: Project,
  file: ModuleFile,
  decl: BlockDecl,
  hyper: Readonly<Record<string, StaticValue>>,
  bag: DiagnosticBag,
  train: readonly Setting[] = [],
): Elaborated | null {
  const errors = bag.errorCount;
  const world: World = {
    project,
    bag,
    funcs: new Map(),
    methods: new Map(),
    lowering: new Set(),
    pendingTies: [],
    faulty: new Set(),
    ids: new WeakMap(),
    nextId: 0,
    nextInstance: 0,
  };
  const cx: Cx = {
    world,
    scope: file.scope,
    fn: null,
    self: null,
    path: '',
    trail: '',
    site: null,
    caller: null,
    result: null,
    inDim: false,
    depth: 0,
  };
  const args = hyperArgs(cx, file, decl, hyper);
  if (!args) return null;
  const root = instantiate(
    cx,
    { kind: 'blockExpr', decl, scope: file.scope, hyper: args, span: decl.name.span },
    { path: '', drawPath: '', letAt: null },
  );
  settleTies(cx);
  if (root.refused) return null;
  const lowered = [...root.methods.values()].flatMap((m) => lowerEntryMethod(cx, root, m));
  reportNeverCalled(cx, descendants(root));
  if (bag.errorCount > errors) {
    // The rest would only repeat what is wrong already, except what no method shows.
    if ([...descendants(root)].some((n) => n.pending || n.refused)) return null;
  }
  const named = nameTensors(root);
  const methods = lowered.map((m) => methodInfo(m, root, named));
  const rules = chooseRules(cx, root);
  const frozen = frozenTensors(cx, root);
  const initNames = new Map<string, string>();
  const tensors = named.order.map((t) => {
    const init = initFunction(cx, t, rules.get(t) ?? null, initNames);
    return {
      role: t.role,
      type: t.type,
      name: named.names.get(t)!,
      drawPath: t.owner.drawPath === '' ? t.name : `${t.owner.drawPath}.${t.name}`,
      stored: t.member.stored ? ('i64' as const) : null,
      trainable: t.role === 'param' && !frozen.has(t),
      init: init.func,
      initText: init.text,
      doc: t.member.doc,
      origin: { span: t.member.span, path: t.owner.path ?? '' },
    };
  });
  const plan = planTraining(cx, root, named, methods, frozen, train);
  if (bag.errorCount > errors) return null;
  return {
    name: decl.name.name,
    doc: decl.doc,
    origin: { span: decl.name.span, path: '' },
    hyper: staticHyper(root.hyper),
    tree: named.tree,
    tensors,
    stateDict: named.stateDict,
    methods,
    train: plan,
    module: { funcs: world.funcs },
  };
}

// ---------------------------------------------------------------- hyper-parameters from outside

function hyperArgs(
  cx: Cx,
  file: ModuleFile,
  decl: BlockDecl,
  given: Readonly<Record<string, StaticValue>>,
): Map<string, HyperArg> | null {
  const names = decl.params.map((p) => p.name.name);
  let ok = true;
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    const help =
      didYouMean(name, names) ?? (names.length > 0 ? `it has ${names.join(', ')}` : 'it has no hyper-parameters');
    report(cx, 'unknown_hyper', { block: decl.name.name, name }, decl.name.span, { help });
    ok = false;
  }
  const scope = new Scope(file.scope);
  const out = new Map<string, HyperArg>();
  for (const p of decl.params) {
    const set = Object.hasOwn(given, p.name.name) ? given[p.name.name] : undefined;
    let val: Val;
    if (set !== undefined) val = valueFrom(set);
    else if (p.default) val = evaluate({ ...cx, scope }, p.default);
    else if (p.type?.kind === 'optionalType') val = NONE;
    else {
      val = report(cx, 'hyper_without_default', { block: decl.name.name, name: p.name.name }, p.span);
    }
    const span = set === undefined ? (p.default?.span ?? p.span) : p.span;
    if (p.type && !isPoison(val))
      val = coerce(cx, p.type, val, { scope, what: `\`${p.name.name}\` of ${decl.name.name}`, span, fills: false });
    if (isPoison(val)) ok = false;
    out.set(p.name.name, { val, span });
    scope.bind(p.name.name, 'hyper', val, span);
  }
  return ok ? out : null;
}

/** Plain data as a compile-time value; the declared type turns ints into floats where floats are meant. */
function valueFrom(v: StaticValue): Val {
  if (v === null) return NONE;
  if (typeof v === 'number') return Number.isSafeInteger(v) ? intVal(v) : floatVal(v);
  if (typeof v === 'boolean') return boolVal(v);
  if (typeof v === 'string') return stringVal(v);
  return v.length > 0 && v.every((x) => typeof x === 'number') ? tupleVal(v.map(valueFrom)) : listVal(v.map(valueFrom));
}
