/** Reads attributes at their types: ops carry them untyped, rows know better. A mismatch is a compiler bug and throws. */
import { Dim, dim } from '../dim.ts';
import type { Attrs, ElemType } from '../ir.ts';

const wrong = (name: string, wanted: string): never => {
  throw new TypeError(`attribute ${name} is not ${wanted}`);
};

export function num(attrs: Attrs, name: string): number {
  const v = attrs[name];
  return typeof v === 'number' ? v : wrong(name, 'a number');
}

export function numOrNull(attrs: Attrs, name: string): number | null {
  return attrs[name] === null || attrs[name] === undefined ? null : num(attrs, name);
}

export const flag = (attrs: Attrs, name: string): boolean => attrs[name] === true;

export function ints(attrs: Attrs, name: string): readonly number[] {
  const v = attrs[name];
  if (!Array.isArray(v)) return wrong(name, 'a list of integers');
  return v.map((x: unknown) => (typeof x === 'number' ? x : wrong(name, 'a list of integers')));
}

export function ints2(attrs: Attrs, name: string): readonly [number, number] {
  const [a, b] = ints(attrs, name);
  return a === undefined || b === undefined ? wrong(name, 'a pair of integers') : [a, b];
}

/** top, bottom, left, right */
export function ints4(attrs: Attrs, name: string): readonly [number, number, number, number] {
  const [a, b, c, d] = ints(attrs, name);
  return a === undefined || b === undefined || c === undefined || d === undefined
    ? wrong(name, 'four integers')
    : [a, b, c, d];
}

export function size(attrs: Attrs, name: string): Dim {
  const v = attrs[name];
  return v instanceof Dim || typeof v === 'number' ? dim(v) : wrong(name, 'a size');
}

export function sizes(attrs: Attrs, name: string): readonly Dim[] {
  const v = attrs[name];
  if (!Array.isArray(v)) return wrong(name, 'a list of sizes');
  return v.map((x: unknown) => (x instanceof Dim || typeof x === 'number' ? dim(x) : wrong(name, 'a list of sizes')));
}

/** Sizes where they are concrete, as the references see them. */
export function concrete(attrs: Attrs, name: string): readonly number[] {
  return sizes(attrs, name).map((d) => d.value ?? wrong(name, 'concrete'));
}

const ELEMS: readonly string[] = ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'] satisfies ElemType[];
const isElem = (v: unknown): v is ElemType => typeof v === 'string' && ELEMS.includes(v);

export function elemAttr(attrs: Attrs, name: string): ElemType {
  const v = attrs[name];
  return isElem(v) ? v : wrong(name, 'an element type');
}

export const isFloat = (e: ElemType): boolean => e === 'f32' || e === 'f16' || e === 'bf16';
