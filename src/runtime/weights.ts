/** Weights and training runs as safetensors: what a model holds to bytes and back. */
import type { Elem } from './artifact.ts';
import { encode, decode } from './elem.ts';
import { CheckpointError } from './errors.ts';
import type { Model } from './model.ts';
import {
  readSafetensors,
  writeSafetensors,
  type SafetensorsFile,
  type StoredTensor,
  type TensorBytes,
} from './safetensors.ts';
import { Tensor, tensor } from './tensor.ts';

const NAMES: Readonly<Record<Elem, string>> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  u32: 'U32',
  bool: 'BOOL',
};

/**
 * The state dict as a file, in pieces. Tied names are written once, under the first name; each dropped name stands in the
 * metadata with the name that it equals, as Hugging Face's writer does. PyTorch's keys and shapes.
 */
export function weightsToBytes(model: Model, metadata: ReadonlyMap<string, string> = new Map()): Uint8Array[] {
  const tensors = new Map<string, TensorBytes>();
  const first = new Map<string, string>();
  const notes = new Map([['format', 'pt'], ...metadata]);
  const state = model.state_dict();
  for (const e of model.artifact.stateDict) {
    const info = model.artifact.tensors[e.tensor]!;
    const id = `${e.tensor} ${e.transposed}`;
    const kept = first.get(id);
    if (kept !== undefined) notes.set(e.name, kept);
    else {
      first.set(id, e.name);
      tensors.set(e.name, toStored(state.get(e.name)!, info.stored));
    }
  }
  return writeSafetensors(tensors, notes);
}

function toStored(t: Tensor, stored: 'i64' | null): TensorBytes {
  const { shape } = t;
  if (stored === 'i64') {
    const wide = BigInt64Array.from(t.readSync() as Int32Array, BigInt);
    return { dtype: 'I64', shape, bytes: new Uint8Array(wide.buffer) };
  }
  if (t.dtype === 'bool') return { dtype: 'BOOL', shape, bytes: Uint8Array.from(t.readSync()) };
  return { dtype: NAMES[t.dtype], shape, bytes: t.storage.read(0, t.nbytes).slice() };
}

/** Every tensor of a file, names dropped for ties included; element types that the runtime has, 64-bit ones narrowed. */
export function tensorsFromBytes(bytes: Uint8Array, file = ''): Map<string, Tensor> {
  const read = readSafetensors(bytes, file);
  const out = new Map<string, Tensor>();
  for (const [name, t] of read.tensors) out.set(name, fromStored(bytes, t, name, file));
  for (const [dropped, kept] of read.metadata) {
    const t = out.get(kept);
    if (t && !out.has(dropped)) out.set(dropped, t);
  }
  return out;
}

function fromStored(bytes: Uint8Array, t: StoredTensor, name: string, file: string): Tensor {
  const raw = bytes.slice(t.start, t.end);
  const { shape } = t;
  switch (t.dtype) {
    case 'F32':
      return tensor(new Float32Array(raw.buffer), { shape });
    case 'F64':
      return tensor(new Float64Array(raw.buffer), { shape });
    case 'I32':
      return tensor(new Int32Array(raw.buffer), { shape });
    case 'U32':
      return tensor(new Uint32Array(raw.buffer), { shape, dtype: 'u32' });
    case 'I64':
      return tensor(new BigInt64Array(raw.buffer), { shape });
    case 'BOOL':
      return tensor(raw, { shape, dtype: 'bool' });
    case 'U8':
      return tensor(raw, { shape });
    case 'F16':
      return tensor(decode(raw, 'f16'), { shape, dtype: 'f16' });
    case 'BF16':
      return tensor(decode(raw, 'bf16'), { shape, dtype: 'bf16' });
    default:
      throw new CheckpointError(file, `${JSON.stringify(name)} is ${t.dtype}, which no parameter can hold`);
  }
}

/** Loads weights by name. Nothing is changed unless all of it fits (or `strict` is false: see `load_state_dict`). */
export function loadWeights(
  model: Model,
  bytes: Uint8Array,
  options: { readonly strict?: boolean; readonly file?: string } = {},
): { missing_keys: string[]; unexpected_keys: string[] } {
  const file = options.file ?? '';
  const given = tensorsFromBytes(bytes, file);
  try {
    return model.load_state_dict(given, options);
  } catch (e) {
    throw e instanceof Error ? new CheckpointError(file, e.message) : e;
  }
}

