/** Weights to and from files: a model's state dict with PyTorch's names and element types. */
import type { Weights } from './ema.ts';
import { CheckpointError, DTypeError, UsageError } from './errors.ts';
import type { CheckpointFile, FileTensor } from './formats/checkpoint.ts';
import { writeSafetensors } from './safetensors.ts';
import { openSource, type OpenOptions, type ReadFrom } from './sources/open.ts';
import { assign, compareKeys, type KeyReport } from './state-dict.ts';
import { inPlace } from './in-place.ts';
import { inMemory, readOne, toStored } from './stored.ts';
import type { Tensor } from './tensor.ts';

/**
 * The state dict as a file, in pieces. Tied names are written once, under the first name; each dropped name stands in the
 * metadata with the name that it equals, as Hugging Face's writer does. PyTorch's keys and shapes.
 */
export async function weightsToBytes(
  model: Weights,
  metadata: ReadonlyMap<string, string> = new Map(),
): Promise<Uint8Array[]> {
  const { tensors, notes } = savedOnce(model, metadata);
  const read = [...tensors].map(async ([name, { data, stored }]) => [name, await toStored(data, stored)] as const);
  return writeSafetensors(new Map(await Promise.all(read)), notes);
}

/** The same at once, as views of the model's memory; null where a device has to be waited for. */
export function weightsNow(model: Weights): Uint8Array[] | null {
  const { tensors, notes } = savedOnce(model, new Map());
  if ([...tensors.values()].some(({ data }) => !data.storage.visible)) return null;
  return writeSafetensors(new Map([...tensors].map(([name, t]) => [name, inMemory(t.data, t.stored)])), notes);
}

interface SavedOnce {
  readonly tensors: ReadonlyMap<string, { readonly data: Tensor; readonly stored: 'i64' | null }>;
  readonly notes: ReadonlyMap<string, string>;
}

function savedOnce(model: Weights, metadata: ReadonlyMap<string, string>): SavedOnce {
  const tensors = new Map<string, { data: Tensor; stored: 'i64' | null }>();
  const first = new Map<string, string>();
  const notes = new Map([['format', 'pt'], ...metadata]);
  const state = model.state_dict();
  for (const e of model.artifact.stateDict) {
    const id = `${e.tensor} ${e.transposed}`;
    const kept = first.get(id);
    if (kept !== undefined) notes.set(e.name, kept);
    else {
      first.set(id, e.name);
      tensors.set(e.name, { data: state.get(e.name)!, stored: model.artifact.tensors[e.tensor]!.stored });
    }
  }
  return { tensors, notes };
}

/**
 * Opens a file of weights of any format, by its content: the header is read now, tensors when their `bytes()` are asked for.
 * Close it when all has been read. Throws CheckpointError for what is damaged, FileError for what cannot be read.
 */
export async function openWeights(from: ReadFrom, options: OpenOptions = {}): Promise<CheckpointFile> {
  const [{ openCheckpoint }, opened] = await Promise.all([import('./formats/read.ts'), openSource(from, options)]);
  return openCheckpoint(opened.source, opened.beside);
}

/** Every tensor of a file, of the nearest element type that the runtime has; names dropped for ties included. */
export async function readTensors(
  from: ReadFrom | CheckpointFile,
  options: OpenOptions = {},
): Promise<Map<string, Tensor>> {
  return using(from, options, (file) => readAll(withTies(file), file.file));
}

