/** Assembles a WebAssembly module: deduplicated types, one imported memory, functions, exports, and names for profilers. */
import type { WasmCode } from '../../runtime/artifact.ts';
import { Bytes } from './bytes.ts';

export const I32_TYPE = 0x7f;
export const F32_TYPE = 0x7d;
export const V128_TYPE = 0x7b;
export type ValueType = typeof I32_TYPE | typeof F32_TYPE | typeof V128_TYPE;

export interface WasmFunction {
  readonly name: string;
  readonly params: readonly ValueType[];
  /** Types of the locals after the parameters. */
  readonly locals: readonly ValueType[];
  readonly result: ValueType | null;
  /** Instructions without the final `end`. */
  readonly code: Bytes;
  /** Offsets in `code`. */
  readonly fusible: readonly number[];
  /** null where only the module itself calls it. */
  readonly exportName: string | null;
}

export interface WasmGlobal {
  readonly name: string;
  readonly init: number;
}

const SECTION = { custom: 0, type: 1, import: 2, function: 3, global: 6, export: 7, code: 10 } as const;
const KIND = { func: 0, memory: 2, global: 3 } as const;
const END = 0x0b;

/** A function of the host. */
export type WasmImport = Pick<WasmFunction, 'name' | 'params' | 'result'>;

/**
 * Imports `env.memory` (one page at least, growable) and functions of `env`, whose indices come before those of `functions`;
 * exports each exported function and each global (mutable i32) under its name.
 */
export function encodeModule(
  imports: readonly WasmImport[],
  functions: readonly WasmFunction[],
  globals: readonly WasmGlobal[],
): WasmCode {
  const types = new Map<string, number>();
  const typeOf = (f: WasmImport): number => {
    const key = `${f.params.join()} ${f.result ?? ''}`;
    const index = types.get(key) ?? types.size;
    types.set(key, index);
    return index;
  };
  const importTypes = imports.map(typeOf);
  const typeIndices = functions.map(typeOf);

  const out = new Bytes().u8(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);
  /** Gives the offset of the section's contents. */
  const section = (id: number, count: number, each: Iterable<(b: Bytes) => void>): number => {
    if (count === 0) return out.length;
    const body = new Bytes().u32(count);
    for (const write of each) write(body);
    return out.u8(id).sized(body).length - body.length;
  };

  section(
    SECTION.type,
    types.size,
    [...types.keys()].map((key) => (b: Bytes) => {
      b.u8(0x60);
      for (const list of key.split(' ')) {
        const of = list === '' ? [] : list.split(',').map(Number);
        b.u32(of.length).u8(...of);
      }
    }),
  );
  // Memory comes first: the runtime finds it there to make it shared.
  section(SECTION.import, 1 + imports.length, [
    (b) => b.name('env').name('memory').u8(KIND.memory, 0x00).u32(1),
    ...imports.map((f, i) => (b: Bytes) => b.name('env').name(f.name).u8(KIND.func).u32(importTypes[i]!)),
  ]);
  section(
    SECTION.function,
    functions.length,
    typeIndices.map((t) => (b: Bytes) => b.u32(t)),
  );
  section(
    SECTION.global,
    globals.length,
    globals.map((g) => (b: Bytes) => b.u8(I32_TYPE, 1, 0x41).s32(g.init).u8(END)),
  );
  const exports = [
    ...functions.flatMap((f, i) =>
      f.exportName === null ? [] : [{ name: f.exportName, kind: KIND.func, index: imports.length + i }],
    ),
    ...globals.map((g, i) => ({ name: g.name, kind: KIND.global, index: i })),
  ];
  section(
    SECTION.export,
    exports.length,
    exports.map((e) => (b: Bytes) => b.name(e.name).u8(e.kind).u32(e.index)),
  );
  const fusible: number[] = [];
  const code = section(
    SECTION.code,
    functions.length,
    functions.map((f) => (b: Bytes) => {
      const end = b.sized(body(f)).length;
      // The last byte of a body is its `end`.
      for (const at of f.fusible) fusible.push(end - 1 - f.code.length + at);
    }),
  );
  out.u8(SECTION.custom).sized(nameSection([...imports, ...functions]));
  const sites = new Bytes();
  fusible.forEach((at, i) => sites.u32(i === 0 ? code + at : at - fusible[i - 1]!));
  return { plain: out.finish(), fusible: sites.finish() };
}

function body(f: WasmFunction): Bytes {
  const runs: { type: ValueType; count: number }[] = [];
  for (const type of f.locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  const out = new Bytes().u32(runs.length);
  for (const r of runs) out.u32(r.count).u8(r.type);
  return out.append(f.code).u8(END);
}

/** Function names, so that stack traces and profiles show kernels. */
function nameSection(functions: readonly WasmImport[]): Bytes {
  const names = new Bytes().u32(functions.length);
  functions.forEach((f, i) => names.u32(i).name(f.name));
  return new Bytes().name('name').u8(1).sized(names);
}
