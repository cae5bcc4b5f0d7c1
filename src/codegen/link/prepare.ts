/**
 * Takes out of programs what they make of parameters alone: packed weights, casts, scales. It becomes programs of their own, whose
 * results stay in memory and which the runtime runs again when a parameter has changed. Kernels compute the same from the
 * same, so no bit of a result changes; a weight that nobody lays out beforehand is read where it lies.
 *
 * A kernel or copy is taken out where its sizes are numbers, all it reads is constant or made by what is taken out, and
 * nobody else writes what it writes. What hangs together is a piece. Equal pieces of several programs are one, and pieces that are
 * read by the same programs and made of the same arenas are prepared together.
 */
import { add, dim, type Dim } from '../../ir/dim.ts';
import { aligned } from '../../runtime/plan.ts';
import type { Buffer, FlatProgram, Instr, Place } from './flat.ts';
import { whole } from './flatten.ts';

type Leaf = Extract<Instr, { readonly kind: 'kernel' | 'copy' }>;

/** What is prepared together: it fills one segment. */
export interface Preparation {
  /** Of the program and of the segment. */
  readonly name: string;
  readonly bytes: number;
  /** The segments that it is made of. */
  readonly from: readonly string[];
  readonly flat: FlatProgram;
  /** The segment in `flat`. */
  readonly result: Buffer;
}

/** A program without what was taken out. */
export interface Rest {
  readonly flat: FlatProgram;
  /** The prepared segments that it reads, and where in them what it used to make itself lies. */
  readonly prepared: readonly { readonly name: string; readonly buffer: Buffer; readonly rows: Dim | null }[];
  readonly homes: ReadonlyMap<Buffer, { readonly root: Buffer; readonly shift: Dim }>;
}

interface Piece {
  readonly leaves: readonly Leaf[];
  /** What the rest of the program reads of it. */
  readonly results: readonly Buffer[];
  readonly from: readonly string[];
  readonly rows: Dim | null;
  readonly key: string;
}

/** The same piece in all programs that have it. */
interface Shared {
  readonly piece: Piece;
  readonly users: Map<number, Piece[]>;
}

/** `constants` are the inputs that a program leaves as they are. */
export function prepare(programs: readonly { readonly flat: FlatProgram; readonly constants: readonly Buffer[] }[]): {
  readonly rests: readonly Rest[];
  readonly preparations: readonly Preparation[];
} {
  const taken = programs.map((p) => takeOut(p.flat, new Set(p.constants)));
  const shared = new Map<string, Shared>();
  taken.forEach(({ pieces }, user) => {
    for (const piece of pieces) {
      const s = shared.get(piece.key) ?? { piece, users: new Map<number, Piece[]>() };
      shared.set(piece.key, s);
      s.users.set(user, [...(s.users.get(user) ?? []), piece]);
    }
  });
  const rests = taken.map(({ flat }) => ({
    flat,
    prepared: [] as { name: string; buffer: Buffer; rows: Dim | null }[],
    homes: new Map<Buffer, { root: Buffer; shift: Dim }>(),
  }));
  const preparations = [...Map.groupBy(shared.values(), groupKey).values()].map((group, i) => {
    const made = together(`prepared.${i}`, group);
    for (const [user, pieces] of group[0]!.users) {
      const rest = rests[user]!;
      const buffer = newBuffer('segment', dim(made.bytes), made.name);
      rest.prepared.push({ name: made.name, buffer, rows: rowsOf(pieces) });
      for (const s of group)
        for (const own of s.users.get(user)!)
          own.results.forEach((b, r) =>
            rest.homes.set(b, { root: buffer, shift: made.homes.get(s.piece.results[r]!)! }),
          );
    }
    return made;
  });
  return { rests, preparations };
}

const groupKey = ({ piece, users }: Shared): string =>
  [piece.from.join(), ...[...users].map(([user, own]) => `${user}:${rowsOf(own)?.key ?? ''}`)].join(' ');

/** Unless all say the same, it is needed always. */
const rowsOf = ([first, ...more]: readonly Piece[]): Dim | null =>
  first!.rows && more.every((p) => p.rows?.key === first!.rows!.key) ? first!.rows : null;

