/** The WebAssembly printer: valid modules that compute what the evaluator says, control in drivers, readable code. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import wabt from 'wabt';
import { add, f32, fma, i32, KernelBuilder, load, lt, cast, mul, splat } from '../../src/codegen/builder.ts';
import { kernelKey } from '../../src/codegen/dedupe.ts';
import { runKernel } from '../../src/codegen/evaluate.ts';
import type { Kernel } from '../../src/codegen/kernel.ts';
import { printKernel } from '../../src/codegen/print.ts';
import type { WasmProgram } from '../../src/codegen/wasm/print.ts';
import { printWasm, SCRATCH_BYTES } from '../../src/codegen/wasm/print.ts';
import { wasmFor } from '../../src/runtime/fma.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import type { Step } from '../../src/runtime/artifact.ts';
import { hasRelaxedSimd } from '../../src/runtime/features.ts';
import { readElements, writeElements } from '../support/elements.ts';
import { LENGTH, RandomKernels, STORAGE } from '../support/random-kernels.ts';
import { ONE_THREAD } from '../../src/runtime/threads.ts';

type Driver = (frame: number) => number;

function instantiate(kernels: readonly Kernel[], programs: readonly WasmProgram[], relaxed: boolean) {
  const bytes = wasmFor(printWasm({ kernels, programs }), relaxed ? 'relaxed' : 'simd');
  const memory = new WebAssembly.Memory({ initial: 4 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    env: { memory, ...ONE_THREAD },
  });
  return { memory, exports: exports as Record<string, Driver> };
}

const FRAME = SCRATCH_BYTES;
const DATA = SCRATCH_BYTES + 1024;

/** All kernels in one module; each runs on its own fresh data. */
function compareWithEvaluator(t: ExecutionContext, seed: number, count: number, relaxed: boolean): void {
  const random = new RandomKernels(seed, 4, !relaxed);
  const kernels = Array.from({ length: count }, (_, i) => random.kernel(`k${i}`));
  const slots = Array.from({ length: 2 * STORAGE.length }, (_, i) => i);
  const programs = kernels.map((k, i) => ({ name: k.name, steps: [{ kind: 'kernel', kernel: i, slots }] as const }));
  const { memory, exports } = instantiate(kernels, programs, relaxed);
  const view = new DataView(memory.buffer);
  const at = (i: number): number => DATA + i * LENGTH * 4;
  for (const k of kernels) {
    const formats = [...STORAGE, ...STORAGE];
    const before = formats.map((e) => random.contents(e));
    const expected = before.map((b) => [...b]);
    before.forEach((b, i) => {
      writeElements(view, at(i), formats[i]!, b);
      view.setInt32(FRAME + 4 * i, at(i), true);
    });
    runKernel(k, expected, { fma: 'split' });
    exports[k.name]!(FRAME);
    formats.forEach((e, i) => {
      const got = readElements(view, at(i), e, LENGTH);
      const wrong = got.findIndex((x, j) => !Object.is(x, expected[i]![j]));
      if (wrong >= 0) {
        const what = `${k.params[i]!.name}[${wrong}] = ${got[wrong]}, not ${expected[i]![wrong]}`;
        t.fail(`seed ${seed}, ${relaxed ? 'relaxed' : 'plain'}: ${what}\n${printKernel(k)}`);
      }
    });
  }
}

test('random kernels equal the evaluator bit for bit', (t) => {
  const seeds = fc.integer({ min: 0, max: 2 ** 31 });
  fc.assert(
    fc.property(seeds, fc.boolean(), (seed, relaxed) => compareWithEvaluator(t, seed, 50, relaxed)),
    { numRuns: 24, endOnFailure: true },
  );
  t.pass();
});

const axpy = (): Kernel => {
  const k = new KernelBuilder();
  const [x, y] = [k.buffer('x', 'f32'), k.buffer('y', 'f32', 'readwrite')];
  const n = k.scalar('n');
  k.for(0, n, 4, (i) => k.store(y, i, fma(load(x, i, 4), splat(f32(2), 4), load(y, i, 4))));
  return k.finish('axpy', [NO_ORIGIN]);
};
const call = (kernel: number, ...slots: number[]): Step => ({ kind: 'kernel', kernel, slots });

