/**
 * A training run as a file: weights, buffers, constants, optimizer state, hyper-parameters and position, so that a resumed
 * run takes the same steps bit for bit. Tensors go by their canonical names, never as arenas: a run outlives changes of
 * layout. What is no tensor is in the metadata.
 */
import type { TensorEntry } from './artifact.ts';
import { encode, widthOf } from './elem.ts';
import { CheckpointError } from './errors.ts';
import type { Model } from './model.ts';
import { readSafetensorsFile } from './formats/safetensors-file.ts';
import { writeSafetensors } from './safetensors.ts';
import { windowOf, type Storage } from './storage.ts';
import { Tensor } from './tensor.ts';
import { fromStored, toStored } from './weights.ts';

/** Where a run stands, beside the tensors. */
export interface RunPosition {
  readonly step: number;
  readonly epoch: number;
  /** Batches of the epoch that are done. */
  readonly batch: number;
  /** Of the order of the data. */
  readonly seed: number;
  /** Whatever the loop wants back: options, best metric. */
  readonly extra: Readonly<Record<string, string>>;
}

const KIND = 'netwright-run';
const NUMBERS = ['step', 'epoch', 'batch', 'seed'] as const;

/** A run as a file, in pieces, for `writeFileAtomic`. */
export async function runToBytes(model: Model, position: RunPosition): Promise<Uint8Array[]> {
  const tensors = new Map(
    await Promise.all(
      [...pieces(model)].map(async ({ name, live, stored }) => [name, await toStored(live, stored)] as const),
    ),
  );
  const metadata = new Map([
    ['kind', KIND],
    ['backend', backendIdentity(model)],
    ['model_seed', String(model.seed)],
    // JavaScript prints the shortest decimal that reads back as the same number.
    ...(model.optimizer?.groups ?? []).flatMap((g, i) =>
      Object.entries(g).map(([k, v]): [string, string] => [`hyper.${i}.${k}`, String(v)]),
    ),
    ...NUMBERS.map((k): [string, string] => [k, String(position[k])]),
    ...Object.entries(position.extra).map(([k, v]): [string, string] => [`extra.${k}`, v]),
  ]);
  return writeSafetensors(tensors, metadata);
}

/** Target, numeric features and program: what must agree for bit-identical numbers. */
export const backendIdentity = (model: Model): string =>
  `${model.device.name}-${model.device.numerics}/${model.artifact.hash}`;

/**
 * Puts a model where the run was. `warnings` says why what follows may differ in bits from the run that was never stopped.
 * Throws CheckpointError, with the model unchanged, where the file is damaged or of another network.
 */
export function loadRun(model: Model, bytes: Uint8Array, file = ''): { position: RunPosition; warnings: string[] } {
  const { tensors, metadata } = readSafetensorsFile(bytes, file);
  if (metadata.get('kind') !== KIND) throw new CheckpointError(file, 'this holds weights only, not a training run');
  const number = (key: string): number => {
    const value = Number(metadata.get(key));
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new CheckpointError(file, `its ${key} is ${metadata.get(key) ?? 'missing'}, no whole number`);
  };
  const [step = 0, epoch = 0, batch = 0, seed = 0] = NUMBERS.map(number);
  const modelSeed = number('model_seed');

  const hyper = (model.optimizer?.groups ?? []).map((group, i) =>
    Object.fromEntries(
      Object.entries(group).map(([k, own]) => {
        const value = Number(metadata.get(`hyper.${i}.${k}`) ?? own);
        if (Number.isFinite(value)) return [k, value];
        throw new CheckpointError(file, `its ${k} is ${metadata.get(`hyper.${i}.${k}`)}, no number`);
      }),
    ),
  );

  const wrong: string[] = [];
  const known = new Set<string>();
  const ready: (readonly [Storage, Uint8Array])[] = [];
  for (const { name, live } of pieces(model)) {
    known.add(name);
    const s = tensors.get(name);
    const have = s?.shape.join(', ');
    if (!s) wrong.push(`it has no ${name}`);
    else if (have !== live.shape.join(', ')) wrong.push(`${name} is [${have}] and must be [${live.shape.join(', ')}]`);
    else ready.push([live.storage, encode(fromStored(s, name, file).readSync(), live.dtype)]);
  }
  for (const name of tensors.keys()) if (!known.has(name)) wrong.push(`${name} is not part of this network`);
  if (wrong.length > 0) {
    throw new CheckpointError(file, `the run is of another network or optimizer: ${wrong.slice(0, 5).join('; ')}`);
  }

  for (const [storage, content] of ready) storage.write(0, content);
  model.step = step;
  model.seed = modelSeed;
  hyper.forEach((values, i) => Object.assign(model.optimizer!.groups[i]!, values));
  const [there, here] = [metadata.get('backend'), backendIdentity(model)];
  const warnings =
    there === here ? [] : [`the run was made on ${there}, this is ${here}: the numbers will not be bit-identical`];
  const extra = Object.fromEntries(
    [...metadata].flatMap(([k, v]) => (k.startsWith('extra.') ? [[k.slice(6), v]] : [])),
  );
  return { position: { step, epoch, batch, seed, extra }, warnings };
}

/** One tensor of a run, live in the model. */
interface Piece {
  readonly name: string;
  readonly live: Tensor;
  readonly stored: 'i64' | null;
}

/** Weights under their own names, so that a run can be read as weights; constants and optimizer state beside them. */
function* pieces(model: Model): Generator<Piece> {
  const { artifact } = model;
  const live = new Map([...model.named_parameters(), ...model.named_buffers(), ...model.named_constants()]);
  for (const t of artifact.tensors) {
    yield { name: t.role === 'const' ? `constant/${t.name}` : t.name, live: live.get(t.name)!.data, stored: t.stored };
  }
  const state = model.optimizerState();
  for (const [g, group] of (artifact.train?.groups ?? []).entries()) {
    const members = artifact.tensors.filter((t) => t.segment === group.segment);
    const length = artifact.segments.find((s) => s.name === group.segment)!.length;
    for (const segment of group.state) {
      const whole = state.get(segment)!;
      const name = `optimizer/${segment.split('.').slice(2).join('.')}`; // state.<group>.<name>
      if (whole.size !== length) yield { name: `${name}/group${g}`, live: whole, stored: null };
      else for (const t of members) yield { name: `${name}/${t.name}`, live: stateOf(whole, t), stored: null };
    }
  }
}

/** The state that belongs to one parameter: its range of the segment, in its shape. */
function stateOf(whole: Tensor, t: TensorEntry): Tensor {
  return new Tensor(whole.dtype, t.shape, windowOf(whole.storage, t.offset * widthOf(whole.dtype)), whole.device);
}
