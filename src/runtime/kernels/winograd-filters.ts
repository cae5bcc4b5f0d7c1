/** Winograd's transform of the filters, laid out as the products read them: a kernel of its own, which depends on nothing but weights. */
import { add, i32, mul, sub, vector } from '../../codegen/builder.ts';
import type { KernelCall, Scratch } from '../../codegen/call.ts';
import type { Axis, KExpr } from '../../codegen/kernel.ts';
import type { Origin } from '../../ir/ir.ts';
import { CallBuilder } from './call-builder.ts';
import type { Source } from './epilogue.ts';
import { PLACES, type WinogradSpec } from './winograd.ts';

/** Elements after each place of a tile: a power of two between them would put all places into the same set of a cache. */
const APART = 16;

/** Tiles of `height` channels, the last one lower: of each the places, one after the other, and of each place rows of `depth`. */
export interface Filters {
  readonly place: number;
  readonly tile: number;
  readonly size: number;
}

export function filtersOf({ channels, depth }: WinogradSpec, height: number): Filters {
  const place = height * depth + APART;
  return { place, tile: PLACES * place, size: Math.ceil(channels / height) * PLACES * place };
}

export function filterKernel(
  s: WinogradSpec,
  height: number,
  lanes: number,
  w: Source,
  into: Scratch,
  origins: readonly Origin[],
): KernelCall {
  const call = new CallBuilder();
  const { k } = call;
  const read = call.source(w);
  const to = call.shared('filters', into, 'f32', 'write');
  const { place, tile } = filtersOf(s, height);
  const name = (e: KExpr): KExpr => k.let(e, 'g');
  /** Of a line of three taps: (a, (a + b + c) / 2, (a - b + c) / 2, c). */
  const line = ([a, b, c]: readonly KExpr[]): readonly KExpr[] => {
    const ends = name(mul(add(a!, c!), 0.5));
    const middle = name(mul(b!, 0.5));
    return [a!, name(add(ends, middle)), name(sub(ends, middle)), c!];
  };
  const three = [0, 1, 2];
  const transform = (channel: KExpr, depth: KExpr, n: number, at: KExpr): void => {
    const filters = Array.from({ length: n }, (_, l) => k.let(s.filter(channel, k.let(add(depth, l))), 'filter'));
    const tap = (i: number): KExpr => vector(filters.map((f) => read(k, add(f, s.turned ? 8 - i : i), 1)));
    const wide = three.map((row) => line(three.map((col) => name(tap(3 * row + col)))));
    wide[0]!.forEach((_, col) =>
      line(wide.map((row) => row[col]!)).forEach((v, row) => k.store(to, add(at, (4 * row + col) * place), v)),
    );
  };
  const wholeDepth = s.depth - (s.depth % lanes);
  const rows = (first: KExpr, number: KExpr, count: number, axis: Axis): void => {
    const row = (r: KExpr): void => {
      const channel = k.let(add(first, r), 'channel');
      const at = k.let(add(mul(number, tile), mul(r, s.depth)), 'at');
      k.for(0, wholeDepth, lanes, (c) => transform(channel, c, lanes, k.let(add(at, c), 'at')));
      k.for(wholeDepth, s.depth, 1, (c) => transform(channel, c, 1, k.let(add(at, c), 'at')));
    };
    k.for(0, count, 1, row, axis);
  };
  const tiles = Math.floor(s.channels / height);
  k.for(0, tiles, 1, (i) => rows(k.let(mul(i, height), 'first'), i, height, 'serial'), 'parallel');
  rows(i32(tiles * height), i32(tiles), s.channels - tiles * height, 'parallel');
  return { ...call.finish('filters', origins), prepares: { rows: null } };
}
