/** Names for the tensors of a saved object: the path of keys and indices that leads to each. */
import { CheckpointError } from '../errors.ts';
import { PyDict, PySet, PyTuple, type PyValue } from './pickle-values.ts';
import { TorchTensor } from './torch-tensor.ts';

export interface NamedTensor {
  /** Keys and indices; a key may have dots of its own. */
  readonly path: readonly string[];
  /** The path with dots: PyTorch's own name for what is in a state dict. */
  readonly name: string;
  readonly tensor: TorchTensor;
}

/** Deeper than any checkpoint, and shallow enough for the stack. */
const MAX_DEPTH = 200;
/** Containers may be shared, so the paths of a small file can be more than any memory holds. */
const MAX_WORK = 1 << 22;

/** `at` is where the object starts in the file, for messages. */
export function namedTensors(root: PyValue, file: string, at: number): NamedTensor[] {
  const out: NamedTensor[] = [];
  const holding = new Map<object, boolean>();
  const fail = (what: string): never => {
    throw new CheckpointError(file, what, at);
  };

  /** Whether a tensor is inside; each container is looked into once, and a cycle is not followed. */
  const holds = (v: PyValue, depth: number): boolean => {
    if (v instanceof TorchTensor) return true;
    const inside = children(v);
    if (!inside) return false;
    const known = holding.get(v as object);
    if (known !== undefined) return known;
    if (depth > MAX_DEPTH) return fail(`its object is nested more than ${MAX_DEPTH} deep`);
    holding.set(v as object, false);
    let any = false;
    for (const [, child] of inside) any = holds(child, depth + 1) || any;
    holding.set(v as object, any);
    return any;
  };

  let work = 0;
  const spend = (n: number): void => {
    work += n;
    if (work > MAX_WORK) fail('its tensors have more names than are read: the same containers come again and again');
  };
  const open = new Set<object>();
  const visit = (v: PyValue, path: readonly string[]): void => {
    if (!holds(v, 0)) return;
    if (v instanceof TorchTensor) {
      spend(path.reduce((n, key) => n + key.length / 8, path.length));
      out.push({ path, name: path.join('.'), tensor: v });
      return;
    }
    const inside = children(v);
    if (!inside || open.has(v as object)) return;
    if (path.length > MAX_DEPTH) fail(`its object is nested more than ${MAX_DEPTH} deep`);
    open.add(v as object);
    for (const [key, child] of inside) {
      spend(1);
      visit(child, [...path, key]);
    }
    open.delete(v as object);
  };
  visit(root, []);
  return out;
}

/** What stands in a container, by its key or index; null where `v` is none. */
export function children(v: PyValue): Iterable<readonly [string, PyValue]> | null {
  if (Array.isArray(v)) return v.map((x, i) => [String(i), x] as const);
  if (v instanceof PyTuple) return v.items.map((x, i) => [String(i), x] as const);
  if (v instanceof PyDict) return [...v.entries()].map(([k, x]) => [keyText(k), x] as const);
  if (v instanceof PySet) return [...v.items()].map((x, i) => [String(i), x] as const);
  return null;
}

const keyText = (k: PyValue): string =>
  k instanceof PyTuple ? `(${k.items.map(keyText).join(', ')})` : k instanceof Uint8Array ? `b${k.length}` : String(k);
