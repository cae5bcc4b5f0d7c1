/** The corpus of good and damaged files, with what the reference implementations read from them. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { CheckpointFile, FileTensor } from '../../src/runtime/formats/checkpoint.ts';
import { openCheckpoint } from '../../src/runtime/formats/read.ts';
import { bytesSource } from '../../src/runtime/sources/source.ts';

export const FOLDER = 'test/reference/checkpoints';

export interface ExpectedTensor {
  readonly name: string;
  readonly dtype?: string;
  readonly npdtype?: string;
  readonly shape: number[];
  readonly nbytes: number;
  readonly sha256?: string;
  readonly hex?: string;
  readonly hex_le_c?: string;
  readonly values?: readonly unknown[];
  readonly path?: readonly string[];
  readonly stride?: readonly number[];
  readonly storage_offset?: number;
  readonly requires_grad?: boolean;
  readonly parameter?: boolean;
}

export interface Expected {
  readonly file: string;
  readonly tree?: unknown;
  readonly metadata?: Readonly<Record<string, string>> | null;
  readonly tensors: readonly ExpectedTensor[];
  readonly shared_storage?: readonly (readonly string[])[];
}

export interface GoodFile {
  readonly file: string;
  readonly format: string;
  readonly expected: string;
  readonly note: string;
}

export interface BadFile {
  readonly file: string;
  readonly format: string;
  readonly expect: 'accept' | 'reject' | 'either';
  readonly why: string;
}

const json = (path: string): unknown => JSON.parse(readFileSync(`${FOLDER}/${path}`, 'utf8'));

export const goodFiles = (...formats: readonly string[]): GoodFile[] =>
  (json('good/manifest.json') as { files: GoodFile[] }).files.filter((f) => formats.includes(f.format));
export const badFiles = (...formats: readonly string[]): BadFile[] =>
  (json('bad/manifest.json') as { files: BadFile[] }).files.filter((f) => formats.includes(f.format));
export const expectedOf = (f: GoodFile): Expected => json(`good/${f.expected}`) as Expected;

/** Not in Buffer's pool: memory of its own, so that a read past the end cannot find another file. */
export function bytesOf(path: string): Uint8Array {
  return new Uint8Array(readFileSync(`${FOLDER}/${path}`)).slice();
}

export const read = (bytes: Uint8Array, file = ''): Promise<CheckpointFile> => openCheckpoint(bytesSource(bytes, file));

/** A file that is written, whole, in memory of its own. */
export async function collect(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const p of pieces) all.push(p);
  return new Uint8Array(Buffer.concat(all)).slice();
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Bytes as the expectation has them: in full where they are few, by hash otherwise. */
export async function sameBytes(got: FileTensor, want: ExpectedTensor): Promise<boolean> {
  const bytes = await got.bytes();
  const text = want.hex ?? want.hex_le_c;
  return (
    bytes.length === want.nbytes &&
    got.nbytes === want.nbytes &&
    (text === undefined || hex(bytes) === text) &&
    (want.sha256 === undefined || sha256(bytes) === want.sha256)
  );
}
