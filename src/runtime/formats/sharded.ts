/**
 * safetensors in several files with an index (`model.safetensors.index.json`), as Hugging Face writes large models. The
 * index names files beside itself and nothing else: no folders, no addresses.
 */
import { CheckpointError } from '../errors.ts';
import { JsonFault, parseJson, type Json } from '../json.ts';
import type { CheckpointFile, FileTensor } from './checkpoint.ts';
import { openSafetensors } from './safetensors-file.ts';
import { streamSafetensors } from '../safetensors.ts';
import type { ByteSource } from '../sources/source.ts';
import { quote } from './zip.ts';

export interface ShardIndex {
  /** Tensor to file. */
  readonly weights: ReadonlyMap<string, string>;
  /** The files, each once, in the order of their first tensor. */
  readonly shards: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors$/;

export function readIndex(bytes: Uint8Array, file = ''): ShardIndex {
  const fail = (what: string, at = 0): never => {
    throw new CheckpointError(file, what, at);
  };
  let json: Json;
  try {
    json = parseJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (e) {
    return e instanceof JsonFault ? fail(`the index is no JSON: ${e.message}`, e.at) : fail('the index is not UTF-8');
  }
  const map = json instanceof Map ? (json as ReadonlyMap<string, Json>).get('weight_map') : undefined;
  if (!(map instanceof Map)) return fail('the index has no object "weight_map"');
  const weights = new Map<string, string>();
  for (const [tensor, shard] of map as ReadonlyMap<string, Json>) {
    if (typeof shard !== 'string' || !NAME.test(shard) || shard.includes('..'))
      return fail(`${quote(tensor)} is said to be in ${quote(String(shard))}, which is no file beside the index`);
    weights.set(tensor, shard);
  }
  const metadata = new Map<string, string>();
  const notes = (json as ReadonlyMap<string, Json>).get('metadata');
  if (notes instanceof Map) {
    for (const [k, v] of notes as ReadonlyMap<string, Json>) if (typeof v !== 'object') metadata.set(k, String(v));
  }
  return { weights, shards: [...new Set(weights.values())], metadata };
}

/**
 * The whole, of an index and the files beside it, which `open` opens by their names. A tensor must be in the file that the
 * index says, and in no other.
 */
export async function openSharded(
  index: ShardIndex,
  open: (name: string) => Promise<ByteSource>,
  file = '',
): Promise<CheckpointFile> {
  const found = new Map<string, FileTensor>();
  const metadata = new Map(index.metadata);
  metadata.delete('total_size'); // of these files, not of the weights
  const opened: ByteSource[] = [];
  const close = async (): Promise<void> => void (await Promise.all(opened.map((s) => s.close())));
  try {
    for (const name of index.shards) {
      const source = await open(name);
      opened.push(source);
      const read = await openSafetensors(source);
      for (const [k, v] of read.metadata) metadata.set(k, v);
      for (const [tensor, t] of read.tensors) {
        if (index.weights.get(tensor) !== name)
          throw new CheckpointError(source.name, `${quote(tensor)} is here, and not by the index`, 0);
        found.set(tensor, t);
      }
    }
    for (const [tensor, name] of index.weights)
      if (!found.has(tensor)) throw new CheckpointError(file, `${quote(tensor)} is not in ${quote(name)}`, 0);
  } catch (e) {
    await close();
    throw e;
  }
  // The index has the order.
  const tensors = new Map([...index.weights.keys()].map((k) => [k, found.get(k)!]));
  return { format: 'safetensors', file, tensors, metadata, close };
}

/** Files of at most `limit` bytes of data each (a larger tensor has one alone), and the index, by their names. */
export function writeSharded(
  tensors: ReadonlyMap<string, FileTensor>,
  limit: number,
  metadata: ReadonlyMap<string, string> = new Map(),
): Map<string, AsyncIterable<Uint8Array>> {
  const groups: Map<string, FileTensor>[] = [new Map()];
  let size = 0;
  let total = 0;
  for (const [name, t] of tensors) {
    if (size > 0 && size + t.nbytes > limit) {
      groups.push(new Map());
      size = 0;
    }
    groups.at(-1)!.set(name, t);
    size += t.nbytes;
    total += t.nbytes;
  }
  const number = (i: number): string => String(i).padStart(5, '0');
  const out = new Map<string, AsyncIterable<Uint8Array>>();
  const entries: [string, string][] = [];
  groups.forEach((group, i) => {
    const file = `model-${number(i + 1)}-of-${number(groups.length)}.safetensors`;
    out.set(file, streamSafetensors(group, metadata));
    for (const name of group.keys()) entries.push([name, file]);
  });
  // Not through an object: a tensor may be called "__proto__".
  const map = entries.map(([k, v]) => `    ${JSON.stringify(k)}: ${JSON.stringify(v)}`).join(',\n');
  const text = `{\n  "metadata": { "total_size": ${total} },\n  "weight_map": {\n${map}\n  }\n}\n`;
  return out.set('model.safetensors.index.json', oneOf(new TextEncoder().encode(text)));
}

async function* oneOf(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  yield piece;
}
