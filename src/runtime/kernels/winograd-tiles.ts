/**
 * Winograd's transforms of tiles, over vectors of neighbouring tiles of a row. No vector has a tail: where a row of tiles ends inside
 * one, what lies beyond is overwritten by the next row, or lands in room that nobody reads.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, and, div, f32, ge, load, lt, min, mul, shuffle, splat, sub } from '../../codegen/builder.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Pair } from './conv-planes.ts';
import type { EmitTile, ReadSource } from './epilogue.ts';
import { thread } from './team.ts';

export interface BlockSizes {
  readonly lanes: number;
  readonly depth: number;
  readonly channels: number;
  readonly padding: Pair;
  readonly height: KExpr;
  readonly width: KExpr;
  readonly outHeight: KExpr;
  readonly outWidth: KExpr;
  /** Tiles of a row. */
  readonly across: KExpr;
  /** Elements from one channel of a place to the next. */
  readonly stride: KExpr;
  /** Elements of what a thread keeps of the source, and of the results. */
  readonly sourceRoom: KExpr;
  readonly resultRoom: KExpr;
}

/** Images from `n` on, and rows of tiles of each from `top` on. */
export interface TileBlock {
  readonly n: KExpr;
  readonly top: KExpr;
  readonly images: KExpr;
  readonly rows: KExpr;
}

interface Rows {
  readonly across: Dim;
  readonly rows: Dim;
}

const upTo = (d: Dim, lanes: number): Dim => D.mul(D.div(D.add(d, lanes - 1), lanes), lanes);
/** Rows of the source between zeros: 2 elements more than the vectors of a row of tiles are wide. */
export const sourceRoom = ({ across, rows }: Rows, lanes: number): Dim =>
  D.add(D.mul(D.add(D.mul(rows, 2), 2), D.add(D.mul(upTo(across, lanes), 2), 2)), lanes);
/** Rows of one image's results, and what its last vector writes too much. */
export const resultRoom = ({ across, rows }: Rows, width: Dim, lanes: number): Dim =>
  D.mul(D.add(D.mul(rows, width), upTo(across, lanes)), 2);

const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

/** Transforms a channel of a block: first its rows between zeros, and from there the tiles, `place` elements from one to the next. */
export function takeTiles(
  k: KernelBuilder,
  s: BlockSizes,
  place: KExpr,
  read: ReadSource,
  rows: KBuffer,
  to: KBuffer,
): (channel: KExpr, at: KExpr, block: TileBlock) => void {
  const { lanes } = s;
  const width = k.let(add(mul(mul(div(add(s.across, lanes - 1), lanes), lanes), 2), 2), 'width');
  const own = k.let(mul(thread, s.sourceRoom), 'own');
  // What lies left and right of the source is written here alone.
  k.for(0, s.sourceRoom, 1, (i) => k.store(rows, add(own, i), f32(0)));
  const first = Math.max(0, -s.padding[1]);
  const copied = k.let(sub(min(s.width, sub(width, s.padding[1])), first), 'copied');
  return (channel, at, block) => {
    const rowCount = k.let(add(mul(block.rows, 2), 2), 'rows');
    const origin = k.let(sub(mul(block.top, 2), s.padding[0]), 'origin');
    k.for(0, block.images, 1, (g) => {
      const plane = k.let(add(mul(add(block.n, g), s.depth), channel), 'plane');
      const image = k.let(add(mul(plane, mul(s.height, s.width)), first), 'image');
      k.for(0, rowCount, 1, (r) => {
        const y = k.let(add(origin, r), 'y');
        const row = k.let(add(own, add(mul(r, width), first + s.padding[1])), 'row');
        k.if(
          and(ge(y, 0), lt(y, s.height)),
          () => {
            const from = k.let(add(image, mul(y, s.width)), 'from');
            inVectors(k, copied, lanes, (i, n) => k.store(rows, add(row, i), read(k, k.let(add(from, i)), n)));
          },
          // What this writes too much is zero already, or written after it.
          () => k.for(0, copied, lanes, (i) => k.store(rows, add(row, i), splat(f32(0), lanes))),
        );
      });
      const start = k.let(add(at, mul(g, mul(block.rows, s.across))), 'start');
      k.for(0, block.rows, 1, (r) => {
        const lines = range(4).map((i) => k.let(add(own, mul(add(mul(r, 2), i), width)), 'line'));
        const into = k.let(add(start, mul(r, s.across)), 'into');
        k.for(0, s.across, lanes, (t) => {
          const shift = k.let(mul(t, 2), 'shift');
          const sources = lines.map((line) => k.let(add(line, shift), 'source'));
          const vector = (row: number, i: number): KExpr => load(rows, add(sources[row]!, i), lanes);
          let at2 = k.let(add(into, t), 'at');
          transformTiles(k, vector, lanes, (v) => {
            k.store(to, at2, v);
            at2 = k.let(add(at2, place), 'at');
          });
        });
      });
    });
  };
}

