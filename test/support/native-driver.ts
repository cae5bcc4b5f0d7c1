/**
 * Native programs with a main function in C around them: what no call from Node can do, for sanitizers and instruction counters
 * want a process of their own.
 */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { elaborate } from '../../src/check/index.ts';
import { printUnits } from '../../src/codegen/c/program.ts';
import { kernelKey } from '../../src/codegen/dedupe.ts';
import type { Kernel } from '../../src/codegen/kernel.ts';
import { nativeTarget } from '../../src/codegen/targets.ts';
import type { OpenProject } from '../../src/compile.ts';
import type { StaticValue } from '../../src/check/elaborated.ts';
import type { Module } from '../../src/ir/ir.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { prepareMethods, runPipeline } from '../../src/ir/pipeline.ts';
import { buildPrograms } from '../../src/ir/programs.ts';
import { THREADS, type Elem, type Machine, type Program, type Segment, type Slot } from '../../src/runtime/artifact.ts';
import { widthOf } from '../../src/runtime/elem.ts';
import { evaluateSize, type Binding } from '../../src/runtime/sizes.ts';
import { entryOf, linkAlone } from './run-linked.ts';

const exec = promisify(execFile);

interface Member {
  readonly name: string;
  readonly programs: readonly Program[];
  readonly segments: readonly Segment[];
  readonly dims: Binding;
}

/** Programs of several networks, with equal kernels once. */
export class NativeDriver {
  private readonly machine: Machine;
  private readonly kernels: Kernel[] = [];
  private readonly known = new Map<string, number>();
  private readonly members: Member[] = [];

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** The programs of an exported block that `wanted` names. */
  add(
    name: string,
    open: OpenProject,
    wanted: (program: string) => boolean,
    size: (symbol: string) => number,
    hyper: Readonly<Record<string, StaticValue>> = {},
  ): void {
    const target = nativeTarget(this.machine);
    const block = elaborate(open.project, open.exports[0]!, hyper, open.bag)!;
    const made = runPipeline(buildPrograms(prepareMethods(block, target)), target);
    const entries = made.entries.filter((e) => wanted(e.name));
    const programs = entries.map((e) => linkAlone(e, made.module, target, (k) => this.indexOf(k)));
    const dims = new Map(programs.flatMap((p) => p.symbols).map((s) => [s, size(s)]));
    this.members.push({ name, programs, segments: made.segments, dims });
  }

  /** The function `main` of a module of bare IR. */
  addModule(name: string, module: Module): void {
    const target = nativeTarget(this.machine);
    const fused = fuse(decompose(module), target);
    const func = fused.funcs.get('main')!;
    const program = linkAlone(entryOf('main', func, {}), fused, target, (k) => this.indexOf(k));
    this.members.push({ name, programs: [program], segments: [], dims: new Map() });
  }

  private indexOf(kernel: Kernel): number {
    const key = kernelKey(kernel);
    const known = this.known.get(key);
    if (known !== undefined) return known;
    this.known.set(key, this.kernels.length);
    return this.kernels.push({ ...kernel, name: `${kernel.name}_${this.kernels.length}` }) - 1;
  }

