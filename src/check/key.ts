/** Structure keys: instances with equal keys have equal methods, so their functions are lowered once. */
import { idOf, type World } from './context.ts';
import { parts, type InstanceNode, type TensorNode } from './instance.ts';
import { typeText } from '../ir/builder.ts';
import { keyOfNumber } from './uniform.ts';
import type { FnVal, Val } from './values.ts';

/** Block, static hyper-parameters, structure of the children, and which tensors are one. Null while a `_` below is open. */
export function structureKey(world: World, inst: InstanceNode): string | null {
  if (inst.key !== null) return inst.key;
  const nodes = new Map<InstanceNode, number>();
  const tensors = new Map<TensorNode, number>();
  let open = false;
  const walk = (n: InstanceNode): string => {
    const known = nodes.get(n);
    if (known !== undefined) return `^${known}`;
    nodes.set(n, nodes.size);
    if (n.pending) open = true;
    const hyper = [...n.hyper].map(([k, h]) => `${k}=${valueKey(world, h.val)}`);
    const slots = [...n.slots.values()].map((s) => {
      let id = tensors.get(s.tensor);
      if (id === undefined) tensors.set(s.tensor, (id = tensors.size));
      return `${s.name}:${id}${s.transposed ? 't' : ''}${typeText(s.tensor.type)}${s.tensor.role[0]}`;
    });
    const below = [...parts(n)].map(walk);
    const kind = n.decl ? `b${idOf(world, n.decl)}` : n.fn ? valueKey(world, n.fn) : n.kind;
    const names = n.children.map((c) => c.name);
    return `${kind}(${hyper};${slots};${names};${below};${[...n.absent]})`;
  };
  const key = walk(inst);
  if (!open) inst.key = key;
  return open ? null : key;
}

/** Compile-time values by content; functions by where they are written and what they capture. */
export function valueKey(world: World, v: Val): string {
  switch (v.kind) {
    case 'int':
      return v.dim.key;
    case 'float':
      return `${v.value}f`;
    case 'uniform':
      return keyOfNumber(v.expr);
    case 'bool':
      return String(v.value);
    case 'string':
      return JSON.stringify(v.value);
    case 'none':
      return 'none';
    case 'elem':
      return v.elem;
    case 'tuple':
      return `(${v.items.map((x) => valueKey(world, x)).join()})`;
    case 'list':
      return `[${v.items.map((x) => valueKey(world, x)).join()}]`;
    case 'record':
      return `{${[...v.fields].map(([k, x]) => `${k}:${valueKey(world, x)}`).join()}}`;
    case 'range':
      return `${v.start}..${v.stop}`;
    case 'fn':
      return fnKey(world, v);
    case 'op':
      return `op.${v.op}`;
    case 'builtin':
      return `builtin.${v.name}`;
    case 'block':
    case 'optimizerDecl':
      return `d${idOf(world, v.decl)}`;
    case 'blockExpr':
    case 'optimizer':
      return `d${idOf(world, v.decl)}(${[...v.hyper].map(([k, h]) => `${k}=${valueKey(world, h.val)}`)})`;
    case 'seq':
      return `seq(${v.items.map((i) => `${i.name ?? ''}:${valueKey(world, i.val)}`)})`;
    case 'instance':
      // Its structure is in the key of the instance that holds it.
      return 'instance';
    case 'infer':
      return v.cell.solved ? v.cell.solved.dim.key : `_${idOf(world, v.cell)}`;
    default:
      return v.kind;
  }
}

/** Equal lambdas of twelve layers are one function where they capture equal values. */
function fnKey(world: World, f: FnVal): string {
  if (f.decl.kind === 'fn') return `f${idOf(world, f.decl)}`;
  const captured: string[] = [];
  for (const name of new Set(namesIn(f.decl.body))) {
    const b = f.scope.find(name);
    if (!b || b.kind === 'decl' || b.kind === 'import' || b.kind === 'prelude' || b.kind === 'primitive') continue;
    // A tensor or layer of the block around it: only the very same lambda is equal.
    if (!SIMPLE.has(b.val.kind)) return `l${idOf(world, f.decl)}@${idOf(world, f.scope)}`;
    captured.push(`${name}=${valueKey(world, b.val)}`);
  }
  return `l${idOf(world, f.decl)}{${captured}}`;
}

const SIMPLE: ReadonlySet<string> = new Set(['int', 'float', 'bool', 'string', 'none', 'elem', 'tuple', 'list']);

/** Every name that a piece of syntax mentions, its own arguments included: they are bound nowhere around it. */
function* namesIn(node: unknown): Iterable<string> {
  if (typeof node !== 'object' || node === null) return;
  if ('kind' in node && node.kind === 'name' && 'name' in node) yield String(node.name);
  for (const [field, value] of Object.entries(node)) if (field !== 'span') yield* namesIn(value);
}
