/** Names are PyTorch's: what `state_dict()` lists, in which order, and which names are one tensor. */
import test from 'ava';
import { block } from '../support/check.ts';

const names = (source: string): string[] =>
  block(source).stateDict.map((s) => s.name + (s.transposed ? ' (transposed)' : ''));

test('own parameters, own buffers, then children in order of declaration', (t) => {
  t.deepEqual(
    names(`
      import { BatchNorm2d, Linear } from "std/nn"
      export block A {
        fc = Linear(4, 2)
        norm = BatchNorm2d(3)
        buffer seen: i32[] stored i64 ~ zeros()
        param scale: f32[4] ~ ones()
        forward(x: f32[B, 4], y: f32[B, 3, H, W]) -> f32[B, 2] {
          update seen = seen + 1
          fc(x * scale) + mean(norm(y))
        }
      }`),
    [
      'scale',
      'seen',
      'fc.weight',
      'fc.bias',
      'norm.weight',
      'norm.bias',
      'norm.running_mean',
      'norm.running_var',
      'norm.num_batches_tracked',
    ],
  );
});

test('seq and lists number their elements, functions included; named elements keep their names', (t) => {
  t.deepEqual(
    names(`
      import { Linear } from "std/nn"
      export block A(deep: bool = true) {
        net = seq { Linear(4, 4); relu; if deep { Linear(4, 4) }; head = Linear(4, 2, bias: false) }
        more = [for i in 0..2: Linear(2, 2, bias: false)]
        forward(x: f32[B, 4]) -> f32[B, 2] {
          y = net(x)
          for layer in more { y = layer(y) }
          y
        }
      }`),
    ['net.0.weight', 'net.0.bias', 'net.2.weight', 'net.2.bias', 'net.head.weight', 'more.0.weight', 'more.1.weight'],
  );
});

test('a let has the names of its places, one tensor, and the draws of its declaration', (t) => {
  const { stateDict, tensors } = block(`
    import { Linear } from "std/nn"
    export block A {
      let shared = Linear(4, 4, bias: false)
      net = seq { shared; relu; shared }
      forward(x: f32[B, 4]) -> f32[B, 4] => net(x)
    }`);
  t.deepEqual(stateDict, [
    { name: 'net.0.weight', tensor: 0, transposed: false },
    { name: 'net.2.weight', tensor: 0, transposed: false },
  ]);
  t.deepEqual(
    tensors.map((x) => [x.name, x.drawPath]),
    [['net.0.weight', 'shared.weight']],
  );
});

test('a tie is one tensor under two names; the owner is canonical even where it comes later', (t) => {
  const { stateDict, tensors, methods } = block(`
    import { Linear } from "std/nn"
    export block A {
      up = Linear(6, 4, bias: false)
      down = Linear(4, 6, bias: false)
      tie up.weight = transpose(down.weight)
      forward(x: f32[B, 4]) -> f32[B, 4] => up(down(x))
    }`);
  t.deepEqual(stateDict, [
    { name: 'up.weight', tensor: 0, transposed: true },
    { name: 'down.weight', tensor: 0, transposed: false },
  ]);
  t.deepEqual(
    tensors.map((x) => x.name),
    ['down.weight'],
  );
  t.deepEqual(methods[0]!.eval.tensors, [0]);
});

test('a block argument is fresh wherever it is placed', (t) => {
  t.deepEqual(
    names(`
      import { Linear } from "std/nn"
      block Twice(body: block) {
        first = body
        second = body
        forward(x: f32[...S]) -> f32[...S] => second(first(x))
      }
      export block A {
        twice = Twice(Linear(4, 4, bias: false))
        forward(x: f32[B, 4]) -> f32[B, 4] => twice(x)
      }`),
    ['twice.first.weight', 'twice.second.weight'],
  );
});

test('constants that are drawn are tensors outside of the state dict', (t) => {
  const { stateDict, tensors } = block(`
    export block A {
      const w: f32[3] ~ rand()
      param v: f32[3] ~ rand()
      forward(x: f32[B, 3]) -> f32[B, 3] => x * w * v
    }`);
  t.deepEqual(
    stateDict.map((s) => s.name),
    ['v'],
  );
  t.deepEqual(
    tensors.map((x) => `${x.role} ${x.name} ${x.trainable}`),
    ['param v true', 'const w false'],
  );
});

test('hyper-parameters from outside decide which members exist', (t) => {
  const source = `
    import { Linear } from "std/nn"
    export block A(bias: bool = true, width: int = 3) {
      fc = Linear(4, width, bias: bias)
      forward(x: f32[B, 4]) -> f32[B, width] => fc(x)
    }`;
  const made = block(source, { bias: false, width: 7 });
  t.deepEqual(
    made.stateDict.map((s) => s.name),
    ['fc.weight'],
  );
  t.deepEqual(made.hyper, { bias: false, width: 7 });
});