  /**
   * Compiles with these flags into a folder; gives the path of the program. It runs each member from the same state once for each
   * number of threads, every buffer in memory of its own, and prints `member.program hash` of results and state. `sharedFrom`: from how many statements on threads share a kernel; 0 for all that can be shared.
   */
  async build(at: string, flags: readonly string[], threads: readonly number[], sharedFrom?: number): Promise<string> {
    const flat = this.members.flatMap((m) => m.programs.map((p) => ({ ...p, name: `${m.name}_${p.name}` })));
    const { units, functions } = printUnits(
      { kernels: this.kernels, programs: flat },
      { fma: this.machine.fma, ...(sharedFrom !== undefined && { sharedFrom }) },
    );
    let next = 0;
    const bodies = this.members.map((m) => {
      const names = m.programs.map(() => functions[next++]!);
      return `static void member_${m.name}(int threads) {\n${threads.map((n) => member(m, names, n)).join('')}}\n`;
    });
    const declared = functions.map((f) => `int ${f}(const double *frame, int threads);\n`);
    const calls = threads.flatMap((n) => this.members.map((m) => `  member_${m.name}(${n});\n`));
    const main = `${RUNTIME}${declared.join('')}${bodies.join('')}int main(void) {\n${calls.join('')}  return 0;\n}\n`;
    const sources = [...units, main].map((text, i) => ({ text, base: join(at, `unit${i}`) }));
    const waiting = [...sources].sort((a, b) => b.text.length - a.text.length);
    const worker = async (): Promise<void> => {
      for (let s = waiting.shift(); s; s = waiting.shift()) {
        writeFileSync(`${s.base}.c`, s.text);
        await exec('cc', ['-std=gnu11', '-pthread', ...flags, '-c', `${s.base}.c`, '-o', `${s.base}.o`]);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
    const path = join(at, 'driver');
    await exec('cc', ['-pthread', ...flags, ...sources.map((s) => `${s.base}.o`), '-o', path, '-lm']);
    return path;
  }
}

/** Every buffer ends where it ends, but for what a vector load in front of a loop may look at; an empty one has nothing at all. */
const RUNTIME = `#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static unsigned char *room(size_t bytes) {
  if (bytes == 0) return NULL;
  unsigned char *at = aligned_alloc(64, (bytes + 64 + 63) / 64 * 64);
  memset(at, 0, bytes);
  return at;
}
static void floats(unsigned char *at, size_t n) {
  for (size_t i = 0; i < n; i++) { const float x = (float)((int)(i * 37 % 101) - 50) / 512.0f; memcpy(at + 4 * i, &x, 4); }
}
static void bits(unsigned char *at, size_t n) {
  for (size_t i = 0; i < n; i++) { const uint32_t x = i % 2; memcpy(at + 4 * i, &x, 4); }
}
static void number(unsigned char *at, float x) { memcpy(at, &x, 4); }
static uint32_t hash(const unsigned char *at, size_t bytes, uint32_t h) {
  for (size_t i = 0; i < bytes; i++) h = (h ^ at[i]) * 16777619u;
  return h;
}
static void ran(const char *name, int stopped, uint32_t h) {
  if (stopped) { printf("%s did not end\\n", name); exit(1); }
  printf("%s %08x\\n", name, (unsigned)h);
}
`;

const FILL: Readonly<Record<Elem, string>> = {
  f32: 'floats',
  i32: 'bits',
  u32: 'bits',
  bool: 'bits',
  f16: '(void)',
  bf16: '(void)',
};

function member({ name, programs, segments, dims }: Member, functions: readonly string[], threads: number): string {
  const sizes = new Map([...dims, [THREADS, threads]]);
  const arena = (s: string): string => `arena${segments.findIndex((x) => x.name === s)}`;
  const lines = segments.flatMap((s) => {
    const at = arena(s.name);
    const made = `unsigned char *${at} = room(${s.length * widthOf(s.elem)});`;
    return s.elem === 'f32' && s.role !== 'state' ? [made, `floats(${at}, ${s.length});`] : [made];
  });
  programs.forEach((p, i) =>
    lines.push(...call(`${name}.${p.name}`, p, functions[i]!, sizes, threads, arena, segments)),
  );
  lines.push(...segments.map((s) => `free(${arena(s.name)});`));
  return `  if (threads == ${threads}) {\n${lines.map((l) => `    ${l}\n`).join('')}  }\n`;
}

function call(
  title: string,
  p: Program,
  run: string,
  sizes: Binding,
  threads: number,
  arena: (segment: string) => string,
  segments: readonly Segment[],
): string[] {
  const bytes = p.buffers.map((b) => evaluateSize(b.bytes, sizes));
  const own = p.buffers.flatMap((b, i) => (b.kind === 'segment' ? [] : [i]));
  const slot = (s: Slot): string => {
    if (s.kind === 'limit') return '1000';
    if (s.kind === 'size') return String(evaluateSize(s.value, sizes));
    return `(double)(intptr_t)(b[${s.buffer}] + ${evaluateSize(s.offset, sizes)})`;
  };
  const inputs = p.inputs.flatMap((i) => {
    if (i.role === 'segment') return [];
    const at = `b[${i.buffer}]`;
    if (i.role === 'arg') return [`${FILL[i.spec.elem]}(${at}, ${bytes[i.buffer]! / widthOf(i.spec.elem)});`];
    return i.role === 'hyper' || i.role === 'setting' ? [`number(${at}, 0.01f);`] : [];
  });
  const results = p.outputs.flatMap((o) =>
    o.role === 'result' ? [`h = hash(b[${o.buffer}], ${bytes[o.buffer]}, h);`] : [],
  );
  const state = segments.map((s) => `h = hash(${arena(s.name)}, ${s.length * widthOf(s.elem)}, h);`);
  return [
    '{',
    `  unsigned char *b[] = {${p.buffers.map((b, i) => (b.kind === 'segment' ? arena(b.segment!) : `room(${bytes[i]})`)).join(', ') || '0'}};`,
    ...inputs.map((l) => `  ${l}`),
    `  const double frame[] = {${p.slots.map(slot).join(', ') || '0'}};`,
    `  const int stopped = ${run}(frame, ${threads});`,
    '  uint32_t h = 2166136261u;',
    ...[...results, ...state].map((l) => `  ${l}`),
    `  ran("${title}", stopped, h);`,
    ...own.map((i) => `  free(b[${i}]);`),
    '}',
  ];
}
