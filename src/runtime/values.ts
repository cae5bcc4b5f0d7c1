/** Tensors alone, in lists and in dictionaries, as files: what `torch.save` and `torch.load` are used for beside weights. */
import { CheckpointError, UsageError } from './errors.ts';
import { inFile, type CheckpointFile, type FileTensor } from './formats/checkpoint.ts';
import { PyDict, PySet, PyTuple, typeName, type PyValue } from './formats/pickle-values.ts';
import { TorchTensor } from './formats/torch-tensor.ts';
import type { TorchFile } from './formats/torch.ts';
import { torchTensor, writeTorch } from './formats/torch-write.ts';
import { formatOf, writeTensors } from './formats/write.ts';
import { JsonFault, parseJson, type Json } from './json.ts';
import { writeSafetensors } from './safetensors.ts';
import type { OpenOptions, ReadFrom } from './sources/open.ts';
import { Tensor } from './tensor.ts';
import { inMemory, toStored } from './stored.ts';
import { openWeights, readEach } from './weights.ts';

/** What can be saved: tensors, lists and dictionaries of them, to any depth, with plain values between. */
export type Saved =
  Tensor | number | bigint | string | boolean | null | readonly Saved[] | { readonly [key: string]: Saved };

const MAX_DEPTH = 100;
/** The note of a safetensors file that says how its tensors were nested. */
const NESTING = 'netwright.nesting';

/** What `savedPieces` gives, at once and as views of the tensors' memory; null where it has to be made. */
export function savedNow(path: string, value: Saved): Uint8Array[] | null {
  const paths = tensorsIn(value);
  if (!isSafetensors(path) || [...paths.keys()].some((t) => !t.storage.visible)) return null;
  const named = new Map([...paths].map(([t, name]) => [name, inMemory(t, null)]));
  return writeSafetensors(named, nestingNote(value, paths));
}

/** The file in pieces, by the ending of its name: `.pt` and `.pth` as PyTorch nests the same, anything else as safetensors. */
export async function savedPieces(path: string, value: Saved): Promise<AsyncIterable<Uint8Array>> {
  const format = formatOf(path) ?? 'safetensors';
  const paths = tensorsIn(value);
  const read = [...paths.keys()].map(async (t) => [t, inFile(await toStored(t, null))] as const);
  const stored = new Map(await Promise.all(read));
  if (format === 'torch') {
    const made = new Map([...stored].map(([t, f]) => [t, torchTensor(f)]));
    return writeTorch(toPython(value, made));
  }
  const named = new Map([...paths].map(([t, name]) => [name, stored.get(t)!]));
  if (format === 'safetensors') return writeTensors('safetensors', named, nestingNote(value, paths));
  const flat = isDict(value) && Object.values(value).every((v) => v instanceof Tensor);
  if (!flat && !(value instanceof Tensor))
    throw new UsageError(`${path} holds arrays by name and no nesting: save it as .pt or .safetensors`);
  return writeTensors(format, named);
}

/**
 * Reads back what `save` wrote, or PyTorch: the same nesting. Of files that tell none (safetensors of others, NumPy, GGUF), the
 * tensors by name. Throws CheckpointError for what is damaged or is neither a tensor nor a plain value.
 */
export async function load(from: ReadFrom, options: OpenOptions = {}): Promise<Saved> {
  const file = await openWeights(from, options);
  try {
    const tensors = await readEach(file.tensors, file.file);
    if (file.format === 'torch' || file.format === 'torch-legacy')
      return fromPython((file as TorchFile).root, tensors, file.file);
    const named = new Map([...file.tensors].map(([name, t]) => [name, tensors.get(t)!]));
    const note = file.metadata.get(NESTING);
    if (note !== undefined) return nested(note, named, file);
    return file.format === 'npy' ? named.get('')! : Object.fromEntries(named);
  } finally {
    await file.close();
  }
}

const isSafetensors = (path: string): boolean => (formatOf(path) ?? 'safetensors') === 'safetensors';

const nestingNote = (value: Saved, paths: ReadonlyMap<Tensor, string>): Map<string, string> =>
  new Map([[NESTING, JSON.stringify(nesting(value, paths))]]);

const isDict = (v: Saved): v is { readonly [key: string]: Saved } =>
  typeof v === 'object' && v !== null && !Array.isArray(v) && !(v instanceof Tensor);

