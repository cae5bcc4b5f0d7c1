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
      if (name.includes('build-')) mkdirSync(path);
      else writeFileSync(path, Buffer.alloc(100));
      const then = Date.now() / 1000 - seconds;
      utimesSync(path, then, then);
    };
    const object = (letter: string): string => `${letter.repeat(40)}.so`;
    const others = ['build-release', 'libmine.so', 'tuned.json'];
    for (const name of others) put(name, 400 * DAY);
    const [usedAgain, old, second, third, fresh] = ['a', 'b', 'c', 'd', 'e'].map(object) as [
      string,
      string,
      string,
      string,
      string,
    ];
    put(usedAgain, 61 * DAY);
    put(old, 61 * DAY);
    put(second, 3 * DAY);
    put(third, 4 * DAY);
    put(fresh, 10);
    put('netwright-build-dead', 2 * DAY);
    put('netwright-build-alive', HOUR);
    t.true(await useObject(join(at, usedAgain)));
    t.false(await useObject(join(at, 'absent.so')));
    t.deepEqual(await cacheUse(), { folder: at, objects: 5, bytes: 500 });
    const there = (...own: readonly string[]): string[] =>
      [...others, 'netwright-build-alive', usedAgain, fresh, ...own].sort();
    await prune(Date.now(), { days: 60, bytes: 300 });
    t.deepEqual(readdirSync(at).sort(), there(second), 'what others keep there stays');
    await prune(Date.now(), { days: 60, bytes: 0 });
    t.deepEqual(readdirSync(at).sort(), there());
    await Promise.all([prune(), prune()]); // of two processes
    const { out } = await netwright(['devices']);
    t.true(out.includes(`compiled C lies in ${at} (2 objects, 0.0 MB)`), out);
  },
);
