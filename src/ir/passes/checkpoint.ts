/**
 * Marks the calls of blocks that a `train` section checkpoints. A function stands for all equal blocks, so where only some of
 * them are selected, or something inside of some, the callers get copies of their own.
 */
import type { Func, Module, Op, Region } from '../ir.ts';

export interface Marked {
  readonly module: Module;
  /** The function with marks, or the given one where it calls none of those blocks. */
  readonly func: string;
}

/** `paths` are those of blocks, as the function sees them (`layers.0.attn`). */
export function markCheckpoints(module: Module, func: string, paths: readonly string[]): Marked {
  const funcs = new Map(module.funcs);
  const copies = new Map<string, string>();

  const copy = (name: string, below: readonly string[]): string => {
    if (below.length === 0) return name;
    const key = `${name} ${below.join()}`;
    const known = copies.get(key);
    if (known !== undefined) return known;
    const f = funcs.get(name)!;
    const made = free(`${name}.checkpoint`, funcs);
    // Taken before the body is walked, so that no other copy gets the name.
    funcs.set(made, f);
    copies.set(key, made);
    funcs.set(made, { ...f, name: made, body: region(f.body, below) });
    return made;
  };
  const region = (r: Region, selected: readonly string[]): Region => ({
    ...r,
    ops: r.ops.map((op) => ({ ...marked(op, selected), regions: op.regions.map((x) => region(x, selected)) })),
  });
  const marked = (op: Op, selected: readonly string[]): Op => {
    if (op.kind !== 'call') return op;
    const { path } = op.origin;
    // A call with the block's own path is one of its other methods.
    const inside =
      path === '' ? selected : selected.flatMap((s) => (s.startsWith(`${path}.`) ? [s.slice(path.length + 1)] : []));
    const callee = copy(String(op.attrs['callee']), inside);
    return {
      ...op,
      attrs: { ...op.attrs, callee, ...(path !== '' && selected.includes(path) && { checkpoint: true }) },
    };
  };
  const name = copy(func, [...new Set(paths)].sort());
  return { module: { funcs }, func: name };
}

function free(name: string, funcs: ReadonlyMap<string, Func>): string {
  let made = name;
  for (let n = 1; funcs.has(made); n++) made = `${name}.${n}`;
  return made;
}