/** Each tensor once, under the path that first leads to it. */
function tensorsIn(value: Saved): Map<Tensor, string> {
  const out = new Map<Tensor, string>();
  const taken = new Set<string>();
  const visit = (v: Saved, path: string, depth: number): void => {
    if (depth > MAX_DEPTH) throw new UsageError(`a value nested more than ${MAX_DEPTH} deep cannot be saved`);
    const below = (key: string): string => (path === '' ? key : `${path}.${key}`);
    if (v instanceof Tensor) {
      if (out.has(v)) return;
      const base = path === '' ? 'tensor' : path;
      let name = base;
      for (let i = 2; taken.has(name); i++) name = `${base}~${i}`;
      taken.add(name);
      out.set(v, name);
    } else if (Array.isArray(v)) v.forEach((x: Saved, i) => visit(x, below(String(i)), depth + 1));
    else if (isDict(v)) for (const [k, x] of Object.entries(v)) visit(x, below(k), depth + 1);
    else if (v !== null && !['number', 'bigint', 'string', 'boolean'].includes(typeof v))
      throw new UsageError(
        `${path || 'the value'} is ${typeof v}: tensors, lists, dictionaries and plain values can be saved`,
      );
  };
  visit(value, '', 0);
  return out;
}

function toPython(v: Saved, tensors: ReadonlyMap<Tensor, TorchTensor>): PyValue {
  if (v instanceof Tensor) return tensors.get(v)!;
  if (Array.isArray(v)) return v.map((x: Saved) => toPython(x, tensors));
  if (!isDict(v)) return v as number | bigint | string | boolean | null;
  const dict = new PyDict();
  for (const [k, x] of Object.entries(v)) dict.set(k, toPython(x, tensors));
  return dict;
}

function fromPython(root: PyValue, tensors: ReadonlyMap<FileTensor, Tensor>, file: string): Saved {
  // What is shared in the file is shared in memory: nesting that multiplies costs nothing.
  const known = new Map<object, Saved>();
  const refuse = (what: string): never => {
    throw new CheckpointError(file, what, 0);
  };
  const visit = (v: PyValue, depth: number): Saved => {
    if (v === null || typeof v !== 'object') return v;
    if (v instanceof TorchTensor) return tensors.get(v)!;
    if (depth > MAX_DEPTH) return refuse(`its object is nested more than ${MAX_DEPTH} deep`);
    const before = known.get(v);
    if (before !== undefined) return before;
    const all = (items: Iterable<PyValue>): Saved => [...items].map((x) => visit(x, depth + 1));
    let made: Saved;
    if (Array.isArray(v)) made = all(v);
    else if (v instanceof PyTuple) made = all(v.items);
    else if (v instanceof PySet) made = all(v.items());
    else if (v instanceof PyDict)
      made = Object.fromEntries([...v.entries()].map(([k, x]) => [String(visit(k, depth + 1)), visit(x, depth + 1)]));
    else return refuse(`it holds ${typeName(v)}, which is neither a tensor nor a plain value`);
    known.set(v, made);
    return made;
  };
  return visit(root, 0);
}

/** `["tensor", name]`, `["list", ...]`, `["dict", [key, value], ...]` or `["value", text]`: no key can be mistaken for a word. */
type Nesting = readonly [string, ...unknown[]];

function nesting(v: Saved, names: ReadonlyMap<Tensor, string>): Nesting {
  if (v instanceof Tensor) return ['tensor', names.get(v)!];
  if (Array.isArray(v)) return ['list', ...v.map((x: Saved) => nesting(x, names))];
  if (isDict(v)) return ['dict', ...Object.entries(v).map(([k, x]) => [k, nesting(x, names)])];
  return [v === null ? 'null' : typeof v, Object.is(v, -0) ? '-0' : String(v)];
}

function nested(note: string, tensors: ReadonlyMap<string, Tensor>, { file }: CheckpointFile): Saved {
  const refuse = (): never => {
    throw new CheckpointError(file, `its note ${NESTING} does not describe its tensors`, 8);
  };
  const visit = (v: Json | undefined): Saved => {
    if (!Array.isArray(v)) return refuse();
    const [kind, ...rest] = v as readonly Json[];
    if (kind === 'list') return rest.map(visit);
    if (kind === 'dict')
      return Object.fromEntries(
        rest.map((pair) => {
          const [key, value] = Array.isArray(pair) ? (pair as readonly Json[]) : refuse();
          return typeof key === 'string' ? [key, visit(value)] : refuse();
        }),
      );
    const [text] = rest;
    if (typeof text !== 'string') return refuse();
    switch (kind) {
      case 'tensor':
        return tensors.get(text) ?? refuse();
      case 'string':
        return text;
      case 'number':
        return Number(text);
      case 'bigint':
        return /^-?\d+$/.test(text) ? BigInt(text) : refuse();
      case 'boolean':
        return text === 'true';
      case 'null':
        return null;
      default:
        return refuse();
    }
  };
  let json: Json;
  try {
    json = parseJson(note);
  } catch (e) {
    if (e instanceof JsonFault) return refuse();
    throw e;
  }
  return visit(json);
}