/** Visits `count` elements in vectors: the widest that fit, the last over elements of the one before. */
function inVectors(k: KernelBuilder, count: KExpr, most: number, use: (at: KExpr, lanes: number) => void): void {
  const wide = (lanes: number): void => {
    k.for(0, k.let(sub(count, lanes - 1), 'end'), lanes, (i) => use(i, lanes));
    use(k.let(sub(count, lanes), 'last'), lanes);
  };
  const narrower = (lanes: number): void => {
    if (lanes < 4) return k.for(0, count, 1, (i) => use(i, 1));
    k.if(
      ge(count, lanes),
      () => wide(lanes),
      () => narrower(lanes / 2),
    );
  };
  narrower(most);
}

/** (a - c, b + c, c - b, b - d) down, then across; place after place. `vector(row, i)`: elements from i on of a row of the tiles. */
function transformTiles(
  k: KernelBuilder,
  vector: (row: number, i: number) => KExpr,
  lanes: number,
  store: (v: KExpr) => void,
): void {
  const name = (e: KExpr): KExpr => k.let(e, 'd');
  const DOWN = [
    [0, 2, sub],
    [1, 2, add],
    [2, 1, sub],
    [1, 3, sub],
  ] as const;
  const even = range(lanes).map((i) => 2 * i);
  const odd = even.map((i) => i + 1);
  for (const [p, q, combine] of DOWN) {
    // Rows are combined before their elements are taken apart, so that few registers are held.
    const [low, high, lowNext, highNext] = [0, lanes, 2, lanes + 2].map((i) =>
      name(combine(vector(p, i), vector(q, i))),
    ) as [KExpr, KExpr, KExpr, KExpr];
    const [a, b] = [name(shuffle(low, high, even)), name(shuffle(low, high, odd))];
    const [c, d] = [name(shuffle(lowNext, highNext, even)), name(shuffle(lowNext, highNext, odd))];
    [sub(a, c), add(b, c), sub(c, b), sub(b, d)].forEach(store);
  }
}

/** Transforms the sums of a channel of a block back, lays the rows of each image side by side, and hands them to the epilogue. */
export function emitTiles(
  k: KernelBuilder,
  s: BlockSizes,
  sums: KBuffer,
  { from, place }: { readonly from: KExpr; readonly place: KExpr },
  results: KBuffer,
  channel: KExpr,
  block: TileBlock,
  emit: EmitTile,
): void {
  const { lanes, outWidth: width } = s;
  const vectors = k.let(div(add(s.across, lanes - 1), lanes), 'vectors');
  const own = k.let(mul(thread, s.resultRoom), 'own');
  const name = (e: KExpr): KExpr => k.let(e, 'y');
  const low = range(lanes).map((i) => (i >> 1) + (i & 1) * lanes);
  const high = low.map((i) => i + lanes / 2);
  k.for(0, block.images, 1, (g) => {
    const image = k.let(add(from, mul(g, mul(block.rows, s.across))), 'image');
    k.for(0, block.rows, 1, (r) => {
      const row = k.let(add(image, mul(r, s.across)), 'row');
      const into = k.let(add(own, mul(r, mul(width, 2))), 'into');
      // The last vector of a row first: what it writes too much, upper row and then lower, is written again.
      k.for(0, vectors, 1, (i) => {
        const t = k.let(mul(sub(sub(vectors, 1), i), lanes), 't');
        const at = k.let(add(row, t), 'at');
        const upper = k.let(add(into, mul(t, 2)), 'to');
        const lower = k.let(add(upper, width), 'to');
        let places = [at];
        for (let line = 1; line < 4; line++) places.push(k.let(add(places[line - 1]!, mul(place, 4)), 'at'));
        const columns = range(4).map((col) => {
          if (col > 0) places = places.map((p) => k.let(add(p, place), 'at'));
          const [a, b, c, d] = places.map((p) => name(load(sums, p, lanes))) as [KExpr, KExpr, KExpr, KExpr];
          return [name(add(add(a, b), c)), name(sub(sub(b, c), d))];
        });
        [upper, lower].forEach((to, line) => {
          const [a, b, c, d] = columns.map((col) => col[line]!) as [KExpr, KExpr, KExpr, KExpr];
          const [left, right] = [name(add(add(a, b), c)), name(sub(sub(b, c), d))];
          k.store(results, to, shuffle(left, right, low));
          k.store(results, add(to, lanes), shuffle(left, right, high));
        });
      });
    });
    const count = k.let(mul(min(mul(block.rows, 2), sub(s.outHeight, mul(block.top, 2))), width), 'count');
    const whole = k.let(mul(div(count, lanes), lanes), 'whole');
    const n = k.let(add(block.n, g), 'n');
    const col = k.let(mul(block.top, mul(width, 2)), 'col');
    const plane = k.let(add(mul(n, s.channels), channel), 'plane');
    const flat = k.let(add(mul(plane, mul(s.outHeight, width)), col), 'flat');
    const put = (i: KExpr, width2: number): void =>
      emit(k, {
        acc: k.let(load(results, k.let(add(own, i)), width2)),
        batch: n,
        row: channel,
        col: k.let(add(col, i), 'col'),
        flat: k.let(add(flat, i), 'flat'),
      });
    k.for(0, whole, lanes, (i) => put(i, lanes));
    k.for(whole, count, 1, (i) => put(i, 1));
  });
}
