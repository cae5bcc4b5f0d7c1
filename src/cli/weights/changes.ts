/** What an edit of a network means for files of weights that were made before it. */
import type { Artifact } from '../../runtime/artifact.ts';

export interface Change {
  readonly kind: 'removed' | 'added' | 'renamed' | 'shape' | 'type' | 'tied' | 'untied';
  readonly name: string;
  readonly what: string;
  /** Old files no longer load as they are. */
  readonly breaking: boolean;
}

export interface Changes {
  readonly list: readonly Change[];
  /** Arguments of `netwright convert` that bring an old file over what was renamed and turned; empty where nothing was. */
  readonly migration: readonly string[];
}

interface Key {
  readonly shape: readonly number[];
  readonly elem: string;
  /** The first name of the same tensor. */
  readonly owner: string;
}

function keysOf(a: Artifact): Map<string, Key> {
  const first = new Map<number, string>();
  return new Map(
    a.stateDict.map(({ name, tensor, transposed }) => {
      const t = a.tensors[tensor]!;
      if (!first.has(tensor)) first.set(tensor, name);
      const shape = transposed ? t.shape.toReversed() : t.shape;
      return [name, { shape, elem: t.stored ?? t.elem, owner: first.get(tensor)! }];
    }),
  );
}

export function changesBetween(before: Artifact, after: Artifact): Changes {
  const [old, now] = [keysOf(before), keysOf(after)];
  const renames = plausibleRenames(old, now);
  const renamedTo = new Set(renames.values());
  const list: Change[] = [];
  const turned: string[] = [];
  for (const [name, was] of old) {
    const to = renames.get(name);
    if (to !== undefined) list.push({ kind: 'renamed', name, what: `is now ${to}`, breaking: true });
    const is = now.get(to ?? name);
    if (!is) {
      list.push({ kind: 'removed', name, what: `${typeOf(was)} is no more`, breaking: true });
      continue;
    }
    if (String(was.shape) !== String(is.shape)) {
      const flipped = was.shape.length === 2 && String(was.shape.toReversed()) === String(is.shape);
      if (flipped) turned.push(name);
      const what = `was [${was.shape.join(', ')}] and is [${is.shape.join(', ')}]`;
      list.push({ kind: 'shape', name, what: flipped ? `${what}, its transpose` : what, breaking: true });
    }
    if (was.elem !== is.elem) {
      // Floats are rounded to the new type when they are loaded.
      const breaking = !(isFloat(was.elem) && isFloat(is.elem));
      list.push({ kind: 'type', name, what: `was ${was.elem} and is ${is.elem}`, breaking });
    }
    const ownerNow = renames.get(was.owner) ?? was.owner;
    if (is.owner !== (to ?? name) && is.owner !== ownerNow && old.has(is.owner))
      list.push({ kind: 'tied', name, what: `is tied to ${is.owner}: old files have two values`, breaking: true });
    else if (was.owner !== name && is.owner !== ownerNow)
      list.push({
        kind: 'untied',
        name,
        what: `is no longer tied to ${was.owner}: both start from its value`,
        breaking: false,
      });
  }
  for (const [name, is] of now) {
    if (old.has(name) || renamedTo.has(name)) continue;
    const tied = is.owner !== name;
    list.push({ kind: 'added', name, what: tied ? `is tied to ${is.owner}` : `${typeOf(is)} is new`, breaking: true });
  }
  const migration = [
    ...renameArguments(renames, old),
    ...turned.map((name) => `--transpose ${quoted(`^${escaped(name)}$`)}`),
  ];
  return { list, migration };
}

const typeOf = (k: Key): string => `${k.elem}[${k.shape.join(', ')}]`;
const isFloat = (elem: string): boolean => /^b?f\d/.test(elem);

/** Names that went and names that came, of one type and with an equal end: each goes to the nearest that is left, in order. */
function plausibleRenames(old: ReadonlyMap<string, Key>, now: ReadonlyMap<string, Key>): Map<string, string> {
  const out = new Map<string, string>();
  const free = new Set([...now.keys()].filter((n) => !old.has(n)));
  for (const [name, was] of old) {
    if (now.has(name)) continue;
    let best: string | null = null;
    for (const candidate of free) {
      if (typeOf(now.get(candidate)!) !== typeOf(was)) continue;
      const common = commonEnd(name, candidate);
      if (common > 0 && (best === null || common > commonEnd(name, best))) best = candidate;
    }
    if (best === null) continue;
    out.set(name, best);
    free.delete(best);
  }
  return out;
}

/** How many segments two names have in common at their ends. */
function commonEnd(a: string, b: string): number {
  const [p, q] = [a.split('.'), b.split('.')];
  let n = 0;
  while (n < Math.min(p.length, q.length) && p.at(-1 - n) === q.at(-1 - n)) n++;
  return n;
}

/** One `--rename` for each part of the tree that moved. Every pattern is anchored, and none reaches a name that another made. */
function renameArguments(renames: ReadonlyMap<string, string>, old: ReadonlyMap<string, Key>): string[] {
  const moved = new Map<string, string>();
  for (const [from, to] of renames) {
    const keep = Math.min(commonEnd(from, to), from.split('.').length - 1, to.split('.').length - 1);
    const head = (name: string): string => `${name.split('.').slice(0, -keep).join('.')}.`;
    moved.set(keep === 0 ? from : head(from), keep === 0 ? to : head(to));
  }
  const pattern = (from: string): RegExp => new RegExp(`^${escaped(from)}${from.endsWith('.') ? '' : '$'}`);
  const ordered = inOrder(moved);
  const works = [...old.keys()].every((name) => {
    const became = ordered.reduce((n, [from, to]) => n.replace(pattern(from), to), name);
    return became === (renames.get(name) ?? name);
  });
  const pairs = works ? ordered : inOrder(renames);
  return pairs.map(([from, to]) => `--rename ${quoted(`${pattern(from).source}=${to}`)}`);
}

/** What another one becomes must have left its place before. */
function inOrder(moves: ReadonlyMap<string, string>): [string, string][] {
  const out: [string, string][] = [];
  const done = new Set<string>();
  const visit = (from: string): void => {
    if (done.has(from)) return;
    done.add(from);
    for (const other of moves.keys()) if (moves.get(from)!.startsWith(other)) visit(other);
    out.push([from, moves.get(from)!]);
  };
  for (const from of moves.keys()) visit(from);
  return out;
}

const escaped = (name: string): string => name.replaceAll('.', '\\.');
/** For a shell: names of a .net file have no quotes. */
const quoted = (text: string): string => `'${text}'`;
