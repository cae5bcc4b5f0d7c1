/** A small static server for pages under test: folders by the first part of the path, TypeScript with its types stripped, ranges of bytes. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stripTypeScriptTypes } from 'node:module';
import { extname, join, normalize } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.ts': 'text/javascript',
  '.json': 'application/json',
  '.net': 'text/plain',
};

export interface Server {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  close(): Promise<void>;
}

/** What isolates a page from other origins, so that it may share memory with workers. */
const ISOLATED = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };

/** `folders`: `{ dist: '/tmp/x' }` serves /dist/a.js from /tmp/x/a.js. A page whose address ends in `?isolated` is. */
export async function serve(folders: Readonly<Record<string, string>>): Promise<Server> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
    asked.push(pathname);
    const [, first = '', ...rest] = normalize(pathname).split('/');
    const folder = folders[first];
    const path = folder && join(folder, ...rest);
    void (path === undefined ? Promise.reject(new Error('no such folder')) : readFile(path)).then(
      (bytes) => {
        const type = TYPES[extname(path!)] ?? 'application/octet-stream';
        const part = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
        if (part) {
          const [from, to] = [Number(part[1]), Math.min(Number(part[2]), bytes.length - 1)];
          const tag = `"${createHash('sha256').update(bytes).digest('hex')}"`;
          response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}`, etag: tag });
          return void response.end(bytes.subarray(from, to + 1));
        }
        response.writeHead(200, {
          'content-type': `${type}; charset=utf-8`,
          ...(search === '?isolated' && ISOLATED),
        });
        response.end(extname(path!) === '.ts' ? stripTypeScriptTypes(bytes.toString()) : bytes);
      },
      () => {
        response.writeHead(404);
        response.end();
      },
    );
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return {
    // A secure context, which WebGPU asks for: localhost is one.
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
