/** What `console.log` shows of tensors, parameters and models, and what is said to whoever calls them as in PyTorch. */
import { inspect } from 'node:util';
import test from 'ava';
import { compile } from '../../src/index.ts';
import {
  arange,
  DTypeError,
  ones,
  ShapeError,
  tensor,
  UsageError,
  zeros,
  type Elem,
  type Shape,
  type Tensor,
} from '../../src/runtime/index.ts';

const { blocks } = compile(`
  import { Linear } from "std/nn"
  block Scaled() {
    param scale: f32[2] ~ ones()
    layer = Linear(2, 3)
    forward(x: f32[B, 2]) -> f32[B, 3] => layer(x * scale)
  }
  export block Net() {
    body = seq { Scaled(); relu; Linear(3, 1) }
    forward(x: f32[B, 2]) -> f32[B, 1] => body(x)
    loss(x: f32[B, 2], y: f32[B, 1]) -> f32[] => mse_loss(forward(x), y)
    train { loss = loss; optimizer = SGD(lr: 0.1) }
  }`);
const Net = blocks['Net']!;

test('a tensor shows its type and its values', (t) => {
  t.is(inspect(tensor([[1, 2.5], [1 / 3, -4]])), 'Tensor(f32[2, 2] [[1, 2.5], [0.333333, -4]], cpu)'); // prettier-ignore
  t.is(inspect(tensor(7)), 'Tensor(f32[] 7, cpu)');
  t.is(inspect(tensor([], { shape: [2, 0] })), 'Tensor(f32[2, 0] [[], []], cpu)');
  t.is(inspect(tensor([true, false])), 'Tensor(bool[2] [1, 0], cpu)');
  t.is(inspect(arange(10)), 'Tensor(i32[10] [0, 1, 2, ..., 7, 8, 9], cpu)');
  const rows = inspect(tensor(new Float32Array(700).fill(0.5), { shape: [100, 7] }));
  t.is(rows.match(/\[0\.5, 0\.5, 0\.5, \.\.\., 0\.5, 0\.5, 0\.5\]/g)?.length, 6);
  t.regex(rows, /^Tensor\(f32\[100, 7\] \[\[.*\], \.\.\., \[.*\]\], cpu\)$/);
});

test('a model shows its layers, a parameter its name', async (t) => {
  const model = await Net.create();
  const lines = [
    'Net(15 parameters, cpu)',
    '  body: seq',
    '    0: Scaled  scale [2]',
    '      layer: Linear  weight [3, 2]  bias [3]',
    '    1: relu',
    '    2: Linear  weight [1, 3]  bias [1]',
  ];
  t.is(inspect(model), lines.join('\n'));
  t.is(inspect(model.get_submodule('body.2')), 'Linear  weight [1, 3]  bias [1]');
  const scale = [...model.parameters()].find((p) => p.name === 'body.0.scale');
  t.is(inspect(scale), 'Parameter(body.0.scale: f32[2] [1, 1], cpu)');
  const result = model.call('forward', [ones([1, 2])]) as Tensor;
  t.regex(inspect(result), /^Tensor\(f32\[1, 1\] \[\[-?\d\.\d+\]\], cpu\)$/);
});

test('slice copies rows', (t) => {
  const x = tensor([[1, 2], [3, 4], [5, 6]]); // prettier-ignore
  const part = x.slice(1, 3);
  t.deepEqual([[...part.shape], [...part.readSync()]], [[2, 2], [3, 4, 5, 6]]); // prettier-ignore
  part.set([0, 0], 9);
  t.deepEqual([...x.readSync()], [1, 2, 3, 4, 5, 6]);
  t.deepEqual([...x.slice(3, 3).shape], [0, 2]);
  for (const [from, to] of [
    [-1, 2],
    [2, 1],
    [0, 4],
    [0.5, 1],
  ] as const)
    // prettier-ignore
    t.throws(() => x.slice(from, to), { instanceOf: ShapeError, message: /outside the rows of \[3, 2\]/ });
  t.throws(() => tensor(1).slice(0, 1), { instanceOf: ShapeError });
});

test('habits of PyTorch get an answer', async (t) => {
  const loose = (f: unknown): ((...args: unknown[]) => unknown) => f as (...args: unknown[]) => unknown;
  t.throws(() => loose(zeros)(4, 3), { instanceOf: ShapeError, message: /a shape is a list, such as \[4, 3\], not 4/ });
  t.throws(() => loose(tensor)([1], { dtype: 'float32' }), {
    instanceOf: DTypeError,
    message: /no element type "float32"; there are f32, f16, bf16, i32, u32, bool/,
  });
  t.throws(() => Reflect.construct(Net as unknown as new () => unknown, []), {
    instanceOf: UsageError,
    message: /await .*\.create\(/,
  });
  await t.throwsAsync(async () => loose(Net.create.bind(Net))({ sed: 1 }), {
    instanceOf: UsageError,
    message: /Net\.create has no option "sed"; it has seed, device/,
  });
  await t.throwsAsync(async () => loose(Net.create.bind(Net))({ hyper: { n: 1 } }), { message: /--set name=value/ });
  const model = await Net.create();
  await t.throwsAsync(model.save('net.onnx'), { instanceOf: UsageError, message: /net\.onnx: weights are written as/ });
  // A generated method passes `undefined` for what its caller left out.
  t.throws(() => model.train_step(ones([4, 2]), undefined), { message: /takes 2 arguments, not 1$/ });
  t.throws(() => model.train_step(ones([4, 2]), zeros([4, 1], { dtype: 'i32' })), {
    instanceOf: DTypeError,
    message: /tensor\(values, \{ dtype: 'f32' \}\)/,
  });
});

test('a filled tensor has the element type that is written, not the one that would fit', (t) => {
  const classes = <S extends Shape>(y: Tensor<'i32', S>): Elem => y.dtype;
  t.is(classes(zeros([4], { dtype: 'i32' })), 'i32');
  // @ts-expect-error f32 where classes are wanted
  t.is(classes(zeros([4])), 'f32');
  // @ts-expect-error as above
  t.is(classes(ones([4], { device: 'cpu' })), 'f32');
});
