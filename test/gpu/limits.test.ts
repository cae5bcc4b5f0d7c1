/**
 * Kernels for devices with less: what does not fit is split or works on smaller pieces, to the same bits, and is said; what no
 * plan makes small enough is an error of the compiler.
 */
import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { excessOf, type KernelLimits, workgroupBytes } from '../../src/codegen/limits.ts';
import { lowerFunc } from '../../src/codegen/lower.ts';
import { wgslTarget } from '../../src/codegen/targets.ts';
import { compile } from '../../src/compile.ts';
import { IrBuilder, value } from '../../src/ir/builder.ts';
import { dim, sym } from '../../src/ir/dim.ts';
import type { ElemType, Module, Value } from '../../src/ir/ir.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { withDefaults } from '../../src/ir/ops/define.ts';
import { opDef } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { device, DeviceError, modelClass, randn, tensor, type Tensor } from '../../src/runtime/index.ts';
import { ARGUMENT_BYTES } from '../../src/runtime/webgpu/constants.ts';
import { WebGpuDevice } from '../../src/runtime/webgpu/device.ts';
import { absent } from '../support/absent.ts';
import { adapterDevice } from '../support/adapter.ts';
import { sample } from '../support/op-cases.ts';
import { func, moduleOf } from '../support/op-func.ts';
import { randomGraph } from '../support/random-graph.ts';
import { runOnGrid } from '../support/run-grid.ts';
import { nullDevice } from '../support/webgpu.ts';

const adapter = await adapterDevice();
if (!adapter) test('skipped: the package `webgpu` finds no adapter', absent);
const onAdapter = adapter ? test.serial : test.skip;

interface Case {
  readonly name: string;
  readonly limits: Partial<KernelLimits>;
  /** What the kernels are made otherwise by. */
  readonly plan: RegExp;
  readonly inputs: readonly NdArray[];
  readonly build: (b: IrBuilder, x: readonly Value[]) => readonly Value[];
}

const f32 = (seed: number, ...shape: number[]): NdArray => sample({ shape }, seed);
const one = (b: IrBuilder, kind: string, operands: readonly Value[], attrs = {}): Value =>
  b.one(kind, operands, withDefaults(opDef(kind), attrs));

function moduleFor(c: Case): Module {
  const b = new IrBuilder();
  const params = c.inputs.map((x) => value({ elem: x.elem as ElemType, shape: x.shape.map(dim) }));
  return decompose(moduleOf(func('main', params, b.ops, c.build(b, params))));
}

const conv = { stride: [2, 1], padding: [1, 2, 0, 1], dilation: [1, 2], groups: 2 };

