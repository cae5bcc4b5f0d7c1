/** A block that has been placed: its hyper-parameters, its tensors and its children, growing while it is instantiated. */
import type { BlockDecl, Expr, FnDecl, Span, TensorMember } from '../parser/ast.ts';
import type { TensorType } from '../ir/ir.ts';
import type { Binding, Scope } from './scope.ts';
import type { HyperArg, Val } from './values.ts';

/** One stored tensor. Ties make several slots see the same one. */
export interface TensorNode {
  /** Its name in its owner and in the state dict. */
  readonly name: string;
  /** What its type and initial value can name: the hyper-parameters, and the round of a `for`. */
  readonly scope: Scope;
  readonly role: 'param' | 'buffer' | 'const';
  readonly type: TensorType;
  readonly member: TensorMember;
  readonly owner: InstanceNode;
  /** Where each dim got its size. */
  readonly from: readonly (Span | null)[];
}

/** A tensor under a name of an instance. */
export interface Slot {
  readonly name: string;
  readonly owner: InstanceNode;
  tensor: TensorNode;
  transposed: boolean;
  /** Where it was tied to another's storage. */
  tiedAt: Span | null;
}

export interface Child {
  readonly name: string;
  /** Of the member that places it. */
  readonly doc?: string;
  readonly node: InstanceNode;
}

export interface InstanceNode {
  readonly id: number;
  readonly kind: 'block' | 'seq' | 'list' | 'fn';
  /** `Linear`, `seq`, `list`, or the function's name. */
  readonly type: string;
  readonly decl: BlockDecl | null;
  /** Where it was written. */
  readonly span: Span;
  /** The first place it got; '' for the root. Null while only a `let` holds it. */
  path: string | null;
  /** Where it was declared, which keys its draws: differs from `path` under a `let`. */
  drawPath: string;
  /** Held by `let`, with the span of its declaration. */
  readonly letAt: Span | null;
  readonly hyper: Map<string, HyperArg>;
  readonly slots: Map<string, Slot>;
  readonly children: Child[];
  /** Shared blocks that this one declares; they take part in its structure wherever they are placed. */
  readonly lets: InstanceNode[];
  readonly methods: Map<string, FnDecl>;
  /** Names of members whose condition was false. */
  readonly absent: Set<string>;
  /** Members by name, as declarations and methods see them. */
  readonly members: Map<string, Binding>;
  /** For declarations: hyper-parameters before members. For methods: members before hyper-parameters. */
  declScope: Scope | null;
  methodScope: Scope | null;
  /** A function in a seq. */
  readonly fn: Val | null;
  readonly fnExpr: Expr | null;
  /** One of its requirements does not hold, which has been reported: nothing more is said about what follows from it. */
  refused: boolean;
  /** Waits for `_`. */
  pending: boolean;
  /** Parts of the structure key, computed once everything below is solved. */
  key: string | null;
  subtree: readonly TensorNode[] | null;
}

/** All distinct tensors below, own ones first: the fixed order in which functions take them. */
export function subtreeTensors(inst: InstanceNode): readonly TensorNode[] {
  if (inst.subtree) return inst.subtree;
  const out = new Set<TensorNode>();
  const seen = new Set<InstanceNode>();
  let complete = true;
  const walk = (n: InstanceNode): void => {
    if (seen.has(n)) return;
    seen.add(n);
    if (n.pending) complete = false;
    for (const s of n.slots.values()) out.add(s.tensor);
    for (const below of parts(n)) walk(below);
  };
  walk(inst);
  const list = [...out];
  if (complete) inst.subtree = list;
  return list;
}

/** Everything that belongs to the structure of an instance: children, shared blocks, instances among the hyper-parameters. */
export function* parts(n: InstanceNode): Iterable<InstanceNode> {
  for (const c of n.children) yield c.node;
  yield* n.lets;
  for (const h of n.hyper.values()) yield* instancesIn(h.val);
}

function* instancesIn(v: Val): Iterable<InstanceNode> {
  if (v.kind === 'instance') yield v.inst;
  else if (v.kind === 'list' || v.kind === 'tuple') for (const x of v.items) yield* instancesIn(x);
}

/** The root and everything under it, each once, in order of declaration. */
export function* descendants(root: InstanceNode, seen = new Set<InstanceNode>()): Iterable<InstanceNode> {
  if (seen.has(root)) return;
  seen.add(root);
  yield root;
  for (const c of parts(root)) yield* descendants(c, seen);
}

/** How a layer is called in messages: its path, or its type where it has none. */
export const labelOf = (n: InstanceNode): string => (n.path ? `${n.path} (${n.type})` : n.type);
