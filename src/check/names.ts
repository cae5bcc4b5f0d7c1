/** PyTorch's names: each tensor once under its canonical name, every name in state_dict order, the tree for summaries. */
import type { Instance, StateDictEntry, StaticValue } from './elaborated.ts';
import { staticText } from './describe.ts';
import type { InstanceNode, Slot, TensorNode } from './instance.ts';
import type { HyperArg, Val } from './values.ts';

export interface Named {
  readonly order: readonly TensorNode[];
  readonly index: ReadonlyMap<TensorNode, number>;
  /** Canonical: the first name of the storage's own slot. */
  readonly names: ReadonlyMap<TensorNode, string>;
  readonly stateDict: readonly StateDictEntry[];
  readonly tree: Instance;
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

/** Own parameters, own buffers, then the children in order of declaration: as nn.Module walks. */
export function nameTensors(root: InstanceNode): Named {
  const index = new Map<TensorNode, number>();
  const names = new Map<TensorNode, string>();
  const owned = new Set<TensorNode>();
  const stateDict: StateDictEntry[] = [];

  const visit = (slot: Slot, path: string): void => {
    const { tensor } = slot;
    const name = join(path, slot.name);
    if (!index.has(tensor)) index.set(tensor, index.size);
    // A tie is a second name: the owner's own one is canonical even where it comes later.
    if (!names.has(tensor) || (slot.tiedAt === null && !owned.has(tensor))) names.set(tensor, name);
    if (slot.tiedAt === null) owned.add(tensor);
    if (tensor.role !== 'const') stateDict.push({ name, tensor: index.get(tensor)!, transposed: slot.transposed });
  };
  const walk = (n: InstanceNode, path: string): void => {
    for (const s of ordered(n)) visit(s, path);
    for (const c of n.children) walk(c.node, join(path, c.name));
  };
  walk(root, '');
  return { order: [...index.keys()], index, names, stateDict, tree: treeOf(root, '', '', index) };
}

function ordered(n: InstanceNode): Slot[] {
  const slots = [...n.slots.values()];
  return (['param', 'buffer', 'const'] as const).flatMap((role) => slots.filter((s) => s.tensor.role === role));
}

function treeOf(
  n: InstanceNode,
  name: string,
  path: string,
  index: ReadonlyMap<TensorNode, number>,
  memberDoc = '',
): Instance {
  return {
    name,
    path,
    id: n.id,
    type: n.type,
    kind: n.kind,
    doc: n.decl?.doc ?? '',
    ...(memberDoc !== '' && { memberDoc }),
    hyper: staticHyper(n.hyper),
    children: n.children.map((c) => treeOf(c.node, c.name, join(path, c.name), index, c.doc)),
    own: ordered(n).map(({ name, tensor, transposed }) => {
      const { doc } = tensor.member;
      return { name, tensor: index.get(tensor)!, transposed, ...(doc !== '' && { doc }) };
    }),
    origin: { span: n.span, path },
  };
}

export function staticHyper(hyper: ReadonlyMap<string, HyperArg>): Record<string, StaticValue> {
  return Object.fromEntries([...hyper].map(([k, h]) => [k, staticValue(h.val)]));
}

/** Plain data; functions and blocks as they are written. */
function staticValue(v: Val): StaticValue {
  switch (v.kind) {
    case 'int':
      return v.dim.value ?? v.dim.key;
    case 'float':
    case 'bool':
    case 'string':
      return v.value;
    case 'none':
      return null;
    case 'tuple':
    case 'list':
      return v.items.map(staticValue);
    case 'infer':
      return v.cell.solved ? staticValue(v.cell.solved) : '_';
    default:
      return staticText(v);
  }
}
