/** The model's tree of layers as plain objects: `model.net[0].weight`. */
import type { Artifact, TreeNode } from './artifact.ts';
import type { Parameter } from './parameter.ts';
import { INSPECT } from './show.ts';
import { loadInto, type KeyReport, type StateDict } from './state-dict.ts';
import type { Tensor } from './tensor.ts';

/** A name of the state dict with the tensor that it sees. */
type Named = [name: string, parameter: Parameter];

/**
 * A layer: its children and its tensors by name, and what `torch.nn.Module` offers for the part of the model below it. Lists and
 * `seq` also have a length and can be iterated.
 */
export class ModuleNode {
  readonly #node: TreeNode;
  readonly #children: readonly ModuleNode[];
  readonly #own: ReadonlyMap<string, Parameter>;
  readonly #named: () => readonly Named[];

  constructor(
    node: TreeNode,
    children: readonly ModuleNode[],
    own: ReadonlyMap<string, Parameter>,
    named: () => readonly Named[],
  ) {
    this.#node = node;
    this.#children = children;
    this.#own = own;
    this.#named = named;
    attach(this, node, children, own);
    if (node.kind === 'seq' || node.kind === 'list') {
      Object.defineProperty(this, 'length', { value: children.length });
      Object.defineProperty(this, Symbol.iterator, { value: () => children[Symbol.iterator]() });
    }
  }

  /** Each parameter of this layer and those below it once, in PyTorch's order, under its first name from here. */
  *named_parameters(): Generator<[string, Parameter]> {
    yield* once(this.#named(), 'param');
  }

  *parameters(): Generator<Parameter> {
    for (const [, p] of this.named_parameters()) yield p;
  }

  *named_buffers(): Generator<[string, Parameter]> {
    yield* once(this.#named(), 'buffer');
  }

  /** How many numbers the parameters hold; a tied one counts once. */
  num_parameters(options: { readonly only_trainable?: boolean } = {}): number {
    return countOf(this.parameters(), options);
  }

  /** Layers by path from here, this one under ''. A shared layer occurs once. */
  *named_modules(): Generator<[string, ModuleNode]> {
    yield* modulesBelow(this, '', new Set());
  }

  *modules(): Generator<ModuleNode> {
    for (const [, m] of this.named_modules()) yield m;
  }

  /** Every name below this layer with its live tensor, in PyTorch's order. */
  state_dict(): Map<string, Tensor> {
    return new Map(this.#named().map(([name, p]) => [name, p.data]));
  }

  /** As the model's, for this layer and those below it: all or nothing. */
  load_state_dict(state: StateDict, options: { readonly strict?: boolean } = {}): KeyReport {
    return loadInto(this.#node.path || this.#node.type, this.state_dict(), state, options.strict ?? true);
  }

  [INSPECT](): string {
    return treeText(this);
  }

  static describe(m: ModuleNode): TreeNode {
    return m.#node;
  }

  static children(m: ModuleNode): readonly ModuleNode[] {
    return m.#children;
  }

  static own(m: ModuleNode): ReadonlyMap<string, Parameter> {
    return m.#own;
  }
}

/** A layer and those below it, a line each, with the shapes of their own tensors. */
export function treeText(m: ModuleNode, head = ModuleNode.describe(m).type, indent = ''): string {
  const own = Array.from(ModuleNode.own(m), ([name, p]) => `${name} [${p.shape.join(', ')}]`);
  const { children } = ModuleNode.describe(m);
  const below = ModuleNode.children(m).map((child, i) => {
    const inner = `${indent}  `;
    return `\n${inner}${treeText(child, `${children[i]!.name}: ${ModuleNode.describe(child).type}`, inner)}`;
  });
  return [head, ...own].join('  ') + below.join('');
}

function* once(named: readonly Named[], kind: Parameter['kind']): Generator<Named> {
  const seen = new Set<string>();
  for (const [name, p] of named) {
    // The canonical name is one for a tensor, transposed or not.
    if (p.kind !== kind || seen.has(p.name)) continue;
    seen.add(p.name);
    yield [name, p];
  }
}

export function countOf(parameters: Iterable<Parameter>, options: { readonly only_trainable?: boolean }): number {
  let count = 0;
  for (const p of parameters) if (p.requires_grad || !options.only_trainable) count += p.size;
  return count;
}

function* modulesBelow(m: ModuleNode, path: string, seen: Set<ModuleNode>): Generator<[string, ModuleNode]> {
  if (seen.has(m)) return;
  seen.add(m);
  yield [path, m];
  const { children } = ModuleNode.describe(m);
  for (const [i, child] of ModuleNode.children(m).entries())
    yield* modulesBelow(child, path === '' ? children[i]!.name : `${path}.${children[i]!.name}`, seen);
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
  const below = (path: string) => (): Named[] => {
    const prefix = path === '' ? '' : `${path}.`;
    return artifact.stateDict
      .filter((e) => e.name.startsWith(prefix))
      .map((e) => [e.name.slice(prefix.length), parameter(e.tensor, e.transposed)]);
  };
  const visit = (node: TreeNode): ModuleNode => {
    const children = node.children.map(visit);
    let made = byId.get(node.id);
    if (!made) {
      made = new ModuleNode(node, children, ownTensors(node, parameter), below(node.path));
      byId.set(node.id, made);
    }
    byPath.set(node.path, made);
    return made;
  };
  visit(artifact.tree);
  return byPath;
}