test('fma rounds once where SIMD is relaxed, twice where it is not', (t) => {
  t.true(hasRelaxedSimd());
  const k = new KernelBuilder();
  const [x, out] = [k.buffer('x', 'f32'), k.buffer('out', 'f32', 'write')];
  for (const lanes of [1, 4]) k.store(out, lanes, fma(load(x, 0, lanes), load(x, 0, lanes), load(x, 4, lanes)));
  const kernels = [k.finish('square', [NO_ORIGIN])];
  const programs = [{ name: 'main', steps: [call(0, 0, 1)] }];
  for (const relaxed of [false, true]) {
    const { memory, exports } = instantiate(kernels, programs, relaxed);
    const floats = new Float32Array(memory.buffer);
    floats.fill(1 + 2 ** -12, DATA / 4, DATA / 4 + 4);
    floats.fill(-(1 + 2 ** -11), DATA / 4 + 4, DATA / 4 + 8);
    new Int32Array(memory.buffer, FRAME, 2).set([DATA, DATA + 64]);
    exports.main!(FRAME);
    const got = [...floats.slice(DATA / 4 + 17, DATA / 4 + 24)];
    t.deepEqual(got, [relaxed ? 2 ** -24 : 0, 0, 0, ...Array<number>(4).fill(relaxed ? 2 ** -24 : 0)]);
  }
});

test('drivers run for, while, if and copy', (t) => {
  // total += step; flag = total < limit
  const k = new KernelBuilder();
  const [total, step, flag] = [
    k.buffer('total', 'i32', 'readwrite'),
    k.buffer('step', 'i32'),
    k.buffer('flag', 'bool', 'write'),
  ];
  const limit = k.scalar('limit');
  const sum = k.let(add(load(total, 0), load(step, 0)));
  k.store(total, 0, sum);
  k.store(flag, 0, lt(sum, limit));
  const kernels = [k.finish('accumulate', [NO_ORIGIN])];
  // Slots: 0 total, 1 step, 2 flag, 3 limit, 4 count, 5 copy of total, 6 bytes
  const acc = call(0, 0, 1, 2, 3);
  const programs: WasmProgram[] = [
    {
      name: 'loop',
      steps: [
        { kind: 'for', count: 4, counter: 1, body: [acc], region: 0 },
        { kind: 'copy', from: 0, to: 5, bytes: 6 },
      ],
    },
    { name: 'until', steps: [{ kind: 'while', cond: [acc], flag: 2, body: [acc], limit: 3, region: 0 }] },
    {
      name: 'branch',
      steps: [
        acc,
        { kind: 'if', flag: 2, then: [acc, acc], else: [], region: 0 },
        { kind: 'if', flag: 2, then: [], else: [acc], region: 0 },
      ],
    },
    {
      name: 'nested',
      steps: [
        {
          kind: 'for',
          count: 4,
          counter: null,
          body: [{ kind: 'for', count: 4, counter: null, body: [acc], region: 0 }],
          region: 0,
        },
      ],
    },
  ];
  const { memory, exports } = instantiate(kernels, programs, false);
  const words = new Int32Array(memory.buffer);
  const run = (name: string, total0: number, step0: number, limit0: number, count: number): number => {
    const base = DATA / 4;
    words.set([total0, step0, 0, -1], base);
    words.set([DATA, DATA + 4, DATA + 8, limit0, count, DATA + 12, 4], FRAME / 4);
    exports[name]!(FRAME);
    return words[base]!;
  };
  t.is(run('loop', 100, 7, 0, 5), 100 + 0 + 1 + 2 + 3 + 4);
  t.is(words[DATA / 4 + 3], 110);
  t.is(run('loop', 100, 7, 0, 0), 100);
  t.is(run('until', 0, 1, 10, 0), 11); // cond at odd totals: the last is 11
  t.is(run('until', 50, 1, 10, 0), 51);
  // A step of 0 never gets there: as many rounds as slot 3 says, two additions each, and the last test.
  t.is(run('until', 0, 0, 10, 0), 0);
  t.is(exports['until']!(FRAME), 1, 'the number of the loop, from 1');
  run('until', 0, 1, 10, 0);
  t.is(exports['until']!(FRAME), 0);
  t.is(run('branch', 0, 1, 10, 0), 3);
  t.is(run('branch', 20, 1, 10, 0), 22);
  t.is(run('nested', 0, 2, 0, 3), 18);
});

