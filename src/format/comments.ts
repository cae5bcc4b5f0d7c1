/** Where comments go that stand between two parts of one construct. */
import { util } from 'prettier';
import type { Comment, Shape } from './tree.ts';

/** What Prettier has found out about the place of a comment. */
export interface PlacedComment extends Comment {
  readonly enclosingNode?: Shape;
  readonly precedingNode?: Shape;
  readonly followingNode?: Shape;
}

/** Puts a comment where printing finds it again in the same place; false where Prettier's own choice does that. */
export function placeComment(comment: PlacedComment): boolean {
  const { enclosingNode, followingNode } = comment;
  if (!enclosingNode || !followingNode) return false;
  // `} // why` above `else {`: nothing may stand between `else` and `{`.
  if (followingNode.kind === 'braces') {
    const [first] = followingNode.items;
    if (first) util.addLeadingComment(first, comment);
    else util.addDanglingComment(followingNode, comment, undefined);
    return true;
  }
  // Above `=>` or behind it is the same: on a line of its own, above the value.
  if (enclosingNode.kind === 'binding' && followingNode === enclosingNode.right) {
    util.addLeadingComment(followingNode, comment);
    return true;
  }
  return false;
}