/** Where a run stands, beside the tensors. */
export interface RunPosition {
  readonly step: number;
  readonly epoch: number;
  /** Batches of the epoch that are done. */
  readonly batch: number;
  readonly seed: number;
  /** Whatever the loop wants back: options, best metric. */
  readonly extra: Readonly<Record<string, string>>;
}

const PREFIX = { state: 'optimizer/', constant: 'constant/' } as const;
const KIND = 'netwright-run';

/** A run as a file: weights, constants, optimizer state, position; program hash and backend identity as metadata. */
export function runToBytes(model: Model, position: RunPosition): Uint8Array[] {
  const tensors = new Map<string, TensorBytes>();
  for (const p of [...model.named_parameters(), ...model.named_buffers()]) tensors.set(p[0], toStored(p[1].data, null));
  for (const [name, p] of model.named_constants()) tensors.set(PREFIX.constant + name, toStored(p.data, null));
  for (const [name, t] of model.optimizerState()) tensors.set(PREFIX.state + name, toStored(t, null));
  const { extra, ...numbers } = position;
  const groups = JSON.stringify(model.optimizer?.groups ?? []);
  const metadata = new Map([
    ['kind', KIND],
    ['program', model.artifact.hash],
    ['backend', backendIdentity(model)],
    ['groups', groups],
    ...Object.entries(numbers).map(([k, v]): [string, string] => [k, String(v)]),
    ...Object.entries(extra).map(([k, v]): [string, string] => [`extra.${k}`, v]),
  ]);
  return writeSafetensors(tensors, metadata);
}

/** Target, numeric features and program: what must agree for bit-identical numbers. */
export const backendIdentity = (model: Model): string =>
  `${model.device.name}-wasm-${model.device.variant}/${model.artifact.hash}`;

/**
 * Restores a run exactly. `warnings` says why what follows may differ in bits from the run that was never stopped. Throws
 * CheckpointError, with the model unchanged, where the file is of another network.
 */
export function loadRun(model: Model, bytes: Uint8Array, file = ''): { position: RunPosition; warnings: string[] } {
  const read: SafetensorsFile = readSafetensors(bytes, file);
  const meta = read.metadata;
  if (meta.get('kind') !== KIND) throw new CheckpointError(file, 'this holds weights only, not a training run');
  const targets = new Map<string, Tensor>();
  for (const [name, p] of [...model.named_parameters(), ...model.named_buffers()]) targets.set(name, p.data);
  for (const [name, p] of model.named_constants()) targets.set(PREFIX.constant + name, p.data);
  for (const [name, t] of model.optimizerState()) targets.set(PREFIX.state + name, t);
  const wrong: string[] = [];
  for (const [name, t] of targets) {
    const s = read.tensors.get(name);
    if (!s) wrong.push(`it has no ${name}`);
    else if (s.shape.join() !== t.shape.join())
      wrong.push(`${name} is [${s.shape.join(', ')}] and must be [${t.shape.join(', ')}]`);
  }
  for (const name of read.tensors.keys()) if (!targets.has(name)) wrong.push(`${name} is not part of this network`);
  if (wrong.length > 0)
    throw new CheckpointError(file, `the run is of another network: ${wrong.slice(0, 5).join('; ')}`);
  const loaded = new Map(
    [...targets.keys()].map((name) => [name, fromStored(bytes, read.tensors.get(name)!, name, file)]),
  );
  for (const [name, t] of targets) t.storage.write(0, encode(loaded.get(name)!.readSync(), t.dtype));
  model.step = Number(meta.get('step'));
  (JSON.parse(meta.get('groups') ?? '[]') as Record<string, number>[]).forEach((g, i) => {
    const own = model.optimizer?.groups[i];
    if (own) for (const [k, v] of Object.entries(g)) if (Object.hasOwn(own, k)) own[k] = v;
  });
  const warnings: string[] = [];
  if (meta.get('backend') !== backendIdentity(model)) {
    warnings.push(
      `the run was made on ${meta.get('backend')}, this is ${backendIdentity(model)}: the numbers will not be bit-identical`,
    );
  }
  const extra = Object.fromEntries([...meta].flatMap(([k, v]) => (k.startsWith('extra.') ? [[k.slice(6), v]] : [])));
  const position = {
    step: model.step,
    epoch: Number(meta.get('epoch')),
    batch: Number(meta.get('batch')),
    seed: Number(meta.get('seed')),
    extra,
  };
  return { position, warnings };
}
