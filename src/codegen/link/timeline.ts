/** When each part of each buffer is read and written: the positions of a program's steps, and the loops around them. */
import type { Dim } from '../../ir/dim.ts';
import { add, dim, sub } from '../../ir/dim.ts';
import type { Block, Buf, Node, Place, Range } from './graph.ts';
import { resolve } from './graph.ts';

/** A loop's extent in positions. */
export interface Loop {
  readonly parent: Loop | null;
  readonly start: number;
  end: number;
}

export interface Access {
  /** Null: the end of the program, where results are read. */
  readonly node: Node | null;
  /** Argument of a kernel; 0 elsewhere. */
  readonly arg: number;
  readonly pos: number;
  readonly loop: Loop | null;
  readonly write: boolean;
  readonly start: Dim;
  readonly bytes: Dim;
}

export class Timeline {
  /** By buffers that are not merged into others. */
  readonly accesses = new Map<Buf, Access[]>();
  readonly positions = new Map<Node, { readonly pos: number; readonly loop: Loop | null }>();
  /** One after the last step. */
  readonly end: number;
  private next = 0;

  constructor(block: Block, results: readonly Range[]) {
    this.walk(block, null);
    this.end = this.next;
    for (const r of results) this.touch(r, r.bytes, false, null, 0, this.end, null);
  }

  of(buf: Buf): readonly Access[] {
    return this.accesses.get(buf) ?? [];
  }

  /** Forgets a copy that has turned out to be unnecessary. */
  remove(node: Node, buf: Buf): void {
    this.accesses.set(
      buf,
      this.of(buf).filter((a) => a.node !== node),
    );
  }

  /** `buf` becomes the part of another buffer at `at`. */
  merge(buf: Buf, at: Place): void {
    const moved = this.of(buf).map((a) => ({ ...a, start: add(a.start, at.offset) }));
    this.accesses.set(at.buf, [...this.of(at.buf), ...moved]);
    this.accesses.delete(buf);
    buf.merged = at;
    if (buf.output) at.buf.output = true;
  }

  private walk(block: Block, loop: Loop | null): void {
    for (const node of block) {
      if (node.kind === 'copy' && node.removed) continue;
      const pos = this.next++;
      this.positions.set(node, { pos, loop });
      switch (node.kind) {
        case 'kernel':
          node.args.forEach((a, i) => {
            if (a.kind === 'size') return;
            if (a.access !== 'write') this.touch(a.range, a.range.bytes, false, node, i, pos, loop);
            if (a.access !== 'read') this.touch(a.range, a.range.bytes, true, node, i, pos, loop);
          });
          break;
        case 'copy':
          this.touch(node.from, node.from.bytes, false, node, 0, pos, loop);
          this.touch(node.to, node.from.bytes, true, node, 0, pos, loop);
          break;
        case 'if':
          this.touch(node.flag, dim(4), false, node, 0, pos, loop);
          this.walk(node.then, loop);
          this.walk(node.else, loop);
          break;
        case 'for': {
          const own: Loop = { parent: loop, start: pos, end: pos };
          this.touch(node.counter, dim(4), true, node, 0, pos, own);
          this.walk(node.body, own);
          own.end = this.next - 1;
          break;
        }
        case 'while': {
          const own: Loop = { parent: loop, start: pos, end: pos };
          this.walk(node.cond, own);
          this.touch(node.flag, dim(4), false, node, 0, this.next++, own);
          this.walk(node.body, own);
          own.end = this.next - 1;
          break;
        }
      }
    }
  }

  private touch(
    place: Place,
    bytes: Dim,
    write: boolean,
    node: Node | null,
    arg: number,
    pos: number,
    loop: Loop | null,
  ): void {
    const { buf, offset } = resolve(place);
    const list = this.accesses.get(buf);
    const access: Access = { node, arg, pos, loop, write, start: offset, bytes };
    if (list) list.push(access);
    else this.accesses.set(buf, [access]);
  }
}

/** Is `inner` the loop `outer` or inside it? Null is the program. */
export function within(inner: Loop | null, outer: Loop | null): boolean {
  for (let l = inner; l !== outer; l = l.parent) if (l === null) return false;
  return true;
}

/** The innermost loop around all accesses. */
export function commonLoop(list: readonly Access[]): Loop | null {
  let common = list[0]?.loop ?? null;
  for (const a of list) while (!within(a.loop, common)) common = common!.parent;
  return common;
}

/** When an access happens, seen from loop `from` around it: all of the loop right inside `from` that contains it. */
export function extent(a: Access, from: Loop | null): readonly [number, number] {
  if (a.loop === from) return [a.pos, a.pos];
  let loop = a.loop!;
  while (loop.parent !== from) loop = loop.parent!;
  return [loop.start, loop.end];
}

/** First and last position at which the memory must be its own: from the first access to the last, whole loops where it lives across iterations. */
export function lifetime(list: readonly Access[]): readonly [number, number] {
  const loop = commonLoop(list);
  let [first, last] = [Infinity, -1];
  for (const a of list) {
    const [s, e] = extent(a, loop);
    first = Math.min(first, s);
    last = Math.max(last, e);
  }
  return [first, last];
}

/** Could they share a byte? Sizes are never negative, so a difference without negative terms is none either. */
export function mayOverlap(aStart: Dim, aBytes: Dim, bStart: Dim, bBytes: Dim): boolean {
  return !(precedes(aStart, aBytes, bStart) || precedes(bStart, bBytes, aStart));
}

const precedes = (start: Dim, bytes: Dim, next: Dim): boolean => {
  const gap = sub(next, add(start, bytes));
  return gap.terms.every((t) => t.coef > 0 && t.atoms.every((a) => a.kind === 'sym'));
};