const CASES: readonly Case[] = [
  ...([4096, 1100, 544] as const).map((bytes): Case => ({
    name: `a product in ${bytes} bytes`,
    limits: { workgroupBytes: bytes },
    plan: /^tiles of .* by slices of \d in place of .* by slices of 16$/,
    inputs: [f32(1, 70, 33), f32(2, 33, 129)],
    build: (b, [x, w]) => [one(b, 'relu', [one(b, 'matmul', [x!, w!])])],
  })),
  {
    name: 'a long sum that workgroups share',
    limits: { workgroupBytes: 1000 },
    plan: /^tiles of /,
    inputs: [f32(1, 17, 5000), f32(2, 5000, 9)],
    build: (b, [x, w]) => [one(b, 'matmul', [x!, w!])],
  },
  {
    name: 'large tiles',
    limits: { workgroupBytes: 2200 },
    plan: /^tiles of 64 x 64 by slices of 4 in place of 128 x 128 by slices of 8$/,
    inputs: [f32(1, 1040, 20), f32(2, 20, 1030)],
    build: (b, [x, w]) => [one(b, 'matmul', [x!, w!])],
  },
  {
    name: 'a convolution and its gradients',
    limits: { workgroupBytes: 1024 },
    plan: /^tiles of /,
    inputs: [f32(1, 5, 4, 20, 18), f32(2, 6, 2, 3, 3), f32(3, 5, 6, 11, 15)],
    build: (b, [x, w, dy]) => [
      one(b, 'conv2d', [x!, w!], conv),
      one(b, 'conv2d_input_grad', [dy!, w!], { ...conv, input: [dim(20), dim(18)] }),
      one(b, 'conv2d_weight_grad', [x!, dy!], { ...conv, kernel: [3, 3] }),
    ],
  },
  {
    name: 'ten sums of a row',
    limits: { workgroupBytes: 3000 },
    plan: /^2 sums at once in the tree of a workgroup, the others after them$/,
    inputs: [f32(1, 3, 700)],
    build: (b, [x]) => [
      Array.from({ length: 10 }, (_, i) => {
        const scaled = one(b, 'mul', [x!, b.constant(i + 0.5)]);
        return one(b, i % 3 === 0 ? 'max' : 'sum', [scaled], { axes: [1] });
      }).reduce((p, q) => one(b, 'add', [p, q])),
    ],
  },
  {
    name: 'positions of the largest elements',
    limits: { workgroupBytes: 2048 },
    plan: /^2 sums at once/,
    inputs: [f32(1, 3, 900)],
    build: (b, [x]) => [
      Array.from({ length: 9 }, (_, i) =>
        one(b, 'argmax', [one(b, 'mul', [x!, b.constant(i - 4.5)])], { axis: 1 }),
      ).reduce((p, q) => one(b, 'add', [p, q])),
    ],
  },
  {
    name: 'running sums and a recurrence of long lines',
    limits: { workgroupBytes: 512 },
    plan: /^the parts of a line meet in the memory of the device$/,
    inputs: [f32(1, 3, 500, 2), f32(2, 3, 500, 2)],
    build: (b, [x, y]) => [
      one(b, 'cumsum', [x!], { axis: 1 }),
      one(b, 'recurrence', [one(b, 'tanh', [x!]), y!], { axis: 1 }),
    ],
  },
  {
    name: 'a chain of sums of many tensors',
    limits: { arguments: 6 },
    plan: /^as several kernels: in one it needs 22 arguments, and there are 6$/,
    inputs: Array.from({ length: 20 }, (_, i) => f32(i, 40, 3)),
    build: (b, x) => [x.reduce((p, q, i) => one(b, i % 2 === 0 ? 'mul' : 'add', [one(b, 'sin', [p]), q]))],
  },
  {
    name: 'several results of many tensors, and rows of them',
    limits: { arguments: 8 },
    plan: /^as several kernels/,
    inputs: Array.from({ length: 9 }, (_, i) => f32(i, 40, 30)),
    build: (b, x) => {
      const sums = x.map((_, i) => one(b, 'tanh', [one(b, 'mul', [x[i]!, x[(i + 1) % x.length]!])]));
      const all = sums.reduce((p, q) => one(b, 'add', [p, q]));
      return [...sums, all, one(b, 'softmax', [all], { axis: 1 })];
    },
  },
  {
    name: 'a product with what follows it on many tensors',
    limits: { arguments: 10 },
    plan: /^as several kernels/,
    inputs: [f32(1, 40, 30), f32(2, 30, 20), ...Array.from({ length: 9 }, (_, i) => f32(i, 40, 20))],
    build: (b, [x, w, ...rest]) => [rest.reduce((p, q) => one(b, 'add', [p, q]), one(b, 'matmul', [x!, w!]))],
  },
  {
    name: 'many tensors joined',
    limits: { arguments: 24 },
    plan: /^as several kernels: in one it needs 51 arguments, and there are 24$/,
    inputs: Array.from({ length: 50 }, (_, i) => f32(i, 2, (i % 3) + 1, 2)),
    build: (b, x) => [one(b, 'concat', x, { axis: 1 })],
  },
];

for (const c of CASES)
  onAdapter(`${c.name}: the bits of a device with more`, async (t) => {
    const module = moduleFor(c);
    const target = wgslTarget(c.limits);
    const lowered = lowerFunc(fuse(module, target).funcs.get('main')!, target);
    t.true(lowered.notes.length > 0);
    for (const { plan } of lowered.notes) t.regex(plan, c.plan);
    for (const item of lowered.body.items)
      if (item.kind === 'kernel') t.is(excessOf(item.call.kernel, target.limits!), null);
    const more = await runOnGrid(adapter!, module, 'main', c.inputs);
    const less = await runOnGrid(adapter!, module, 'main', c.inputs, { limits: c.limits });
    less.forEach((x, i) => t.deepEqual(x.data, more[i]!.data, `result ${i}`));
  });

onAdapter('random graphs in kernels of few arguments and little memory', async (t) => {
  await fc.assert(
    fc.asyncProperty(randomGraph(), async ({ module, inputs }) => {
      const plain = decompose(module);
      const more = await runOnGrid(adapter!, plain, 'main', inputs);
      const less = await runOnGrid(adapter!, plain, 'main', inputs, {
        limits: { arguments: 12, workgroupBytes: 2048 },
      });
      t.deepEqual(
        less.map((x) => [...x.data]),
        more.map((x) => [...x.data]),
      );
    }),
    { numRuns: 8 },
  );
});

