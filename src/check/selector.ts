/** Selectors: which tensors a path with wildcards, or a block type and member, picks out below a block. */
import type { Selector, SelectorPart } from '../parser/ast.ts';
import type { InstanceNode, Slot } from './instance.ts';

/** One name of a tensor below a block. `types[i]` is the type of the instance reached after i segments. */
export interface Candidate {
  readonly segments: readonly string[];
  readonly types: readonly string[];
  /** Null for a member that this instance does not have (its condition was false): it matches, silently. */
  readonly slot: Slot | null;
}

/** Every name of every tensor below, and of those that conditions left out. */
export function candidatesBelow(root: InstanceNode): Candidate[] {
  const out: Candidate[] = [];
  const walk = (n: InstanceNode, segments: readonly string[], types: readonly string[]): void => {
    for (const s of n.slots.values()) out.push({ segments: [...segments, s.name], types, slot: s });
    for (const name of n.absent) out.push({ segments: [...segments, name], types, slot: null });
    for (const c of n.children) walk(c.node, [...segments, c.name], [...types, c.node.type]);
  };
  walk(root, [], [root.type]);
  return out;
}

export function matches(s: Selector, c: Candidate): boolean {
  const [first] = s.parts;
  if (!first) return false;
  if (matchFrom(s.parts, 0, c, 0)) return true;
  // `Conv2d.weight` stands for any Conv2d below.
  return first.kind === 'name' && /^[A-Z]/.test(first.name) && c.types.some((_, i) => matchFrom(s.parts, 0, c, i));
}

function matchFrom(parts: readonly SelectorPart[], p: number, c: Candidate, i: number): boolean {
  const part = parts[p];
  if (!part) return i === c.segments.length;
  switch (part.kind) {
    case 'deep':
      // A trailing `**` takes everything that is left, but not nothing.
      if (p === parts.length - 1) return i < c.segments.length;
      for (let k = i; k <= c.segments.length; k++) if (matchFrom(parts, p + 1, c, k)) return true;
      return false;
    case 'any':
      return i < c.segments.length && matchFrom(parts, p + 1, c, i + 1);
    case 'index':
      return c.segments[i] === String(part.index) && matchFrom(parts, p + 1, c, i + 1);
    case 'name':
      if (c.segments[i] === part.name && matchFrom(parts, p + 1, c, i + 1)) return true;
      // A block type takes no segment: it says what has been reached.
      return (
        c.types[i] === part.name && i < c.segments.length && /^[A-Z]/.test(part.name) && matchFrom(parts, p + 1, c, i)
      );
  }
}
