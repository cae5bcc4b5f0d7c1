/** Where comments go, so that formatting again finds them in the same place. */
import { util } from 'prettier';
import type { AttachedComment, Shape } from './tree.ts';

/** What Prettier has found out about the place of a comment. */
export interface PlacedComment extends AttachedComment {
  readonly enclosingNode?: Shape;
  readonly precedingNode?: Shape;
  readonly followingNode?: Shape;
}

/** False where Prettier's own choice is good: behind an item, an argument or an operand, or above it. */
export function placeComment(comment: PlacedComment, root: Shape): boolean {
  const { enclosingNode: enclosing, precedingNode: preceding, followingNode: following } = comment;
  const around = enclosing ?? root;
  if (around.kind === 'braces' || around.kind === 'file') {
    // Below the last item; what stands behind it belongs to its row.
    if (!following) util.addDanglingComment(around, comment, undefined);
    return !following;
  }
  if (!enclosing) return false;
  // `} // why` above `else {`: nothing may stand between `else` and `{`.
  if (following?.kind === 'braces') {
    const [first] = following.items;
    if (first) util.addLeadingComment(first, comment);
    else util.addDanglingComment(following, comment, undefined);
    return true;
  }
  // Two comments cannot stand on one line.
  if (following && preceding?.comments?.some(({ trailing }) => trailing)) {
    util.addLeadingComment(following, comment);
    return true;
  }
  // Before `=>` or behind it is the same: on a line of its own, above the value.
  const value = enclosing.kind === 'binding' && following === enclosing.right;
  if (!value && enclosing.kind !== 'words' && enclosing.kind !== 'short') return false;
  // Documentation is what stands above a declaration. Here it was none, and above one it would become it.
  if (/^\/\/\/(?!\/)/.test(comment.value)) comment.value = comment.value.slice(1);
  util.addLeadingComment(value ? following : lineStart(root, enclosing, null), comment);
  return true;
}

/** The innermost shape around `target` that can begin a line; its lines cannot break between words. */
function lineStart(shape: Shape, target: Shape, start: Shape | null): Shape | null {
  if (shape === target) return start;
  for (const child of childrenOf(shape)) {
    if (child.span.start > target.span.start || child.span.end < target.span.end) continue;
    const found = lineStart(child, target, isInline(shape, child) ? start : child);
    if (found) return found;
  }
  return null;
}

function childrenOf(shape: Shape): readonly Shape[] {
  switch (shape.kind) {
    case 'words':
      return shape.parts.filter((part) => typeof part !== 'string');
    case 'operation':
      return shape.operands;
    case 'binding':
      return [shape.left, shape.right];
    case 'parens':
    case 'short':
      return [shape.inner];
    default:
      return shape.items;
  }
}

/** Whether `child` never begins a line that `parent` does not begin. */
function isInline(parent: Shape, child: Shape): boolean {
  switch (parent.kind) {
    case 'words':
    case 'short':
      return true;
    case 'binding':
      return parent.left === child;
    case 'operation':
      return parent.operands[0] === child;
    default:
      return false;
  }
}
