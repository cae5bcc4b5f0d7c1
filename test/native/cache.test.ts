/** The cache of compiled objects: what is old or too much leaves it, what is in use stays, and the command line says where it is. */
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { cacheUse, prune, useObject } from '../../src/runtime/node/object-cache.ts';
import { folder, netwright } from '../support/cli.ts';

const HOUR = 3600;
const DAY = 24 * HOUR;

test.serial(
  'old objects leave, then the oldest beyond the limit, and nothing that was used in the last hour',
  async (t) => {
    const at = folder(t);
    const before = process.env['NETWRIGHT_CACHE'];
    process.env['NETWRIGHT_CACHE'] = at;
    t.teardown(() => {
      if (before === undefined) delete process.env['NETWRIGHT_CACHE'];
      else process.env['NETWRIGHT_CACHE'] = before;
    });
    const put = (name: string, seconds: number): void => {
      const path = join(at, name);
      if (name.startsWith('build-')) mkdirSync(path);
      else writeFileSync(path, Buffer.alloc(100));
      const then = Date.now() / 1000 - seconds;
      utimesSync(path, then, then);
    };
    put('used_again.so', 61 * DAY);
    put('old.so', 61 * DAY);
    put('second.so', 3 * DAY);
    put('third.so', 4 * DAY);
    put('now.so', 10);
    put('tuned.json', 400 * DAY);
    put('build-dead', 2 * DAY);
    put('build-alive', HOUR);
    t.true(await useObject(join(at, 'used_again.so')));
    t.false(await useObject(join(at, 'absent.so')));
    t.deepEqual(await cacheUse(), { folder: at, objects: 5, bytes: 500 });
    await prune(Date.now(), { days: 60, bytes: 300 });
    t.deepEqual(readdirSync(at).sort(), ['build-alive', 'now.so', 'second.so', 'tuned.json', 'used_again.so']);
    await prune(Date.now(), { days: 60, bytes: 0 });
    t.deepEqual(readdirSync(at).sort(), ['build-alive', 'now.so', 'tuned.json', 'used_again.so']);
    await Promise.all([prune(), prune()]); // of two processes
    const { out } = await netwright(['devices']);
    t.true(out.includes(`compiled C lies in ${at} (2 objects, 0.0 MB)`), out);
  },
);