test('kernels that differ in names only have one key', (t) => {
  const build = (name: string, step: number): Kernel => {
    const k = new KernelBuilder();
    const [x, y] = [k.buffer(`${name}_in`, 'f32'), k.buffer(`${name}_out`, 'f32', 'write')];
    k.for(0, k.scalar('n'), step, (i) => k.store(y, i, k.let(load(x, i), name)), 'serial', name);
    return k.finish(name, [NO_ORIGIN]);
  };
  t.is(kernelKey(build('a', 1)), kernelKey(build('b', 1)));
  t.not(kernelKey(build('a', 1)), kernelKey(build('a', 2)));
});

test('a vector of the wrong width and too large an array are refused', (t) => {
  const k = new KernelBuilder();
  const out = k.buffer('out', 'f32', 'write');
  k.store(out, 0, k.let(mul(load(out, 0, 8), 2)));
  t.throws(() => printWasm({ kernels: [k.finish('wide', [NO_ORIGIN])], programs: [] }), {
    message: /4 lanes/,
  });
  const l = new KernelBuilder();
  l.store(l.local('big', 'f32', 20000), 0, cast(i32(1), 'f32'));
  t.throws(() => printWasm({ kernels: [l.finish('big', [NO_ORIGIN])], programs: [] }), {
    message: /big/,
  });
});

test('the code of a small kernel reads as one would write it', async (t) => {
  const bytes = printWasm({ kernels: [axpy()], programs: [{ name: 'main', steps: [call(0, 0, 1, 2)] }] }).plain;
  const { readWasm } = await wabt();
  const module = readWasm(bytes, { readDebugNames: true });
  module.validate();
  const text = module.toText({ foldExprs: false, inlineExport: true });
  const file = new URL('../cases/wasm/axpy/expected.wat', import.meta.url);
  if (process.env['UPDATE'] || !existsSync(file)) writeFileSync(file, text);
  t.is(text, readFileSync(file, 'utf8'));
});

test('what lives in one loop leaves its locals to the next', async (t) => {
  const kernel = (loops: number): Kernel => {
    const k = new KernelBuilder();
    const [x, out] = [k.buffer('x', 'f32'), k.buffer('out', 'f32', 'write')];
    for (let i = 0; i < loops; i++)
      k.for(0, 8, 1, (at) => {
        const v = k.let(mul(load(x, at), load(x, at)));
        k.store(out, at, add(v, v));
      });
    return k.finish('loops', [NO_ORIGIN]);
  };
  const { readWasm } = await wabt();
  const locals = (loops: number): string => {
    const module = readWasm(printWasm({ kernels: [kernel(loops)], programs: [] }).plain, {});
    return /\(local [^)]*\)/.exec(module.toText({}))![0];
  };
  t.is(locals(1), '(local i32 i32 f32)', 'the counter, the address of x[i], v');
  t.is(locals(5), locals(1));
});

test('one module gives both variants: the same size, valid, and other instructions only where they belong together', (t) => {
  const k = new KernelBuilder();
  const [x, out] = [k.buffer('x', 'f32'), k.buffer('out', 'f32', 'write')];
  const v = load(x, 0, 4);
  // A multiply-add inside another, scalars, and a product and a sum that are none.
  k.store(out, 0, fma(v, v, fma(v, k.let(add(v, mul(v, v))), v)));
  k.store(out, 4, fma(load(x, 1), load(x, 2), load(x, 3)));
  const code = printWasm({ kernels: [k.finish('nested', [NO_ORIGIN])], programs: [] });
  const [plain, relaxed] = [wasmFor(code, 'simd'), wasmFor(code, 'relaxed')];
  t.deepEqual([...plain], [...code.plain]);
  t.is(plain.length, relaxed.length);
  t.true(WebAssembly.validate(plain) && WebAssembly.validate(relaxed));
  const count = (bytes: Uint8Array, find: string): number => Buffer.from(bytes).toString('hex').split(find).length - 1;
  t.deepEqual([count(plain, 'fd8502'), count(plain, 'fde601'), count(plain, 'fde401')], [0, 4, 4]);
  t.deepEqual([count(relaxed, 'fd8502'), count(relaxed, 'fde601'), count(relaxed, 'fde401')], [3, 1, 1]);
});