onAdapter('LeNet trains to the same bits in kernels of few arguments and little memory', async (t) => {
  const on = await device('webgpu');
  const trained = async (gpuLimits: Partial<KernelLimits>): Promise<readonly number[]> => {
    const { blocks } = compile(network('lenet'), { targets: ['wasm', 'webgpu'], gpuLimits });
    const model = await Object.values(blocks)[0]!.create({ seed: 3, device: on });
    const [x, y] = [
      await randn([4, 1, 28, 28], { seed: 1 }).to(on),
      await tensor([1, 2, 3, 4], { dtype: 'i32' }).to(on),
    ];
    const losses: Tensor[] = [];
    for (let i = 0; i < 3; i++) losses.push(model.train_step(x, y).loss);
    return Promise.all(losses.map((l) => l.item()));
  };
  t.deepEqual(await trained({ arguments: 12, workgroupBytes: 2048 }), await trained({}));
});

test('a device with less than the artifact was compiled for is refused with both numbers', async (t) => {
  const dawn = (await nullDevice())!;
  const adapter = (await dawn.gpu.requestAdapter())!;
  const on = await WebGpuDevice.open(adapter, {
    name: 'webgpu:0',
    available: true,
    software: true,
    description: 'null',
    features: [],
    limits: {},
    adapter,
  });
  const { artifacts } = compile(network('lenet'), { targets: ['wasm', 'webgpu'] });
  const artifact = { ...artifacts[0]!, webgpu: { ...artifacts[0]!.webgpu!, workgroupBytes: 40000 } };
  await t.throwsAsync(modelClass(artifact).create({ device: on }), {
    instanceOf: DeviceError,
    message: /have 40000 bytes of memory; those of webgpu:0 have 16384: build it with --gpu-limit workgroupBytes=16384/,
  });
  on.destroy();
});

const network = (name: string): string => readFileSync(new URL(`../networks/${name}.net`, import.meta.url), 'utf8');

test('a network for a device with little says what is planned otherwise, with the line', (t) => {
  const gpuLimits = { workgroupBytes: 4096, arguments: 16 };
  const { artifacts, diagnostics } = compile(network('lenet'), { targets: ['wasm', 'webgpu'], gpuLimits });
  t.true(artifacts[0]!.webgpu!.workgroupBytes <= gpuLimits.workgroupBytes);
  for (const k of artifacts[0]!.webgpu!.kernels) t.true(k.args.length <= gpuLimits.arguments);
  t.true(diagnostics.length > 0);
  for (const d of diagnostics) {
    t.is(d.code, 'NW4060');
    t.not(d.span.file, '');
  }
  const { diagnostics: none } = compile(network('lenet'), { targets: ['wasm', 'webgpu'] });
  t.deepEqual(none, []);
});

test('what no plan makes small enough is an error with its place and numbers', (t) => {
  const source = 'export block Rows {\n  forward(x: f32[B, 1000]) -> i32[B] => argmax(x, dim: 1)\n}';
  const refused = (gpuLimits: Partial<KernelLimits>) => {
    const { artifacts, diagnostics } = compile(source, { targets: ['wasm', 'webgpu'], gpuLimits });
    t.is(artifacts.length, 0);
    t.deepEqual(
      diagnostics.map((d) => [d.code, source.slice(d.span.start, d.span.end)]),
      [['NW4061', 'argmax(x, dim: 1)']],
    );
    return diagnostics[0]!.message;
  };
  t.regex(refused({ workgroupBytes: 1024 }), /`argmax` needs 2,048 bytes of workgroup memory, and there are 1,024/);
  t.regex(refused({ arguments: 2 }), /`argmax` needs 3 arguments, and there are 2/);
  const { diagnostics } = compile(source, { gpuLimits: { arguments: 2 } });
  t.deepEqual(diagnostics, [], 'nothing is made for a GPU');
});

test('a block of arguments has one size: asking for more is of no use', (t) => {
  t.deepEqual(wgslTarget({ arguments: 1000, workgroupBytes: 32768 }).limits, { arguments: 256, workgroupBytes: 32768 });
  t.is(4 * wgslTarget().limits!.arguments, ARGUMENT_BYTES);
});

test('rounds of a tree share their memory', (t) => {
  const b = new IrBuilder();
  const x = value({ elem: 'f32', shape: [sym('B'), dim(500)] });
  const sums = Array.from({ length: 30 }, (_, i) => one(b, 'sum', [one(b, 'mul', [x, b.constant(i)])], { axes: [1] }));
  const module = moduleOf(func('main', [x], b.ops, [sums.reduce((p, q) => one(b, 'add', [p, q]))]));
  const target = wgslTarget();
  const { body, notes } = lowerFunc(fuse(module, target).funcs.get('main')!, target);
  const kernels = body.items.flatMap((i) => (i.kind === 'kernel' ? [i.call.kernel] : []));
  t.deepEqual(kernels.map(workgroupBytes), [16384], 'the least that every device has');
  t.deepEqual(notes, []);
});
