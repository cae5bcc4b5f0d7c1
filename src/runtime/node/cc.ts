/**
 * The system's C compiler: what it makes code for, and shared objects by it, kept in the user's cache under a hash of the C,
 * the compiler, the processor and the flags. Nothing here runs unless native code was asked for.
 */
import type { Machine, NativeCode } from '../artifact.ts';
import type { Progress } from '../backend.ts';
import { DeviceError } from '../errors.ts';
import { BUILDING, cacheFolder, prune, useObject } from './object-cache.ts';

// Not imported: bundlers for the browser would look for these modules.
const { execFile } = process.getBuiltinModule('node:child_process');
const { createHash } = process.getBuiltinModule('node:crypto');
const { access, mkdir, mkdtemp, readdir, rename, rm, writeFile } = process.getBuiltinModule('node:fs/promises');
const { availableParallelism } = process.getBuiltinModule('node:os');
const { join } = process.getBuiltinModule('node:path');
const { promisify } = process.getBuiltinModule('node:util');

const run = promisify(execFile);

export interface CCompiler {
  readonly command: string;
  /** `gcc 12.2.0` */
  readonly name: string;
  readonly machine: Machine;
  /** Hash of all it says of itself and of this processor. */
  readonly identity: string;
}

let found: Promise<CCompiler | string> | null = null;

/** `$CC` or `cc`, or why it will not do. Asked once. */
export const findCompiler = (): Promise<CCompiler | string> => (found ??= probe(process.env['CC'] || 'cc'));

async function probe(command: string): Promise<CCompiler | string> {
  let text: string;
  try {
    ({ stdout: text } = await run(command, [...ARCH, '-dM', '-E', '-x', 'c', '/dev/null'], { maxBuffer: 1 << 24 }));
  } catch {
    return `no C compiler answers to "${command}": install gcc 12 or clang 14, or name one in CC`;
  }
  const macros = new Map([...text.matchAll(/^#define (\w+) (.*)$/gm)].map((m): [string, string] => [m[1]!, m[2]!]));
  const has = (name: string): boolean => macros.has(name);
  const [kind, major] = has('__clang__') ? ['clang', '__clang_major__'] : ['gcc', '__GNUC__'];
  const name = `${kind} ${/\d[\d.]*/.exec(macros.get('__VERSION__') ?? '')?.[0] ?? '?'}`;
  if (!has('__GNUC__') || Number(macros.get(major)) < 12) return `${name} is too old: gcc 12 or clang 12 is needed`;
  const [lanes, registers] = has('__AVX512F__')
    ? [16, 32]
    : has('__AVX2__')
      ? [8, 16]
      : [4, has('__aarch64__') ? 32 : 16];
  const fma = has('__FMA__') || has('__aarch64__');
  const dot = lanes === 16 && has('__AVX512BF16__') ? ({ dot: true } as const) : {};
  return { command, name, machine: { lanes, registers, fma, ...dot }, identity: hash([command, text]) };
}

const hash = (parts: readonly string[]): string => {
  const h = createHash('sha256');
  for (const p of parts) h.update(`${p.length}:${p}`);
  return h.digest('hex');
};

const ARCH = [process.arch === 'arm64' ? '-mcpu=native' : '-march=native'];

/** No reordering and no contraction: what is rounded, and when, is what kernel IR says. */
const FLAGS: readonly string[] = [
  ...ARCH,
  ...['-std=gnu11', '-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-trapping-math', '-fno-strict-aliasing'],
  ...['-pthread', '-fPIC', '-fvisibility=hidden', '-w', '-Werror=implicit-function-declaration'],
];

/**
 * Never unmapped: threads of its pool sleep in its code, while its handle is closed when nobody holds a function of it, and at the end of
 * the process.
 */
const LINK: readonly string[] = [
  ...['-shared', '-pthread', '-lm'],
  ...(process.platform === 'linux' ? ['-Wl,-z,nodelete'] : []),
];

const flagsFor = ({ machine }: CCompiler): readonly string[] =>
  machine.lanes === 16 ? [...FLAGS, '-mprefer-vector-width=512'] : FLAGS;

const objectPath = (code: NativeCode, compiler: CCompiler): string =>
  join(cacheFolder(), `${hash([compiler.identity, ...flagsFor(compiler), ...LINK, ...code.units]).slice(0, 40)}.so`);

export const isBuilt = (code: NativeCode, compiler: CCompiler): Promise<boolean> =>
  access(objectPath(code, compiler)).then(
    () => true,
    () => false,
  );

/** Whether the cache holds any object at all: if not, nobody need ask for a certain one. */
export const anythingBuilt = (): Promise<boolean> =>
  readdir(cacheFolder()).then(
    (names) => names.some((n) => n.endsWith('.so')),
    () => false,
  );

/** Path of the shared object, compiled now where the cache has none. Throws DeviceError where the compiler refuses. */
export async function buildObject(code: NativeCode, compiler: CCompiler, progress?: Progress): Promise<string> {
  const path = objectPath(code, compiler);
  if (await useObject(path)) return path;
  await mkdir(cacheFolder(), { recursive: true });
  const folder = await mkdtemp(join(cacheFolder(), BUILDING));
  try {
    const total = code.units.length;
    let done = 0;
    const compileUnit = async (i: number): Promise<void> => {
      const base = join(folder, `unit${i}`);
      await writeFile(`${base}.c`, code.units[i]!);
      await cc(compiler, [...flagsFor(compiler), '-c', `${base}.c`, '-o', `${base}.o`]);
      progress?.({ task: `compiling C by ${compiler.name}`, done: ++done, total });
    };
    progress?.({ task: `compiling C by ${compiler.name}`, done, total });
    // The longest first, as many at a time as there are processors.
    const waiting = code.units.map((_, i) => i).sort((a, b) => code.units[b]!.length - code.units[a]!.length);
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await compileUnit(next);
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), total) }, worker));
    const objects = code.units.map((_, i) => join(folder, `unit${i}.o`));
    const made = join(folder, 'made.so');
    await cc(compiler, [...objects, '-o', made, ...LINK]);
    await prune();
    await rename(made, path); // whole or not at all, whoever else builds it
    return path;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function cc(compiler: CCompiler, args: readonly string[]): Promise<void> {
  try {
    await run(compiler.command, [...args], { maxBuffer: 1 << 24 });
  } catch (e) {
    const said = (e as { stderr?: string }).stderr?.trim().split('\n').slice(0, 6).join('\n') ?? String(e);
    throw new DeviceError(`${compiler.name} refused the generated C:\n${said}`);
  }
}
