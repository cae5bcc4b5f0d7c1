/** The model's tree of layers as plain objects: `model.net[0].weight`. */
import type { Artifact, TreeNode } from './artifact.ts';
import type { Parameter } from './parameter.ts';

/** A layer: its children and its tensors by name. Lists and `seq` also have a length and can be iterated. */
export class ModuleNode {
  readonly #node: TreeNode;
  readonly #children: readonly ModuleNode[];

  constructor(node: TreeNode, children: readonly ModuleNode[], own: ReadonlyMap<string, Parameter>) {
    this.#node = node;
    this.#children = children;
    attach(this, node, children, own);
    if (node.kind === 'seq' || node.kind === 'list') {
      Object.defineProperty(this, 'length', { value: children.length });
      Object.defineProperty(this, Symbol.iterator, { value: () => children[Symbol.iterator]() });
    }
  }

  static describe(m: ModuleNode): TreeNode {
    return m.#node;
  }

  static children(m: ModuleNode): readonly ModuleNode[] {
    return m.#children;
  }
}

/** Puts children and tensors on an object as properties; a name that the object has already stays what it is. */
export function attach(
  target: object,
  node: TreeNode,
  children: readonly ModuleNode[],
  own: ReadonlyMap<string, Parameter>,
): void {
  const put = (name: string, value: unknown): void => {
    if (!(name in target)) Object.defineProperty(target, name, { value, enumerable: true });
  };
  for (const [name, p] of own) put(name, p);
  node.children.forEach((c, i) => put(c.name, children[i]));
}

/** A tensor of the artifact by its number, as a name sees it. */
export type ParameterOf = (tensor: number, transposed: boolean) => Parameter;

export const ownTensors = (node: TreeNode, parameter: ParameterOf): Map<string, Parameter> =>
  new Map(node.own.map((o) => [o.name, parameter(o.tensor, o.transposed)]));

/** Every node by path; a shared layer is one object under all its paths. */
export function buildTree(artifact: Artifact, parameter: ParameterOf): Map<string, ModuleNode> {
  const byId = new Map<number, ModuleNode>();
  const byPath = new Map<string, ModuleNode>();
  const visit = (node: TreeNode): ModuleNode => {
    const children = node.children.map(visit);
    let made = byId.get(node.id);
    if (!made) {
      byId.set(node.id, (made = new ModuleNode(node, children, ownTensors(node, parameter))));
    }
    byPath.set(node.path, made);
    return made;
  };
  visit(artifact.tree);
  return byPath;
}
