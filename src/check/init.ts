/** Initial values: which rule each tensor ends up with, and that rule as a function of the net IR from a key. */
import { typeText, value } from '../ir/builder.ts';
import { dim, same } from '../ir/dim.ts';
import type { Func, TensorType, Value } from '../ir/ir.ts';
import { didYouMean, suggest } from '../diagnostics/index.ts';
import type { Expr, Init, Selector, Span } from '../parser/ast.ts';
import { at, isLibrary, newFn, originOf, quiet, report, staticCx, type Cx, type World } from './context.ts';
import { describe, exprText, staticText } from './describe.ts';
import { evaluate, evalValue } from './evaluate.ts';
import type { InstanceNode, Slot, TensorNode } from './instance.ts';
import { liveMembers } from './live-members.ts';
import { freeName } from './outline.ts';
import { candidatesBelow, matches, type Candidate } from './selector.ts';
import type { Scope } from './scope.ts';
import { fill, toTensor } from './tensor.ts';
import { pathText } from './ties.ts';
import type { Val } from './values.ts';

interface Rule {
  readonly expr: Expr;
  /** Where its names are looked up. */
  readonly scope: Scope;
  readonly owner: InstanceNode;
  readonly span: Span;
}

/** Explicit rules by tensor: inner blocks first, outer ones over them, later ones over earlier ones. */
export function chooseRules(cx: Cx, root: InstanceNode): Map<TensorNode, Rule> {
  const bySlot = new Map<Slot, Rule>();
  for (const node of innerFirst(root)) {
    const blocks = initBlocks(cx, node);
    if (blocks.length === 0) continue;
    const below = candidatesBelow(node);
    for (const block of blocks)
      for (const r of block.rules) {
        const hit = below.filter((c) => matches(r.selector, c));
        if (hit.length === 0) reportUnmatched(cx, node, r.selector, below);
        const last = r.selector.parts.at(-1);
        const wild = last?.kind === 'any' || last?.kind === 'deep';
        for (const c of hit) {
          if (c.slot && (!wild || c.slot.tensor.role === 'param'))
            bySlot.set(c.slot, { expr: r.rule, scope: node.declScope!, owner: node, span: r.span });
        }
      }
  }
  const out = new Map<TensorNode, Rule>();
  const from = new Map<TensorNode, Slot>();
  for (const [slot, rule] of bySlot) {
    const old = out.get(slot.tensor);
    if (old && old.expr !== rule.expr && ruleText(cx, old) !== ruleText(cx, rule)) {
      const [a, b] = [from.get(slot.tensor)!, slot];
      const args = { first: slotPath(a), second: slotPath(b), left: ruleText(cx, old), right: ruleText(cx, rule) };
      report(cx, 'tie_conflict', args, rule.span, {
        related: at(
          [old.span, `\`${slotPath(a)}\` gets ${ruleText(cx, old)} here`],
          [a.tiedAt ?? b.tiedAt, 'tied here'],
        ),
      });
    }
    out.set(slot.tensor, rule);
    from.set(slot.tensor, slot);
  }
  return out;
}

const slotPath = (s: Slot): string => (s.owner.path ? `${s.owner.path}.${s.name}` : s.name);

function reportUnmatched(
  cx: Cx,
  node: InstanceNode,
  s: Init['rules'][number]['selector'],
  below: readonly Candidate[],
): void {
  report(cx, 'selector_unmatched', { selector: pathText(s), type: node.type }, s.span, {
    help: nearSelector(s, below),
    path: node.path,
  });
}

/** The selector with the one part mended that is a slip: a whole path, a block type, or a member. */
export function nearSelector(s: Selector, below: readonly Candidate[]): string | null {
  const whole = didYouMean(
    pathText(s),
    below.map((c) => c.segments.join('.')),
  );
  if (whole) return whole;
  const words = new Set(below.flatMap((c) => [...c.segments, ...c.types]));
  for (const [i, part] of s.parts.entries()) {
    if (part.kind !== 'name' || words.has(part.name)) continue;
    const name = suggest(part.name, words);
    if (name === null) continue;
    const parts = s.parts.map((p, j) => (j === i ? { ...part, name } : p));
    return `did you mean \`${pathText({ ...s, parts })}\`?`;
  }
  return null;
}

/** Children before parents, so that outer rules come later. */
function* innerFirst(n: InstanceNode, seen = new Set<InstanceNode>()): Iterable<InstanceNode> {
  if (seen.has(n)) return;
  seen.add(n);
  for (const c of n.children) yield* innerFirst(c.node, seen);
  for (const l of n.lets) yield* innerFirst(l, seen);
  yield n;
}

