/** Placing blocks: hyper-parameters become members, tensors and children, in the order of the declaration. */
import { dim } from '../ir/dim.ts';
import type { FnDecl, Span, SubBlock, Let } from '../parser/ast.ts';
import { isLibrary, report, staticCx, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { evaluate } from './evaluate.ts';
import { addMembers, memberKey } from './members.ts';
import { labelOf, type InstanceNode } from './instance.ts';
import { Scope, type Binding } from './scope.ts';
import { settleTies } from './ties.ts';
import { isPoison, settle, type BlockExprVal, type SeqVal, type Val } from './values.ts';

/** Blocks that nest deeper are taken for a block that contains itself. */
const DEEP = 64;

interface Place {
  readonly path: string | null;
  readonly drawPath: string;
  readonly letAt: Span | null;
}

function newNode(
  cx: Cx,
  part: Pick<InstanceNode, 'kind' | 'type' | 'decl' | 'span'> & Partial<InstanceNode>,
  place: Place,
): InstanceNode {
  return {
    id: cx.world.nextInstance++,
    path: place.path,
    drawPath: place.drawPath,
    letAt: place.letAt,
    hyper: new Map(),
    slots: new Map(),
    children: [],
    lets: [],
    methods: new Map(),
    absent: new Set(),
    members: new Map(),
    declScope: null,
    methodScope: null,
    fn: null,
    fnExpr: null,
    refused: false,
    pending: false,
    key: null,
    subtree: null,
    ...part,
  };
}

/** A fresh instance of `Linear(4, 8)` at a place. */
export function instantiate(cx: Cx, expr: BlockExprVal, place: Place): InstanceNode {
  const { decl } = expr;
  const node = newNode(
    cx,
    { kind: 'block', type: expr.madeBy ?? decl.name.name, decl, span: expr.span, hyper: new Map(expr.hyper) },
    place,
  );
  cx.world.project.instantiated.add(decl);
  const hyperNames = new Map<string, Binding>();
  for (const [name, h] of expr.hyper) {
    const type = decl.params.find((p) => p.name.name === name)?.type;
    hyperNames.set(name, { kind: 'hyper', val: h.val, span: h.span, optional: type?.kind === 'optionalType' });
  }
  node.declScope = new Scope(new Scope(expr.scope, node.members), hyperNames);
  node.methodScope = new Scope(new Scope(expr.scope, hyperNames), node.members);
  if (cx.depth > DEEP) {
    report(cx, 'block_recursion', { name: decl.name.name }, expr.span, { path: null });
    node.refused = true;
    return node;
  }
  node.pending = [...expr.hyper.values()].some((h) => h.val.kind === 'infer' && h.val.cell.solved === null);
  if (!node.pending) fillMembers(cx, node);
  return node;
}

/** After a call that bound a `_`: the members can be made now. */
export function solvePending(cx: Cx, inst: InstanceNode, decl: FnDecl, span: Span): void {
  for (const [name, h] of inst.hyper) {
    if (h.val.kind !== 'infer') continue;
    if (h.val.cell.solved === null) {
      report(cx, 'infer_unbound', { name, method: decl.name.name, type: inst.type }, h.span);
      h.val.cell.solved = { kind: 'int', dim: dim(1), from: null };
    }
    inst.hyper.set(name, { val: h.val.cell.solved, span: h.val.cell.solved.from ?? span });
  }
  inst.pending = false;
  inst.key = null;
  fillMembers({ ...cx, path: inst.path ?? cx.path, site: null }, inst);
  settleTies(cx);
}

function fillMembers(cx: Cx, node: InstanceNode): void {
  const inner: Cx = {
    ...staticCx(cx, node.declScope!),
    self: node,
    path: node.path ?? '',
    site: libraryUse(node),
    depth: cx.depth + 1,
  };
  addMembers(inner, node, node.decl!.members);
}

/** Faults inside a library block are shown at the place in the user's file that made the layer. */
export const libraryUse = (node: InstanceNode): Span | null =>
  node.decl && isLibrary(node.decl.span) && !isLibrary(node.span) ? node.span : null;

// ---------------------------------------------------------------- children

const join = (path: string | null, name: string): string => (path ? `${path}.${name}` : name);

export function addChild(cx: Cx, node: InstanceNode, m: SubBlock): Val {
  const v = settle(evaluate(cx, m.value));
  if (isPoison(v) || v.kind === 'none') return v;
  const key = memberKey(cx, node, m);
  const child = key === null ? null : place(cx, node, key, v, m.value.span, m.doc);
  return child ? { kind: 'instance', inst: child } : { kind: 'poison' };
}

export function addLet(cx: Cx, node: InstanceNode, m: Let): Val {
  const v = settle(evaluate(cx, m.value));
  if (isPoison(v) || v.kind === 'instance') return v;
  const draw: Place = { path: null, drawPath: join(node.drawPath, m.name.name), letAt: m.span };
  const made = make(cx, v, draw, m.value.span);
  if (!made) return notABlock(cx, m.name.name, v, m.value.span);
  node.lets.push(made);
  return { kind: 'instance', inst: made };
}

function notABlock(cx: Cx, name: string, v: Val, span: Span): Val {
  const item = /^\d+$/.test(name);
  const help =
    v.kind === 'fn'
      ? `call \`${v.name}\` by its name where you need it, or put it in a \`seq\``
      : v.kind === 'block'
        ? `write \`${v.decl.name.name}(...)\` with its hyper-parameters`
        : v.kind === 'record'
          ? `layers with names are members: \`${name}_a = Linear(4, 4)\`, or those of a block of their own`
          : item
            ? null
            : `write \`const ${name} = ...\` for a value`;
  return report(cx, 'not_a_block', { name: item ? `item ${name}` : `\`${name}\``, found: describe(v) }, span, { help });
}

/** Gives a value a place among the children: a block expression becomes an instance, a shared one gets a further name. */
function place(cx: Cx, node: InstanceNode, name: string, v: Val, span: Span, doc = ''): InstanceNode | null {
  const path = join(node.path, name);
  let child: InstanceNode | null;
  if (v.kind === 'instance') {
    child = v.inst;
    name_(child, path);
  } else child = make(cx, v, { path, drawPath: join(node.drawPath, name), letAt: null }, span);
  if (!child) {
    notABlock(cx, name, v, span);
    return null;
  }
  node.children.push({ name, node: child, ...(doc !== '' && { doc }) });
  return child;
}

/** The first place gives a shared block its path, and everything in it. */
function name_(node: InstanceNode, path: string): void {
  if (node.path !== null) return;
  node.path = path;
  for (const c of node.children) rename(c.node, join(path, c.name));
}

function rename(node: InstanceNode, path: string): void {
  node.path = path;
  for (const c of node.children) rename(c.node, join(path, c.name));
}

function make(cx: Cx, v: Val, at: Place, span: Span): InstanceNode | null {
  switch (v.kind) {
    case 'blockExpr':
      return instantiate({ ...cx, path: at.path ?? cx.path }, v, at);
    case 'block':
      // A block without hyper-parameters may leave out the parentheses.
      return v.decl.params.length === 0
        ? instantiate(cx, { kind: 'blockExpr', decl: v.decl, scope: v.scope, hyper: new Map(), span }, at)
        : null;
    case 'seq':
      return makeSeq(cx, v, at);
    case 'list':
    case 'tuple': {
      const node = newNode(cx, { kind: 'list', type: 'list', decl: null, span }, at);
      v.items.forEach((item, i) => {
        if (!isPoison(item)) place(cx, node, String(i), settle(item), item.kind === 'blockExpr' ? item.span : span);
      });
      return node;
    }
    case 'instance':
      return v.inst;
    default:
      return null;
  }
}

/** Functions count as elements: `seq { Linear(4, 8); relu; Linear(8, 1) }` has children 0, 1 and 2, as nn.Sequential. */
function makeSeq(cx: Cx, v: SeqVal, at: Place): InstanceNode {
  const node = newNode(cx, { kind: 'seq', type: 'seq', decl: null, span: v.span }, at);
  v.items.forEach((item, i) => {
    const name = item.name ?? String(i);
    if (node.children.some((c) => c.name === name)) {
      report(cx, 'duplicate_name', { name }, item.span);
      return;
    }
    const val = settle(item.val);
    if (isPoison(val)) {
      // Keeps the numbers of the elements after it.
      const path = join(at.path, name);
      node.children.push({
        name,
        node: newNode(
          cx,
          { kind: 'fn', type: '?', decl: null, span: item.span, fn: val },
          { path, drawPath: path, letAt: null },
        ),
      });
    } else if (val.kind === 'fn' || val.kind === 'op' || val.kind === 'builtin' || val.kind === 'method') {
      const path = join(at.path, name);
      const type =
        val.kind === 'fn'
          ? val.name
          : val.kind === 'op'
            ? val.op
            : val.kind === 'builtin'
              ? val.name
              : val.decl.name.name;
      const fn = newNode(
        cx,
        { kind: 'fn', type, decl: null, span: item.span, fn: val, fnExpr: item.expr },
        { path, drawPath: path, letAt: null },
      );
      node.children.push({ name, node: fn });
    } else place(cx, node, name, val, item.span);
    if (item.name && node.children.length > 0) {
      const child = node.children.at(-1)!;
      node.members.set(item.name, { kind: 'member', val: { kind: 'instance', inst: child.node }, span: item.span });
    }
  });
  return node;
}

/** Instances with an open `_` after everything has been called. */
export function reportNeverCalled(cx: Cx, nodes: Iterable<InstanceNode>): void {
  for (const n of nodes) {
    if (!n.pending) continue;
    for (const [name, h] of n.hyper) {
      if (h.val.kind === 'infer' && h.val.cell.solved === null)
        report(cx, 'infer_never', { name, what: labelOf(n) }, h.span, { path: n.path });
    }
  }
}
