/** TypeScript types of a block's arguments, results and layers, with every static dim as a literal. */
import type { Artifact, Spec, TensorEntry, TensorSpec, TreeNode } from '../../runtime/artifact.ts';
import { bindingName, docComment, propertyKey, stringLiteral } from './escape.ts';

/** `$Tensor<'f32', [number, 1, 28, 28]>`. Imported names begin with `$`, which no name of a `.net` file does. */
export const tensorType = (t: TensorSpec): string => `$Tensor<${shaped(t)}>`;

const shaped = (t: TensorSpec): string =>
  `${stringLiteral(t.elem)}, [${t.shape.map((d) => (typeof d === 'number' ? String(d) : 'number')).join(', ')}]`;

const specType = (s: Spec, leaf: (t: TensorSpec) => string): string => {
  if (s.kind === 'tensor') return leaf(s);
  if (s.kind === 'tuple') return `readonly [${s.items.map((i) => specType(i, leaf)).join(', ')}]`;
  return `{ ${s.fields.map((f) => `readonly ${propertyKey(f.name)}: ${specType(f.spec, leaf)}`).join('; ')} }`;
};

export const resultType = (s: Spec): string => specType(s, tensorType);

/** Arguments also take tensors whose shape is known only at run time. */
export const argumentType = (s: Spec): string => specType(s, (t) => `$Input<${shaped(t)}>`);

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
  members(node: TreeNode, skip: (name: string) => boolean = () => false): { key: string; type: string }[] {
    const own = node.own.map((o) => {
      const t = this.artifact.tensors[o.tensor]!;
      return { name: o.name, type: parameterType(t, o.transposed) };
    });
    const children = node.children.map((c) => ({ name: c.name, type: this.layer(c) }));
    return [...own, ...children].filter((m) => !skip(m.name)).map((m) => ({ key: propertyKey(m.name), type: m.type }));
  }

  /** The name of the interface of a layer. */
  private layer(node: TreeNode): string {
    const members = this.members(node);
    const lines = members.map((m) => `  readonly ${m.key}: ${m.type};\n`);
    if (node.kind === 'seq' || node.kind === 'list') {
      const item = [...new Set(node.children.map((c) => this.layer(c)))].join(' | ') || 'never';
      lines.push(`  readonly length: ${node.children.length};\n`);
      lines.push(`  readonly [index: number]: ${item};\n`);
      lines.push(`  [Symbol.iterator](): IterableIterator<${item}>;\n`);
    }
    const body = lines.join('');
    if (body === '') return '$ModuleNode';
    const key = `${node.type}\n${node.doc}\n${body}`;
    const known = this.names.get(key);
    if (known !== undefined) return known;
    const base = `${this.prefix}$${node.type.replace(/[^A-Za-z0-9_]/g, '_')}`;
    let name = base;
    for (let i = 2; this.taken.has(name); i++) name = `${base}$${i}`;
    this.taken.add(name);
    this.names.set(key, name);
    this.declarations.push(`${docComment(node.doc)}export interface ${name} extends $ModuleNode {\n${body}}\n`);
    return name;
  }
}

function parameterType(t: TensorEntry, transposed: boolean): string {
  const shape = transposed ? [...t.shape].reverse() : t.shape;
  return `$Parameter<${stringLiteral(t.elem)}, [${shape.join(', ')}]>`;
}