function takeOut(flat: FlatProgram, constants: ReadonlySet<Buffer>): { flat: FlatProgram; pieces: readonly Piece[] } {
  const out = constants.size === 0 ? new Set<Leaf>() : constantLeaves(flat, constants);
  if (out.size === 0) return { flat, pieces: [] };
  const made = new Set([...out].flatMap((leaf) => usesOf(leaf).flatMap((u) => (u.write ? [u.place.buffer] : []))));
  const instrs = without(flat.instrs, out);
  const read = new Set(readsOf(instrs));
  const free = (...places: readonly Place[]): boolean => places.every((p) => !made.has(p.buffer));
  return {
    flat: {
      ...flat,
      instrs,
      buffers: flat.buffers.filter((b) => !made.has(b)),
      inPlace: flat.inPlace.filter((p) => free(p.result, p.operand)),
      wishes: flat.wishes.filter((w) => free(w.from, w.to)),
    },
    pieces: connected(out, made).map((leaves) => pieceOf(leaves, made, read)),
  };
}

/** All that can be taken out: what cannot is struck off until nothing depends on it. */
function constantLeaves(flat: FlatProgram, constants: ReadonlySet<Buffer>): ReadonlySet<Leaf> {
  const writers = new Map<Buffer, Leaf[]>();
  const all = leavesOf(flat.instrs);
  for (const leaf of all)
    for (const { place, write } of usesOf(leaf))
      if (write) writers.set(place.buffer, [...(writers.get(place.buffer) ?? []), leaf]);
  // Counters of loops are written by no instruction. A carry and what a branch gives are written in several regions: it depends on the
  // run which of them was there last.
  for (const [b, own] of writers) {
    const writes = b.accesses.filter((a) => a.write);
    const once = own.length === writes.length && writes.every((a) => a.region === writes[0]!.region);
    if (b.kind !== 'temp' || !once) writers.delete(b);
  }
  const out = new Set(all.filter(isFixed));
  const isMade = (b: Buffer): boolean => writers.get(b)?.every((leaf) => out.has(leaf)) ?? false;
  for (let before = -1; before !== out.size;) {
    before = out.size;
    for (const leaf of out)
      if (!usesOf(leaf).every((u) => (constants.has(u.place.buffer) ? !u.write : isMade(u.place.buffer))))
        out.delete(leaf);
  }
  return out;
}

/** Its sizes are numbers, and it reads something. */
function isFixed(leaf: Leaf): boolean {
  const uses = usesOf(leaf);
  const sizes = leaf.kind === 'kernel' ? leaf.args.flatMap((a) => ('buffer' in a ? [] : [a])) : [];
  const places = uses.flatMap(({ place: p }) => [p.offset, p.bytes, p.buffer.bytes]);
  return [...sizes, ...places].every((d) => d.value !== null) && uses.some((u) => u.read && !u.write);
}

interface Use {
  readonly place: Place;
  readonly read: boolean;
  readonly write: boolean;
}

function usesOf(leaf: Leaf): readonly Use[] {
  if (leaf.kind === 'copy')
    return [
      { place: leaf.from, read: true, write: false },
      { place: leaf.to, read: false, write: true },
    ];
  return leaf.args.flatMap((a, i) => {
    const access = leaf.access[i];
    return 'buffer' in a && access ? [{ place: a, read: access !== 'write', write: access !== 'read' }] : [];
  });
}

const partsOf = (i: Instr): readonly (readonly Instr[])[] =>
  i.kind === 'for' ? [i.body] : i.kind === 'while' ? [i.cond, i.body] : i.kind === 'if' ? [i.then, i.else] : [];

const isLeaf = (i: Instr): i is Leaf => i.kind === 'kernel' || i.kind === 'copy';

const leavesOf = (instrs: readonly Instr[]): Leaf[] =>
  instrs.flatMap((i) => (isLeaf(i) ? [i] : partsOf(i).flatMap(leavesOf)));

const readsOf = (instrs: readonly Instr[]): Buffer[] =>
  instrs.flatMap((i) => {
    if (isLeaf(i)) return usesOf(i).flatMap((u) => (u.read ? [u.place.buffer] : []));
    return [...(i.kind === 'for' ? [] : [i.flag.buffer]), ...partsOf(i).flatMap(readsOf)];
  });

function without(instrs: readonly Instr[], out: ReadonlySet<Instr>): Instr[] {
  const inside = (list: readonly Instr[]): Instr[] => without(list, out);
  return instrs.flatMap((i): Instr[] => {
    if (out.has(i)) return [];
    if (i.kind === 'for') return [{ ...i, body: inside(i.body) }];
    if (i.kind === 'while') return [{ ...i, cond: inside(i.cond), body: inside(i.body) }];
    return i.kind === 'if' ? [{ ...i, then: inside(i.then), else: inside(i.else) }] : [i];
  });
}

