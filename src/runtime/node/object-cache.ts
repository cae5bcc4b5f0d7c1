/**
 * The user's cache of compiled shared objects: where it is, how large, and what leaves it. Any number of processes may use it at once:
 * what is used is marked as new before it is loaded, and what was used in the last hour stays.
 */

// Not imported: bundlers for the browser would look for these modules.
const { access, readdir, rm, stat, utimes } = process.getBuiltinModule('node:fs/promises');
const { homedir, platform } = process.getBuiltinModule('node:os');
const { join } = process.getBuiltinModule('node:path');

/** What was not used for so long leaves the cache when something is compiled; then, the oldest first, what is more than so much. */
export const CACHE_LIMITS = { days: 60, bytes: 1e9 } as const;

const HOUR = 3600e3;

/** `$NETWRIGHT_CACHE`, or where this system keeps what can be made again. */
export function cacheFolder(): string {
  const { NETWRIGHT_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (NETWRIGHT_CACHE) return NETWRIGHT_CACHE;
  if (platform() === 'darwin') return join(homedir(), 'Library', 'Caches', 'netwright');
  return join(XDG_CACHE_HOME || LOCALAPPDATA || join(homedir(), '.cache'), 'netwright');
}

/** A folder in which an object is being compiled begins with this. */
export const BUILDING = 'netwright-build-';

interface CacheEntry {
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds. */
  readonly used: number;
}

async function entries(keep: (name: string) => boolean): Promise<CacheEntry[]> {
  const names = await readdir(cacheFolder()).catch(() => []);
  const found = await Promise.all(
    names.filter(keep).map(async (name): Promise<CacheEntry[]> => {
      const path = join(cacheFolder(), name);
      const s = await stat(path).catch(() => null); // somebody else's pruning
      return s ? [{ path, bytes: s.size, used: s.mtimeMs }] : [];
    }),
  );
  return found.flat();
}

/** The folder may be one where others keep their files too: objects are called by the hash of what they were made of. */
const isObject = (name: string): boolean => /^[0-9a-f]{40}\.so$/.test(name);

/** Whether it is there; from now on it counts as used. */
export async function useObject(path: string): Promise<boolean> {
  const now = new Date();
  // A cache that may only be read is not pruned by this process either.
  return utimes(path, now, now)
    .catch(() => access(path))
    .then(
      () => true,
      () => false,
    );
}

export async function cacheUse(): Promise<{ folder: string; objects: number; bytes: number }> {
  const all = await entries(isObject);
  return { folder: cacheFolder(), objects: all.length, bytes: all.reduce((n, e) => n + e.bytes, 0) };
}

/** Removes what is over the limits, and what builds left behind that did not end. */
export async function prune(
  now: number = Date.now(),
  limits: { days: number; bytes: number } = CACHE_LIMITS,
): Promise<void> {
  const day = 24 * HOUR;
  const objects = (await entries(isObject)).sort((a, b) => b.used - a.used);
  let bytes = 0;
  const gone = objects.filter((e) => {
    bytes += e.bytes;
    return now - e.used > HOUR && (now - e.used > limits.days * day || bytes > limits.bytes);
  });
  const left = (await entries((name) => name.startsWith(BUILDING))).filter((e) => now - e.used > day);
  await Promise.all([...gone, ...left].map((e) => rm(e.path, { recursive: true, force: true }).catch(() => {})));
}
