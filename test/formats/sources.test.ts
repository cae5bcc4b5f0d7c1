/** Every kind of source gives what memory gives, of every file of the corpus; ranges are what is read, and nothing more. */
import test from 'ava';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CheckpointError,
  FileError,
  openWeights,
  type BlockStore,
  type CheckpointFile,
} from '../../src/runtime/index.ts';
import { fileSource } from '../../src/runtime/node/file-source.ts';
import type { ByteSource } from '../../src/runtime/sources/source.ts';
import { badFiles, bytesOf, FOLDER, goodFiles, read, sha256 } from './corpus.ts';

const ONE_FILE = ['safetensors', 'torch-zip', 'torch-legacy', 'npy', 'npz', 'gguf'];

/** What a file gives, or how it is refused. */
async function outcome(open: () => Promise<CheckpointFile>): Promise<unknown> {
  let file: CheckpointFile | null = null;
  try {
    file = await open();
    const tensors: unknown[] = [];
    for (const [name, x] of file.tensors) tensors.push([name, x.dtype, x.shape, sha256(await x.bytes())]);
    return { format: file.format, metadata: [...file.metadata], tensors };
  } catch (e) {
    if (!(e instanceof CheckpointError)) throw e;
    return [e.offset, e.message.replace(/^.*?: at/, 'at')];
  } finally {
    await file?.close();
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse, bytes: Uint8Array) => void;

const rangeOf = (request: IncomingMessage, size: number): [number, number] | null => {
  const m = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  return m && Number(m[1]) < size ? [Number(m[1]), Math.min(Number(m[2]) + 1, size)] : null;
};

const ranges: Handler = (request, response, bytes) => {
  const range = rangeOf(request, bytes.length);
  if (!range) return void response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  const [from, to] = range;
  response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}`, etag: '"1"' });
  response.end(bytes.subarray(from, to));
};

/** Serves the corpus, or the bytes that it is given. */
async function serve(
  handler: Handler,
  use: (address: string, log: string[]) => Promise<void>,
  bytes?: Uint8Array,
): Promise<void> {
  const log: string[] = [];
  const server: Server = createServer((request, response) => {
    log.push(request.headers.range ?? request.method ?? '');
    handler(request, response, bytes ?? bytesOf(decodeURIComponent(request.url!.slice(1))));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, log);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('files, Blobs and servers give what memory gives, and refuse what memory refuses', async (t) => {
  const files = [
    ...goodFiles(...ONE_FILE).map((f) => `good/${f.file}`),
    ...badFiles(...ONE_FILE).map((f) => `bad/${f.file}`),
  ];
  await serve(ranges, async (address) => {
    for (const name of files) {
      const bytes = bytesOf(name);
      const want = await outcome(() => read(bytes, 'f'));
      const started = performance.now();
      t.deepEqual(await outcome(() => openWeights(`${FOLDER}/${name}`)), want, name);
      t.deepEqual(await outcome(() => openWeights(new Blob([bytes as Uint8Array<ArrayBuffer>]))), want, name);
      t.deepEqual(await outcome(() => openWeights(new URL(encodeURI(name), `${address}/`))), want, name);
      t.true(performance.now() - started < 3000, name);
    }
  });
});

test('shards are read beside their index, from a folder, a server and picked files', async (t) => {
  const folder = 'good/sharded_tied';
  const index = `${folder}/model.safetensors.index.json`;
  const want = await outcome(() => openWeights(`${FOLDER}/${index}`));
  t.true(JSON.stringify(want).includes('wte'));
  await serve(ranges, async (address) => {
    t.deepEqual(await outcome(() => openWeights(`${address}/${index}`)), want);
  });
  const { weight_map: map } = JSON.parse(readFileSync(`${FOLDER}/${index}`, 'utf8')) as {
    weight_map: Record<string, string>;
  };
  const picked = ['model.safetensors.index.json', ...new Set(Object.values(map))].map(
    (n) => new File([bytesOf(`${folder}/${n}`) as Uint8Array<ArrayBuffer>], n),
  );
  t.deepEqual(await outcome(() => openWeights(picked)), want);
  await t.throwsAsync(openWeights(picked.slice(0, 2)), { instanceOf: CheckpointError, message: /not among the files/ });
});

/** How many bytes are read through a source. */
function counted(source: ByteSource): ByteSource & { bytes: number } {
  return {
    ...source,
    bytes: 0,
    read(offset, length) {
      this.bytes += length;
      return source.read(offset, length);
    },
  };
}

test('of a file of 4 GB one tensor is read, and no more', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-large-'));
  try {
    const path = join(folder, 'large.safetensors');
    const half = 2_100_000_000;
    const entries: Record<string, unknown> = {
      a: { dtype: 'U8', shape: [half], data_offsets: [0, half] },
      small: { dtype: 'F32', shape: [2], data_offsets: [half, half + 8] },
      b: { dtype: 'U8', shape: [half], data_offsets: [half + 8, 2 * half + 8] },
    };
    const header = Buffer.from(JSON.stringify(entries));
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(header.length));
    // Sparse: the file system keeps no zeros.
    const file = openSync(path, 'w');
    ftruncateSync(file, 8 + header.length + 2 * half + 8);
    writeSync(file, Buffer.concat([head, header]), 0, null, 0);
    writeSync(file, Buffer.from(Float32Array.of(3, 4).buffer), 0, null, 8 + header.length + half);
    closeSync(file);
    const source = counted(await fileSource(path));
    const opened = await openWeights(source);
    t.deepEqual([...new Float32Array((await opened.tensors.get('small')!.bytes()).slice().buffer)], [3, 4]);
    t.true(source.bytes < 200_000, `${source.bytes} bytes were read`);
    await opened.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const ARCHIVE = 'good/pt_state_dict.pth';

test('a server without ranges sends the file once, with progress', async (t) => {
  const whole: Handler = (_, response, bytes) =>
    void response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  const want = await outcome(() => read(bytesOf(ARCHIVE)));
  await serve(whole, async (address, log) => {
    const seen: number[] = [];
    const open = () =>
      openWeights(`${address}/${ARCHIVE}`, { onProgress: ({ received, size }) => seen.push(received / size) });
    t.deepEqual(await outcome(open), want);
    t.is(log.length, 1);
    t.is(seen.at(-1), 1);
  });
});

test('a server without ranges and a file beyond all memory are refused before anything comes', async (t) => {
  const whole: Handler = (_, response) => void response.writeHead(200, { 'content-length': 5e9 }).write('x');
  await serve(whole, async (address) => {
    await t.throwsAsync(openWeights(`${address}/${ARCHIVE}`), {
      instanceOf: FileError,
      message: /knows no ranges.*5000000000/,
    });
  });
});

test('a transfer that breaks goes on where it stopped; one that always breaks is told', async (t) => {
  const bytes = new Uint8Array(300_000);
  const header = Buffer.from('{"a":{"dtype":"U8","shape":[299900],"data_offsets":[0,299900]}}'.padEnd(92));
  bytes[0] = header.length;
  bytes.set(header, 8);
  for (let i = 100; i < bytes.length; i++) bytes[i] = i % 251;
  let breaks = 2;
  const broken: Handler = (request, response) => {
    const [from, to] = rangeOf(request, bytes.length)!;
    response.writeHead(206, {
      'content-range': `bytes ${from}-${to - 1}/${bytes.length}`,
      'content-length': to - from,
    });
    if (to - from < 100_000 || breaks-- <= 0) return void response.end(bytes.subarray(from, to));
    response.write(bytes.subarray(from, from + 70_000), () => response.destroy());
  };
  await serve(
    broken,
    async (address) => {
      const file = await openWeights(`${address}/x`);
      t.is(sha256(await file.tensors.get('a')!.bytes()), sha256(bytes.subarray(100)));
    },
    bytes,
  );
  const never: Handler = (request, response) => {
    const [from, to] = rangeOf(request, bytes.length)!;
    response.writeHead(206, {
      'content-range': `bytes ${from}-${to - 1}/${bytes.length}`,
      'content-length': to - from,
    });
    if (from === 0) return void response.end(bytes.subarray(from, to));
    response.write(bytes.subarray(from, from + 10), () => response.destroy());
  };
  await serve(
    never,
    async (address) => {
      const file = await openWeights(`${address}/x`);
      await t.throwsAsync(file.tensors.get('a')!.bytes(), { instanceOf: FileError, message: /broke off 4 times/ });
    },
    bytes,
  );
});

test('a file that changes on the server, is not there, or is on no server, is told as such', async (t) => {
  let version = 0;
  const changing: Handler = (request, response, bytes) => {
    const [from, to] = rangeOf(request, bytes.length)!;
    const etag = `"${version++}"`;
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}`, etag });
    response.end(bytes.subarray(from, to));
  };
  const large = new Uint8Array(200_000);
  large.set(Buffer.from('{"a":{"dtype":"U8","shape":[199900],"data_offsets":[0,199900]}}'.padEnd(92)), 8);
  large[0] = 92;
  await serve(
    changing,
    async (address) => {
      const file = await openWeights(`${address}/x`);
      await t.throwsAsync(file.tensors.get('a')!.bytes(), { instanceOf: FileError, message: /changed on the server/ });
    },
    large,
  );
  const gone: Handler = (_, response) => void response.writeHead(404).end();
  await serve(gone, async (address) => {
    await t.throwsAsync(openWeights(`${address}/${ARCHIVE}`), { instanceOf: FileError, message: /answers 404/ });
  });
  await t.throwsAsync(openWeights('http://127.0.0.1:1/x'), { instanceOf: FileError, message: /does not answer/ });
});

