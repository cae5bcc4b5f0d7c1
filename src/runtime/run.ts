/**
 * A training run as a file: weights, buffers, constants, optimizer state, hyper-parameters and position, so that a resumed
 * run takes the same steps bit for bit. Tensors go by their canonical names, never as arenas: a run outlives changes of
 * layout. What is no tensor is in the metadata.
 */
import type { TensorEntry } from './artifact.ts';
import { encode, widthOf } from './elem.ts';
import { CheckpointError } from './errors.ts';
import type { Model } from './model.ts';
import { runNumbers } from './run-numbers.ts';
import { readSafetensorsFile } from './formats/safetensors-file.ts';
import { writeSafetensors } from './safetensors.ts';
import { fromStored, toStored } from './stored.ts';
import { windowOf, type Storage } from './storage.ts';
import { Tensor } from './tensor.ts';
import { isRun, RUN_KIND } from './weights.ts';

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

export interface LoadedRun {
  readonly position: RunPosition;
  /** Why what follows may differ in bits from the run that was never stopped; none where it does not. */
  readonly warnings: readonly string[];
}

const NUMBERS = ['epoch', 'batch', 'seed'] as const;

/** A run as a file, in pieces, for `writeFileAtomic`. */
export async function runToBytes(model: Model, position: RunPosition): Promise<Uint8Array[]> {
  const tensors = new Map(
    await Promise.all(
      [...pieces(model, model.microbatch > 0)].map(
        async ({ name, live, stored }) => [name, await toStored(live, stored)] as const,
      ),
    ),
  );
  const metadata = new Map([
    ['kind', RUN_KIND],
    ['backend', backendIdentity(model)],
    // JavaScript prints the shortest decimal that reads back as the same number.
    ...runNumbers(model).map((n): [string, string] => [n.key, String(n.value)]),
    ...NUMBERS.map((k): [string, string] => [k, String(position[k])]),
    ...Object.entries(position.extra).map(([k, v]): [string, string] => [`extra.${k}`, v]),
  ]);
  return writeSafetensors(tensors, metadata);
}

/** Target, numeric features and program: what must agree for bit-identical numbers. */
export function backendIdentity({ device, artifact }: Model): string {
  const machine = device.kind === 'native' ? artifact.native?.machine : undefined;
  const written = machine ? `-x${machine.lanes}${machine.dot ? '-bf16' : ''}` : '';
  return `${device.name}-${device.numerics}${written}/${artifact.hash}`;
}

/**
 * Puts a model where the run was. Throws CheckpointError, with the model unchanged, where the file is damaged or of another network.
 */
export function loadRun(model: Model, bytes: Uint8Array, file = ''): LoadedRun {
  const { tensors, metadata } = readSafetensorsFile(bytes, file);
  if (!isRun({ metadata })) throw new CheckpointError(file, 'this holds weights only, not a training run');
  const number = (key: string, whole = true): number => {
    const text = metadata.get(key);
    const value = Number(text);
    if (text !== undefined && text !== '' && (whole ? Number.isSafeInteger(value) && value >= 0 : !Number.isNaN(value)))
      return value;
    throw new CheckpointError(file, `its ${key} is ${text ?? 'missing'}, no ${whole ? 'whole number' : 'number'}`);
  };
  const [epoch = 0, batch = 0, seed = 0] = NUMBERS.map((k) => number(k));
  const wrong: string[] = [];
  const known = new Set<string>();
  const ready: (readonly [Storage, Uint8Array])[] = [];
  for (const { name, live } of pieces(model, metadata.get('microbatch') !== '0')) {
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

  const numbers = runNumbers(model).map((n) => ({ ...n, value: number(n.key, n.whole) }));

  for (const [storage, content] of ready) storage.write(0, content);
  for (const n of numbers) n.restore(n.value);
  const [there, here] = [metadata.get('backend'), backendIdentity(model)];
  const warnings =
    there === here ? [] : [`the run was made on ${there}, this is ${here}: the numbers will not be bit-identical`];
  const extra = Object.fromEntries(
    [...metadata].flatMap(([k, v]) => (k.startsWith('extra.') ? [[k.slice(6), v]] : [])),
  );
  return { position: { step: model.step, epoch, batch, seed, extra }, warnings };
}

/** One tensor of a run, live in the model. */
interface Piece {
  readonly name: string;
  readonly live: Tensor;
  readonly stored: 'i64' | null;
}

/**
 * Weights under their own names, so that a run can be read as weights; constants and what training keeps beside them. Sums
 * of gradients only where an update is `pending`: after one they are of no use.
 */
function* pieces(model: Model, pending: boolean): Generator<Piece> {
  const { artifact } = model;
  const live = new Map([...model.named_parameters(), ...model.named_buffers(), ...model.named_constants()]);
  for (const t of artifact.tensors) {
    yield { name: t.role === 'const' ? `constant/${t.name}` : t.name, live: live.get(t.name)!.data, stored: t.stored };
  }
  const state = model.trainState();
  for (const [g, group] of (artifact.train?.groups ?? []).entries()) {
    const members = artifact.tensors.filter((t) => t.segment === group.segment);
    const length = artifact.segments.find((s) => s.name === group.segment)!.length;
    const like = (whole: Tensor, name: string): Piece[] =>
      members.map((t) => ({ name: `${name}/${t.name}`, live: stateOf(whole, t), stored: null }));
    for (const segment of group.state) {
      const whole = state.get(segment)!;
      const name = `optimizer/${segment.split('.').slice(2).join('.')}`; // state.<group>.<name>
      if (whole.size !== length) yield { name: `${name}/group${g}`, live: whole, stored: null };
      else yield* like(whole, name);
    }
    if (group.ema !== null) yield* like(state.get(group.ema)!, 'ema');
    if (group.accumulated !== null && pending) yield* like(state.get(group.accumulated)!, 'accumulated');
  }
  for (const [name, whole] of state) {
    if (name.startsWith('run.')) yield { name: `run/${name.slice(4)}`, live: whole, stored: null };
  }
}

/** The state that belongs to one parameter: its range of the segment, in its shape. */
function stateOf(whole: Tensor, t: TensorEntry): Tensor {
  return new Tensor(whole.dtype, t.shape, windowOf(whole.storage, t.offset * widthOf(whole.dtype)), whole.device);
}
