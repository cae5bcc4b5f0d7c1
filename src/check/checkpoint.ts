/** `checkpoint layers.*` of a train section: which blocks compute their inside again in the backward. */
import { didYouMean } from '../diagnostics/index.ts';
import type { Selector, Train } from '../parser/ast.ts';
import { report, type Cx } from './context.ts';
import type { InstanceNode } from './instance.ts';
import { candidatesBelow, matches, type Candidate } from './selector.ts';
import { pathText } from './ties.ts';

interface Placed extends Candidate {
  readonly node: InstanceNode;
}

/** Paths of those blocks, a shared one under its first. A `seq` or a list stands for what is in it: only blocks are called. */
export function checkpointed(cx: Cx, root: InstanceNode, { checkpoint }: Train): readonly string[] {
  const below = placedBelow(root);
  const paths = new Set<string>();
  for (const s of checkpoint) {
    const hit = below.filter((c) => selects(s, c)).flatMap(({ node }) => blocksOf(node));
    if (hit.length === 0)
      report(cx, 'checkpoint_unmatched', { selector: pathText(s), type: root.type }, s.span, {
        help: helpFor(s, root, below),
        path: root.path,
      });
    for (const { path } of hit) if (path !== null) paths.add(path);
  }
  return [...paths];
}

function placedBelow(root: InstanceNode): Placed[] {
  const out: Placed[] = [];
  const walk = (n: InstanceNode, segments: readonly string[], types: readonly string[]): void => {
    for (const { name, node } of n.children) {
      const at = { segments: [...segments, name], types: [...types, node.type], slot: null, node };
      out.push(at);
      walk(node, at.segments, at.types);
    }
  };
  walk(root, [], [root.type]);
  return out;
}

/** As selectors of parameters; besides, `Encoder` alone stands for every Encoder. */
function selects(s: Selector, c: Placed): boolean {
  const [only, more] = s.parts;
  return matches(s, c) || (!more && only?.kind === 'name' && /^[A-Z]/.test(only.name) && c.node.type === only.name);
}

function blocksOf(node: InstanceNode): readonly InstanceNode[] {
  if (node.kind === 'fn') return [];
  return node.kind === 'block' ? [node] : node.children.flatMap((c) => blocksOf(c.node));
}

function helpFor(s: Selector, root: InstanceNode, below: readonly Placed[]): string {
  if (candidatesBelow(root).some((c) => matches(s, c)))
    return 'these are parameters; a checkpoint is of blocks, as in `checkpoint layers.*`';
  const blocks = below.filter((c) => blocksOf(c.node).length > 0);
  const paths = blocks.map((c) => c.segments.join('.'));
  const near = didYouMean(pathText(s), [...paths, ...blocks.map((c) => c.node.type)]);
  return near ?? 'write the path of a block, with `*` for any one name, or a block type';
}
