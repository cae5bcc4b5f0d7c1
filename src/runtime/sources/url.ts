/** A resource of a server, read by HTTP ranges (RFC 9110, section 14): what is not asked for is not transferred. */
import { CheckpointError, FileError } from '../errors.ts';
import { inBlocks, readAhead, type BlockCache } from './blocks.ts';
import { bytesSource, checkRange, type ByteSource, type Progress } from './source.ts';

export interface UrlOptions {
  /** Called as bytes arrive, many times. */
  readonly onProgress?: ((p: Progress) => void) | undefined;
  /** Keeps what was transferred for the next visit, as long as the server's version is the same. */
  readonly cache?: BlockCache | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Default: the global one. */
  readonly fetch?: typeof fetch | undefined;
}

const FIRST = 1 << 16;
/** Of a cache: few files for a large model, and little too much for a small tensor. */
const CACHED_BLOCK = 1 << 22;
/** A server without ranges sends everything into memory. */
const MAX_WHOLE = 2 ** 31;
/** A transfer that breaks goes on where it stopped, so often. */
const TRIES = 4;

/**
 * Opens an address. A server that knows no ranges sends the whole file, which is held in memory, up to 2 GiB. Throws FileError
 * where the server does not answer or refuses, and where the file is changed while it is read.
 */
export async function urlSource(url: string | URL, options: UrlOptions = {}): Promise<ByteSource> {
  const name = String(url);
  const response = await request(name, options, 0, FIRST);
  if (response.status === 416 && response.headers.get('content-range') === 'bytes */0')
    return bytesSource(new Uint8Array(0), name);
  if (response.status === 200) return bytesSource(await wholeBody(name, response, options), name);
  const size = await sizeOf(name, response, options);
  const version = versionOf(response);
  let received = 0;
  const arrived = (bytes: number): void => options.onProgress?.({ received: (received += bytes), size });

  const first = new Uint8Array(Math.min(FIRST, size));
  if ((await fill(first, 0, response, arrived, name)) < first.length)
    throw new FileError(name, 'read', 'the server broke off at the first bytes');
  const source: ByteSource = {
    name,
    size,
    async close() {},
    async read(offset, length) {
      checkRange(source, offset, length);
      const out = new Uint8Array(length);
      for (let done = 0, tries = 0; done < length; tries++) {
        if (tries === TRIES) throw new FileError(name, 'read', `the server broke off ${TRIES} times`);
        const part = await request(name, options, offset + done, length - done);
        if (part.status !== 206 || versionOf(part) !== version || startOf(part, offset + done) !== offset + done) {
          await part.body?.cancel();
          throw new FileError(
            name,
            'read',
            'the file was changed on the server while it was read: open it again',
            'changed',
          );
        }
        done = await fill(out, done, part, arrived, name);
      }
      return out;
    },
  };
  const store = await options.cache?.open(name, `${version} ${size}`).catch(() => undefined);
  return store ? inBlocks(source, store, CACHED_BLOCK) : readAhead(source, first);
}

async function request(name: string, options: UrlOptions, offset: number, length: number): Promise<Response> {
  const ask = options.fetch ?? fetch;
  let response: Response;
  try {
    response = await ask(name, {
      headers: { ...options.headers, Range: `bytes=${offset}-${offset + length - 1}` },
      signal: options.signal ?? null,
    });
  } catch (e) {
    if (options.signal?.aborted) throw e;
    throw new FileError(name, 'read', `the server does not answer (${reasonOf(e)})`);
  }
  if (response.status === 200 || response.status === 206 || response.status === 416) return response;
  await response.body?.cancel();
  throw new FileError(name, 'read', `the server answers ${response.status} ${response.statusText}`.trim());
}

const reasonOf = (e: unknown): string =>
  e instanceof Error ? (e.cause instanceof Error ? e.cause.message : e.message) : String(e);

/** Strong validators alone tell two contents apart; pages may see neither of another origin, and then the size must do. */
function versionOf(response: Response): string {
  const tag = response.headers.get('etag');
  return (tag?.startsWith('W/') ? null : tag) ?? response.headers.get('last-modified') ?? '';
}

function startOf(response: Response, otherwise: number): number {
  const told = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  return told === undefined ? otherwise : Number(told);
}

/** Of all of it, by the first answer; servers of another origin hide that unless told otherwise, but not a length. */
async function sizeOf(name: string, response: Response, options: UrlOptions): Promise<number> {
  const told = /^bytes \d+-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  if (told !== undefined && response.status === 206) return Number(told);
  const head = await (options.fetch ?? fetch)(name, {
    method: 'HEAD',
    headers: { ...options.headers },
    signal: options.signal ?? null,
  }).catch(() => null);
  const length = head?.ok ? head.headers.get('content-length') : null;
  if (length && /^\d+$/.test(length)) return Number(length);
  throw new FileError(
    name,
    'read',
    'the server does not say how long the file is: it must let pages see it (Access-Control-Expose-Headers: Content-Range)',
  );
}

/** Copies the body to `out`, from `at`; gives where it ended, which is short of the end where the connection broke. */
async function fill(
  out: Uint8Array,
  at: number,
  response: Response,
  arrived: (bytes: number) => void,
  name: string,
): Promise<number> {
  const reader = response.body!.getReader();
  for (;;) {
    const part = await reader.read().catch((e: unknown) => {
      if (e instanceof Error && e.name === 'AbortError') throw e;
      return null;
    });
    if (part === null || part.done) return at;
    if (at + part.value.length > out.length) {
      await reader.cancel();
      throw new CheckpointError(name, `the server sends more than the ${out.length} bytes that it was asked for`, at);
    }
    out.set(part.value, at);
    at += part.value.length;
    arrived(part.value.length);
  }
}

async function wholeBody(name: string, response: Response, options: UrlOptions): Promise<Uint8Array> {
  const length = Number(response.headers.get('content-length') ?? NaN);
  // A body that was packed for the way has another length than it says.
  const size = response.headers.has('content-encoding') ? NaN : length;
  const tooLong = (bytes: number): never => {
    throw new FileError(
      name,
      'read',
      `the server knows no ranges, so that all of its ${bytes} bytes would have to be in memory: serve it from one that answers Range requests`,
    );
  };
  if (size > MAX_WHOLE) {
    await response.body?.cancel();
    tooLong(size);
  }
  const parts: Uint8Array[] = [];
  let received = 0;
  const reader = response.body!.getReader();
  for (;;) {
    const part = await reader.read().catch((e: unknown) => {
      if (options.signal?.aborted) throw e;
      throw new FileError(name, 'read', `the server broke off after ${received} bytes`);
    });
    if (part.done) break;
    parts.push(part.value);
    received += part.value.length;
    options.onProgress?.({ received, size: Number.isNaN(size) ? received : size });
    if (received > MAX_WHOLE) {
      await reader.cancel();
      tooLong(received);
    }
  }
  const out = new Uint8Array(received);
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}