const initBlocks = (cx: Cx, node: InstanceNode): Init[] =>
  !node.decl || node.pending
    ? []
    : liveMembers(cx, node.declScope!, node.decl.members).filter((m) => m.kind === 'init');

// ---------------------------------------------------------------- functions

export interface InitFunc {
  readonly func: string;
  readonly text: string;
}

export function initFunction(cx: Cx, node: TensorNode, rule: Rule | null, names: Map<string, string>): InitFunc {
  const chosen: Rule = rule ?? {
    expr: node.member.init!,
    scope: node.scope,
    owner: node.owner,
    span: node.member.span,
  };
  const fn = newFn(node.owner, false);
  const key = value({ elem: 'u32', shape: [dim(2)] }, 'key');
  fn.keyParam = key;
  fn.key = key;
  const site = rule || !isLibrary(chosen.span) || isLibrary(node.owner.span) ? null : node.owner.span;
  const inner: Cx = {
    ...staticCx(cx, chosen.scope),
    fn,
    self: null,
    path: node.owner.path ?? '',
    trail: '',
    site,
  };
  const made = initialValue(inner, chosen, node.type, rule ? node.owner.span : null);
  const func = freeNameOf(
    cx.world,
    {
      name: `init_${node.owner.type}_${node.name}`,
      body: { params: [key], ops: fn.b.ops, results: made ? [made] : [] },
      checks: fn.checks,
      origin: originOf(inner, chosen.expr.span),
    },
    names,
  );
  return { func, text: ruleText(cx, chosen) };
}

/** The value in exactly the tensor's type, or null after a report. */
function initialValue(cx: Cx, rule: Rule, type: TensorType, owner: Span | null): Value | null {
  const wanted = { elem: type.elem, shape: type.shape, from: type.shape.map(() => null) };
  const given = evalValue({ ...cx, result: wanted }, rule.expr, wanted);
  const v = toTensor(cx, given, rule.expr.span, type.elem);
  if (v.kind !== 'tensor') return null;
  const found = v.value.type;
  const filled =
    found.shape.length === 0 && type.shape.length > 0 && given.kind !== 'tensor'
      ? fill(cx, v, type.shape, rule.expr.span)
      : v;
  if (filled.kind !== 'tensor') return null;
  const t = filled.value.type;
  if (t.elem === type.elem && t.shape.length === type.shape.length && t.shape.every((d, i) => same(d, type.shape[i]!)))
    return filled.value;
  report(cx, 'init_type', { found: describe(filled), type: typeText(type) }, rule.expr.span, {
    related: at([owner, 'for this layer']),
    help:
      t.elem === type.elem ? `write broadcast_to(..., [${type.shape.join(', ')}]) where it is to be repeated` : null,
  });
  return null;
}

/** One function for equal initialisers: the twelve `c_attn.weight` of twelve layers draw by the same program. */
function freeNameOf(world: World, func: Func, names: Map<string, string>): string {
  const key = funcKey(func);
  const known = names.get(key);
  if (known) return known;
  const name = freeName(world, func.name);
  world.funcs.set(name, { ...func, name });
  names.set(key, name);
  return name;
}

/** What a straight-line function computes, as text. */
export function funcKey(func: Func): string {
  const ids = new Map<Value, number>();
  const id = (v: Value): number => ids.get(v) ?? (ids.set(v, ids.size), ids.size - 1);
  const parts = func.body.params.map((p) => `${id(p)}:${typeText(p.type)}`);
  for (const op of func.body.ops) {
    const attrs = Object.entries(op.attrs).map(([k, v]) => `${k}=${String(v)}`);
    parts.push(`${op.results.map((r) => `${id(r)}:${typeText(r.type)}`)}=${op.kind}(${op.operands.map(id)}){${attrs}}`);
    if (op.regions.length > 0)
      parts.push(`region${ids.size}@${op.origin.span.file}:${op.origin.span.start}:${op.origin.path}`);
  }
  return `${parts.join(';')}->${func.body.results.map(id)}`;
}

/** `kaiming_uniform(a: 2.236)`: as written, with the arguments' values. */
function ruleText(cx: Cx, rule: Rule): string {
  const e = rule.expr;
  if (e.kind !== 'call') return exprText(e);
  const inner = staticCx(quiet(cx), rule.scope);
  const args = e.args.map((a) => {
    const v: Val = evaluate(inner, a.value);
    const text = ['int', 'float', 'bool', 'string', 'none', 'tuple', 'list'].includes(v.kind)
      ? rounded(v)
      : exprText(a.value);
    return a.name ? `${a.name.name}: ${text}` : text;
  });
  return `${exprText(e.callee)}(${args.join(', ')})`;
}

const rounded = (v: Val): string => (v.kind === 'float' ? String(Number(v.value.toPrecision(4))) : staticText(v));
