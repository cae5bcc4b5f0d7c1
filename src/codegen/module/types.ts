/** TypeScript types of a block's arguments, results and layers, with every static dim as a literal. */
import type { Artifact, Spec, TensorEntry, TensorSpec, TreeNode } from '../../runtime/artifact.ts';
import { ModuleNode } from '../../runtime/tree.ts';
import { bindingName, docComment, propertyKey, stringLiteral } from './escape.ts';

/** `$Tensor<'f32', [number, 1, 28, 28]>`. Imported names begin with `$`, which no name of a `.net` file does. */
export const tensorType = (t: TensorSpec): string => `$Tensor<${shaped(t)}>`;

const shaped = (t: TensorSpec): string =>
  `${stringLiteral(t.elem)}, [${t.shape.map((d) => (typeof d === 'number' ? String(d) : 'number')).join(', ')}]`;

const specType = (s: Spec, leaf: (t: TensorSpec) => string): string => {
  if (s.kind === 'tensor') return s.size ? 'number' : leaf(s);
  if (s.kind === 'tuple') return `readonly [${s.items.map((i) => specType(i, leaf)).join(', ')}]`;
  return `{ ${s.fields.map((f) => `readonly ${propertyKey(f.name)}: ${specType(f.spec, leaf)}`).join('; ')} }`;
};

export const resultType = (s: Spec): string => specType(s, tensorType);

/** Of arguments, which also take tensors whose shape is known only at run time. Each tensor adds a type parameter, its shape. */
export const argumentType = (s: Spec, shapes: string[]): string =>
  specType(s, (t) => `$Input<${shaped(t)}, ${shapes[shapes.push(`S${shapes.length + 1}`) - 1]}>`);

/** What every object has: a layer or parameter of such a name is no property of its owner. */
export const OBJECT_MEMBERS: readonly string[] = Object.getOwnPropertyNames(Object.prototype);

const LAYER_MEMBERS = [...OBJECT_MEMBERS, ...Object.getOwnPropertyNames(ModuleNode.prototype)];

/** A block's description with the hyper-parameters that it was compiled with. */
export function described(doc: string, hyper: TreeNode['hyper']): string {
  const list = Object.entries(hyper).map(([name, value]) => `${name} = ${valueText(value)}`);
  return list.length === 0 ? doc : `${doc}\n\nCompiled with ${list.join(', ')}.`.trim();
}

const valueText = (v: unknown): string => {
  if (Array.isArray(v)) return `(${v.map(valueText).join(', ')})`;
  return typeof v === 'string' ? JSON.stringify(v) : v === null ? 'none' : String(v);
};

/** Interfaces of a block's layers; layers of equal type share one. */
export class LayerTypes {
  private readonly artifact: Artifact;
  private readonly prefix: string;
  private readonly names = new Map<string, string>();
  private readonly taken = new Set<string>();
  readonly declarations: string[] = [];

  constructor(artifact: Artifact) {
    this.artifact = artifact;
    this.prefix = bindingName(artifact.name);
  }

  /** The members that a node's own tensors and children give it. */
  members(
    node: TreeNode,
    skip = (name: string): boolean => LAYER_MEMBERS.includes(name),
  ): { key: string; type: string; doc: string }[] {
    const own = node.own.map((o) => {
      const t = this.artifact.tensors[o.tensor]!;
      return { name: o.name, type: parameterType(t, o.transposed), doc: o.doc ?? '' };
    });
    const children = node.children.map((c) => ({ name: c.name, type: this.layer(c), doc: c.memberDoc ?? '' }));
    const all = [...own, ...children].filter((m) => !skip(m.name));
    return all.map((m) => ({ key: propertyKey(m.name), type: m.type, doc: docComment(m.doc, '  ') }));
  }

  /** The name of the interface of a layer. */
  private layer(node: TreeNode): string {
    const members = this.members(node);
    const lines = members.map((m) => `${m.doc}  readonly ${m.key}: ${m.type};\n`);
    if (node.kind === 'seq' || node.kind === 'list') {
      const item = [...new Set(node.children.map((c) => this.layer(c)))].join(' | ') || 'never';
      lines.push(`  readonly length: ${node.children.length};\n`);
      lines.push(`  readonly [index: number]: ${item};\n`);
      lines.push(`  [Symbol.iterator](): IterableIterator<${item}>;\n`);
    }
    const body = lines.join('');
    if (body === '') return '$ModuleNode';
    const doc = docComment(described(node.doc, node.kind === 'block' ? node.hyper : {}));
    const key = `${node.type}\n${doc}${body}`;
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const base = `${this.prefix}$${node.type.replace(/[^A-Za-z0-9_]/g, '_')}`;
    let name = base;
    for (let i = 2; this.taken.has(name); i++) name = `${base}$${i}`;
    this.taken.add(name);
    this.names.set(key, name);
    this.declarations.push(`${doc}export interface ${name} extends $ModuleNode {\n${body}}\n`);
    return name;
  }
}

function parameterType(t: TensorEntry, transposed: boolean): string {
  const shape = transposed ? [...t.shape].reverse() : t.shape;
  return `$Parameter<${stringLiteral(t.elem)}, [${shape.join(', ')}]>`;
}