async function using<T>(
  from: ReadFrom | CheckpointFile,
  options: OpenOptions,
  use: (file: CheckpointFile) => Promise<T>,
): Promise<T> {
  if (isOpen(from)) return use(from);
  const file = await openWeights(from, options);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

const isOpen = (from: ReadFrom | CheckpointFile): from is CheckpointFile =>
  typeof from === 'object' && 'tensors' in from && 'format' in from;

/** A server takes its time for each answer. */
const AT_ONCE = 4;

async function readAll(tensors: ReadonlyMap<string, FileTensor>, file: string): Promise<Map<string, Tensor>> {
  const made = await readEach(tensors, file);
  return new Map([...tensors].map(([name, t]) => [name, made.get(t)!]));
}

/** A tensor that stands under several names is read once, and is one. */
export async function readEach(
  tensors: ReadonlyMap<string, FileTensor>,
  file: string,
): Promise<Map<FileTensor, Tensor>> {
  const made = new Map<FileTensor, Tensor>();
  const next = new Map([...tensors].map(([name, t]) => [t, name])).entries();
  const worker = async (): Promise<void> => {
    for (const [t, name] of next) made.set(t, await readOne(t, name, file));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return made;
}

/** The tensors, names dropped for ties included: the same object under both names. */
export function withTies({ tensors, metadata }: Pick<CheckpointFile, 'tensors' | 'metadata'>): Map<string, FileTensor> {
  const out = new Map(tensors);
  for (const [dropped, kept] of metadata) {
    const t = tensors.get(kept);
    if (t && !out.has(dropped)) out.set(dropped, t);
  }
  return out;
}

/**
 * Files hold more than weights: `{"model": ..., "optimizer": ...}`, and `module.` before every name. Where the model's own
 * names are not there, and all of them are under one other name, that part is meant.
 */
function partFor<T>(given: ReadonlyMap<string, T>, names: readonly string[]): ReadonlyMap<string, T> {
  const [first] = names;
  if (first === undefined || names.some((n) => given.has(n))) return given;
  const prefixes = [...given.keys()]
    .filter((n) => n.endsWith(`.${first}`))
    .map((n) => n.slice(0, -first.length))
    .filter((prefix) => names.every((n) => given.has(prefix + n)));
  const [prefix, another] = prefixes;
  if (prefix === undefined || another !== undefined) return given;
  return new Map([...given].flatMap(([n, t]) => (n.startsWith(prefix) ? [[n.slice(prefix.length), t] as const] : [])));
}

/** What the metadata of a training run say it is. */
export const RUN_KIND = 'netwright-run';
/** Names of what a run holds beside weights begin so; weights stand under their canonical names. */
const BESIDE = /^(constant|optimizer|ema|accumulated|run)\//;

export const isRun = (file: Pick<CheckpointFile, 'metadata'>): boolean => file.metadata.get('kind') === RUN_KIND;

/** What of a file may be the model's, and the model's tensors by the names that such a file has. */
function sides(model: Weights, file: CheckpointFile): [ReadonlyMap<string, Tensor>, ReadonlyMap<string, FileTensor>] {
  const own = model.state_dict();
  if (!isRun(file)) return [own, partFor(withTies(file), [...own.keys()])];
  const canonical = new Set(model.artifact.tensors.map((t) => t.name));
  return [
    new Map([...own].filter(([name]) => canonical.has(name))),
    new Map([...file.tensors].filter(([name]) => !BESIDE.test(name))),
  ];
}

/**
 * Loads weights by name from a file of any format; of a training run, its weights. Names and shapes are compared before any tensor is read; nothing is
 * changed unless all of it fits (or `strict` is false: see `load_state_dict`), and no tensor is read that the model lacks.
 */
export async function loadWeights(
  model: Weights,
  from: ReadFrom | CheckpointFile,
  options: OpenOptions & { readonly strict?: boolean } = {},
): Promise<KeyReport> {
  return using(from, options, async (read) => {
    const { file } = read;
    const [own, part] = sides(model, read);
    try {
      const report = compareKeys(model.artifact.name, own, part, options.strict ?? true);
      const { rest, put } = await inPlace(own, part);
      assign(own, await readAll(rest, file));
      put();
      return report;
    } catch (e) {
      throw e instanceof UsageError || e instanceof DTypeError ? new CheckpointError(file, e.message) : e;
    }
  });
}