/** Groups what shares memory that is made; order stays. */
function connected(out: ReadonlySet<Leaf>, made: ReadonlySet<Buffer>): Leaf[][] {
  let groups: { leaves: Leaf[]; buffers: Set<Buffer> }[] = [];
  for (const leaf of out) {
    const buffers = new Set(usesOf(leaf).flatMap(({ place }) => (made.has(place.buffer) ? [place.buffer] : [])));
    const [near, far] = [true, false].map((wanted) =>
      groups.filter((g) => [...buffers].some((b) => g.buffers.has(b)) === wanted),
    );
    const leaves = [...near!.flatMap((g) => g.leaves), leaf];
    groups = [...far!, { leaves, buffers: new Set([...buffers, ...near!.flatMap((g) => [...g.buffers])]) }];
  }
  return groups.map((g) => g.leaves.sort((a, b) => a.time - b.time));
}

function pieceOf(leaves: readonly Leaf[], made: ReadonlySet<Buffer>, read: ReadonlySet<Buffer>): Piece {
  const ids = new Map<Buffer, string>();
  const from = new Set<string>();
  const id = (b: Buffer): string => {
    if (!made.has(b)) from.add(b.segment!);
    else if (!ids.has(b)) ids.set(b, `%${ids.size}${read.has(b) ? '!' : ''}`);
    return ids.get(b) ?? b.segment!;
  };
  const text = (p: Place | Dim): string => ('buffer' in p ? `${id(p.buffer)}+${p.offset.key}:${p.bytes.key}` : p.key);
  const key = leaves.map((l) =>
    l.kind === 'copy' ? `copy ${text(l.from)} ${text(l.to)}` : `${l.kernel} ${l.args.map(text).join(' ')}`,
  );
  const results = [...ids.keys()].filter((b) => read.has(b));
  const last = leaves.filter((l) => usesOf(l).some((u) => u.write && results.includes(u.place.buffer)));
  const rows = last.map((l) => (l.kind === 'kernel' ? l.rows : null));
  const same = rows.every((r) => r !== null && r.key === rows[0]!.key);
  return { leaves, results, from: [...from].sort(), rows: same ? rows[0]! : null, key: key.join('\n') };
}

/** One program for several pieces, whose results lie side by side. */
function together(name: string, group: readonly Shared[]): Preparation & { homes: ReadonlyMap<Buffer, Dim> } {
  const homes = new Map<Buffer, Dim>();
  let bytes = 0;
  for (const b of group.flatMap((s) => s.piece.results)) {
    homes.set(b, dim(bytes));
    bytes += aligned(b.bytes.value!);
  }
  const result = newBuffer('segment', dim(bytes), name);
  const buffers = [result];
  const segments = new Map<string, Buffer>();
  const others = new Map<Buffer, Buffer>();
  /** The buffer in this program; inputs are one for all pieces. */
  const own = (b: Buffer): Buffer => {
    const known = b.segment === null ? others.get(b) : segments.get(b.segment);
    if (known) return known;
    const made = newBuffer(b.kind, b.bytes, b.segment);
    buffers.push(made);
    if (b.segment === null) others.set(b, made);
    else segments.set(b.segment, made);
    return made;
  };
  const place = (p: Place): Place => {
    const shift = homes.get(p.buffer);
    return shift ? { ...p, buffer: result, offset: add(shift, p.offset) } : { ...p, buffer: own(p.buffer) };
  };
  const instrs = group
    .flatMap((s) => s.piece.leaves)
    .map((l, i): Leaf => {
      const time = i + 1;
      const moved: Leaf =
        l.kind === 'copy'
          ? { ...l, time, from: place(l.from), to: place(l.to) }
          : { ...l, time, args: l.args.map((a) => ('buffer' in a ? place(a) : a)) };
      for (const { place: p, read, write } of usesOf(moved))
        for (const writes of [...(read ? [false] : []), ...(write ? [true] : [])])
          p.buffer.accesses.push({ time, write: writes, offset: p.offset, bytes: p.bytes, region: TOP, copy: null });
      return moved;
    });
  const inputs = [...segments.values()];
  const flat = { buffers, instrs, inPlace: [], wishes: [], inputs, outputs: [whole(result)], end: instrs.length + 1 };
  return { name, bytes, from: [...group[0]!.piece.from], flat, result, homes };
}

const TOP = { parent: null, count: null };

const newBuffer = (kind: Buffer['kind'], bytes: Dim, segment: string | null): Buffer => ({
  bytes,
  kind,
  segment,
  accesses: [],
});
