/** The WGSL printer: Dawn accepts the shaders and builds pipelines of them. */
import test from 'ava';
import { absent } from '../support/absent.ts';
import {
  add,
  eq,
  KernelBuilder,
  lane,
  load,
  mul,
  shuffle,
  splat,
  f32,
  bin,
  un,
  cast,
  select,
  lt,
} from '../../src/codegen/builder.ts';
import type { BinOp, UnOp } from '../../src/codegen/kernel.ts';
import { printKernel } from '../../src/codegen/print.ts';
import { printWgsl } from '../../src/codegen/wgsl/print.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import { samples } from '../support/sample-kernels.ts';
import { RandomKernels } from '../support/random-kernels.ts';
import { moduleFault, nullDevice, shaderFault } from '../support/webgpu.ts';

const dawn = await nullDevice();
const withDawn = dawn ? test : test.skip;
if (!dawn) test('skipped: the package `webgpu` gives no adapter (npm install webgpu)', absent);

for (const { name, call } of samples({ kind: 'wgsl', lanes: 4, registers: 15, fma: true }))
  withDawn(`${name} is a valid shader`, async (t) => {
    t.is(await shaderFault(dawn!.device, printWgsl(call.kernel).code), null);
  });

withDawn('axes become ids, shared arrays workgroup memory, barriers barriers', async (t) => {
  const k = new KernelBuilder();
  const x = k.buffer('x', 'f32');
  const out = k.buffer('out', 'f32', 'write');
  const rows = k.scalar('rows');
  const tile = k.local('tile', 'f32', 64, 'shared');
  k.for(
    0,
    rows,
    2,
    (r) =>
      k.for(
        0,
        64,
        1,
        (i) => {
          const at = k.let(add(mul(r, 64), i), 'at');
          k.store(tile, i, load(x, at));
          k.barrier();
          k.store(out, at, load(tile, k.let(bin('xor', i, 1))));
        },
        'invocation.x',
      ),
    'workgroup.y',
  );
  const shader = printWgsl(k.finish('swap', [NO_ORIGIN]));
  t.deepEqual(shader.workgroupSize, [64, 1, 1]);
  t.deepEqual(shader.grid, { extents: [1, ['max', 0, ['/', ['+', '2', 1], 2]], 1], folded: true });
  t.regex(shader.code, /= group_y \* 2;/);
  t.regex(shader.code, /workgroupBarrier/);
  t.is(await shaderFault(dawn!.device, shader.code), null);
});

withDawn('names that WGSL reserves are escaped', async (t) => {
  const k = new KernelBuilder();
  const x = k.buffer('loop', 'f32');
  const out = k.buffer('é var', 'f32', 'write');
  const n = k.scalar('target');
  const inf = k.let(add(load(x, n), f32(Infinity)), 'min_f32');
  k.store(out, 0, add(inf, f32(NaN)));
  t.is(await shaderFault(dawn!.device, printWgsl(k.finish('fn', [NO_ORIGIN])).code), null);
});

withDawn('every operator, scalar and vector, in every storage format', async (t) => {
  const k = new KernelBuilder();
  const [f, i, u, b, h, g] = [
    k.buffer('f', 'f32', 'readwrite'),
    k.buffer('i', 'i32', 'readwrite'),
    k.buffer('u', 'u32', 'readwrite'),
    k.buffer('b', 'bool', 'readwrite'),
    k.buffer('h', 'f16', 'readwrite'),
    k.buffer('g', 'bf16', 'readwrite'),
  ];
  const floats: readonly BinOp[] = ['add', 'sub', 'mul', 'div', 'min', 'max', 'pmin', 'pmax'];
  const ints: readonly BinOp[] = [...floats, 'rem', 'and', 'or', 'xor', 'shl', 'shr'];
  const compare: readonly BinOp[] = ['eq', 'ne', 'lt', 'le', 'gt', 'ge'];
  const rounding: readonly UnOp[] = ['neg', 'abs', 'sqrt', 'floor', 'ceil', 'trunc', 'round'];
  for (const lanes of [1, 4]) {
    for (const op of floats) k.store(f, 0, bin(op, load(f, 4, lanes), load(f, 8, lanes)));
    for (const op of rounding) k.store(f, 0, un(op, load(f, 4, lanes)));
    for (const buf of [i, u]) {
      for (const op of ints) k.store(buf, 0, bin(op, load(buf, 4, lanes), load(buf, 8, lanes)));
      for (const op of ['not', 'clz', 'popcnt', 'abs', 'neg'] as const) k.store(buf, 0, un(op, load(buf, 4, lanes)));
      for (const op of compare) k.store(b, 0, bin(op, load(buf, 4, lanes), load(buf, 8, lanes)));
      k.store(buf, 0, cast(load(f, 0, lanes), buf === i ? 'i32' : 'u32'));
      k.store(f, 0, cast(load(buf, 0, lanes), 'f32'));
      k.store(b, 0, cast(load(buf, 0, lanes), 'bool'));
    }
    for (const op of ['and', 'or', 'xor', 'eq', 'ne'] as const)
      k.store(b, 0, bin(op, load(b, 4, lanes), load(b, 8, lanes)));
    k.store(b, 0, un('not', load(b, 4, lanes)));
    k.store(f, 0, select(lt(load(f, 0, lanes), 1), load(f, 4, lanes), load(g, 0, lanes)));
    k.store(f, 0, load(h, 0, lanes));
  }
  k.store(h, 0, load(f, 0, 4));
  k.store(g, 0, shuffle(load(f, 0, 4), load(f, 4, 4), [0, 4, 7, 1]));
  k.store(f, 0, lane(load(f, 0, 4), 2));
  k.if(
    eq(load(i, 0), 3),
    () => k.store(f, 0, splat(f32(-0), 4)),
    () => k.store(i, 0, k.let(load(i, 1))),
  );
  t.is(await shaderFault(dawn!.device, printWgsl(k.finish('all', [NO_ORIGIN])).code), null);
});

withDawn('random kernels are valid shaders', async (t) => {
  const random = new RandomKernels(11, 4, true);
  for (let i = 0; i < 150; i++) {
    const kernel = random.kernel(`k${i}`);
    const { code } = printWgsl(kernel);
    const fault = await moduleFault(dawn!.device, code);
    if (fault !== null) t.fail(`${fault}\n${printKernel(kernel)}`);
  }
  t.pass();
});