test('a small tensor of a large file on a server is a small transfer; a cache asks for nothing twice', async (t) => {
  const bytes = new Uint8Array(20_000_000);
  const n = bytes.length - 200 - 8;
  const entries = {
    a: { dtype: 'U8', shape: [n], data_offsets: [0, n] },
    b: { dtype: 'F32', shape: [2], data_offsets: [n, n + 8] },
  };
  bytes.set(Buffer.from(JSON.stringify(entries).padEnd(192)), 8);
  bytes[0] = 192;
  bytes.set(new Uint8Array(Float32Array.of(5, 6).buffer), bytes.length - 8);
  const kept = new Map<string, Map<number, Uint8Array>>();
  const cache = {
    async open(address: string, version: string): Promise<BlockStore> {
      const blocks = kept.get(address + version) ?? new Map<number, Uint8Array>();
      kept.set(address + version, blocks);
      return { get: async (i) => blocks.get(i) ?? null, put: async (i, b) => void blocks.set(i, b) };
    },
  };
  await serve(
    ranges,
    async (address, log) => {
      const url = `${address}/x`;
      const small = async (options = {}): Promise<number[]> => {
        const file = await openWeights(url, options);
        return [...new Float32Array((await file.tensors.get('b')!.bytes()).slice().buffer)];
      };
      let received = 0;
      t.deepEqual(await small({ onProgress: (p: { received: number }) => (received = p.received) }), [5, 6]);
      t.true(received <= 2 * 65536 && log.length === 2, `${received} bytes in ${log.length} requests`);
      t.deepEqual(await small({ cache }), [5, 6]);
      const before = log.length;
      t.deepEqual(await small({ cache }), [5, 6]);
      // The first answer says which version the server has.
      t.is(log.length, before + 1);
      const file = await openWeights(url, { cache });
      t.is(sha256(await file.tensors.get('a')!.bytes()), sha256(bytes.subarray(200, 200 + n)));
    },
    bytes,
  );
});
