/** Every way that a family offers to be measured computes what the op means: matrix products and convolutions in WebAssembly and in C. */
import test from 'ava';
import type { Target } from '../../src/codegen/call.ts';
import { choose, type Candidates } from '../../src/codegen/choose.ts';
import { kernelKey } from '../../src/codegen/dedupe.ts';
import { lowerFunc } from '../../src/codegen/lower.ts';
import { nativeTarget, PAIRED_WASM, WASM } from '../../src/codegen/targets.ts';
import { printWasm } from '../../src/codegen/wasm/print.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { Attrs, Func, Module } from '../../src/ir/ir.ts';
import { ndarray, sizeOf } from '../../src/ir/ndarray.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { createExecutor } from '../../src/runtime/backend.ts';
import { cpuDevice } from '../../src/runtime/devices.ts';
import { Batch } from '../support/batch.ts';
import { close } from '../support/close.ts';
import { nativeBatch, onNative } from '../support/native.ts';
import { opModule } from '../support/op-func.ts';
import { bareArtifact } from '../support/run-linked.ts';
import { numbers } from '../support/sample-kernels.ts';

const onWasm = (target: Target): Batch =>
  new Batch(target, async ({ kernels, programs, segments }) =>
    createExecutor(
      { ...bareArtifact('batch'), segments, programs, wasm: printWasm({ kernels, programs }) },
      cpuDevice(),
    ),
  );

interface Shape {
  readonly kind: string;
  readonly attrs: Attrs;
  readonly shapes: readonly (readonly number[])[];
}

const matmul = (m: number, n: number, k: number, ta: boolean, tb: boolean, batch: readonly number[] = []): Shape => ({
  kind: 'matmul',
  attrs: { transpose_a: ta, transpose_b: tb },
  shapes: [
    [...batch, ...(ta ? [k, m] : [m, k])],
    [...batch, ...(tb ? [n, k] : [k, n])],
  ],
});

interface Geometry {
  readonly channels: readonly [number, number];
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride?: readonly [number, number];
  readonly padding?: readonly [number, number, number, number];
  readonly groups?: number;
}

function convolutions({ channels: [c, o], size, kernel, ...g }: Geometry): readonly Shape[] {
  const [stride, padding, groups] = [g.stride ?? [1, 1], g.padding ?? [0, 0, 0, 0], g.groups ?? 1];
  const out = (axis: 0 | 1): number =>
    Math.floor((size[axis] + padding[2 * axis]! + padding[2 * axis + 1]! - kernel[axis]) / stride[axis]) + 1;
  const [x, w, y] = [
    [2, c, ...size],
    [o, c / groups, ...kernel],
    [2, o, out(0), out(1)],
  ] as const;
  const attrs = { stride, padding, dilation: [1, 1], groups };
  return [
    { kind: 'conv2d', attrs, shapes: [x, w] },
    { kind: 'conv2d_input_grad', attrs: { ...attrs, input: size }, shapes: [y, w] },
    { kind: 'conv2d_weight_grad', attrs: { ...attrs, kernel }, shapes: [x, y] },
  ];
}

/** Around tiles and vectors, several blocks of depth and of rows, all forms; channels that do and do not fill vectors. */
const SHAPES: readonly Shape[] = [
  ...[false, true].flatMap((ta) => [false, true].map((tb) => matmul(29, 35, 19, ta, tb))),
  ...[false, true].map((tb) => matmul(13, 50, 530, false, tb)),
  matmul(200, 17, 9, true, false),
  matmul(5, 40, 64, false, true, [3]),
  ...convolutions({ channels: [3, 7], size: [9, 11], kernel: [3, 3] }),
  ...convolutions({ channels: [16, 17], size: [7, 6], kernel: [3, 2], padding: [1, 1, 1, 0] }),
  ...convolutions({ channels: [32, 20], size: [9, 9], kernel: [3, 3], stride: [2, 2], padding: [1, 1, 1, 1] }),
  ...convolutions({ channels: [8, 6], size: [10, 12], kernel: [5, 5], groups: 2 }),
];

const first = (module: Module): Func => [...module.funcs.values()][0]!;

function namesOf(module: Module, target: Target): readonly string[] {
  const asked = new Map<string, readonly string[]>();
  const choices = (key: string, names: readonly string[]): null => {
    asked.set(key, names);
    return null;
  };
  lowerFunc(first(fuse(module, target, {})), { ...target, choices });
  if (asked.size !== 1) throw new Error(`one op asked for ${asked.size} choices`);
  return [...asked.values()][0]!;
}

/** Of each kind one or two: a C compiler takes its time over every way. */
const IN_C = [3, 5, 10, 11, 12, 16].map((i) => SHAPES[i]!);

/** Each shape in each way, against the reference in float64. */
function everyWay(
  name: string,
  run: typeof test.serial | typeof test.skip,
  batch: Batch,
  target: Target,
  shapes = SHAPES,
): void {
  const cases = shapes.map((s) => {
    const inputs = s.shapes.map((shape, i) => ndarray('f32', shape, numbers(sizeOf(shape), i + 1)));
    const module = opModule(s.kind, s.attrs, inputs);
    const lowered = decompose(module);
    const ways = namesOf(lowered, target).map((chosen) => ({
      chosen,
      member: batch.add(lowered, 'main', { choices: () => chosen }),
    }));
    return { s, inputs, module, ways };
  });
  run(`${name}: every way gives what the op means`, async (t) => {
    t.timeout(300_000);
    for (const { s, inputs, module, ways } of cases) {
      t.true(ways.length > 2, s.kind);
      const [wanted] = interpret(module, 'main', inputs);
      for (const { chosen, member } of ways) {
        const [got] = await member.run(inputs);
        // Roundings of a sum of at most 530 products: far below what one wrong or missing product makes.
        t.is(close(got!, wanted!, 2e-5), null, `${s.kind} ${s.shapes.map((x) => x.join('x')).join(' ')}: ${chosen}`);
      }
    }
  });
}

const machine = { lanes: 16, registers: 32, fma: true };
const [native, inC] = [await onNative(), await nativeBatch(machine)];
everyWay('WebAssembly', test.serial, onWasm(WASM), WASM);
everyWay('WebAssembly in pairs', test.serial, onWasm(PAIRED_WASM), PAIRED_WASM);
everyWay('C', native, inC, nativeTarget(machine), IN_C);

const WAYS: Candidates<number> = [
  { name: 'usual', value: 1 },
  { name: 'other', value: 2 },
];

test('a family goes by its rule unless a name it knows is given', (t) => {
  const chosen = (name: string | null): number => choose({ ...WASM, choices: () => name }, 'key', WAYS);
  t.deepEqual([choose(WASM, 'key', WAYS), chosen(null), chosen('other'), chosen('of a later version')], [1, 1, 2, 1]);
});

test('names of one key differ, and so do the kernels they stand for', (t) => {
  for (const s of SHAPES)
    for (const target of [WASM, PAIRED_WASM, nativeTarget(machine)]) {
      const inputs = s.shapes.map((shape) => ndarray('f32', shape, new Float32Array(sizeOf(shape))));
      const module = fuse(decompose(opModule(s.kind, s.attrs, inputs)), target, {});
      const names = namesOf(module, target);
      t.is(new Set(names).size, names.length);
      const kernels = names.map((name) =>
        lowerFunc(first(module), { ...target, choices: () => name })
          .body.items.map((i) => (i.kind === 'kernel' ? kernelKey(i.call.kernel) : ''))
          .join(),
      );
      t.is(new Set(kernels).size, kernels.length, `${s.kind}: ${names.join(', ')}`);
    }
});
