/** Members that a `for` repeats, names for files, requirements: what the block ends up with. */
import test from 'ava';
import { verify } from '../../src/ir/verify.ts';
import { block, check } from '../support/check.ts';

const RNN = `
  block Rnn(input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = true, bidirectional: bool = false) {
    require num_layers > 0, "num_layers is {num_layers}: one layer at least"
    const suffixes = if bidirectional { ["", "_reverse"] } else { [""] }
    for layer in 0..num_layers {
      for suffix in suffixes {
        const width = if layer == 0 { input_size } else { hidden_size * len(suffixes) }
        param weight_ih as "weight_ih_l{layer}{suffix}": f32[hidden_size, width] ~ uniform(-0.1, 0.1)
        param weight_hh as "weight_hh_l{layer}{suffix}": f32[hidden_size, hidden_size] ~ uniform(-0.1, 0.1)
        if bias { param bias_ih as "bias_ih_l{layer}{suffix}": f32[hidden_size] ~ zeros() }
      }
    }
    forward(x: f32[B, input_size]) -> f32[B, hidden_size * len(suffixes)] {
      for (layer, ws) in enumerate(weight_ih) {
        parts = [for (d, w) in enumerate(ws): x @ transpose(w)]
        x = cat(parts, dim: 1)
        if bias { x = x + cat(bias_ih[layer], dim: 0) }
      }
      x
    }
  }
  export block Net(layers: int = 2, bias: bool = true) {
    rnn = Rnn(3, 4, num_layers: layers, bias: bias, bidirectional: true)
    init { **.bias_ih_l0_reverse ~ ones() }
    forward(x: f32[B, 3]) -> f32[B, 8] => rnn(x)
  }`;

test('a `for` over members names tensors as PyTorch names those of an RNN, in its order', (t) => {
  const made = block(RNN);
  const names = ['weight_ih', 'weight_hh', 'bias_ih'];
  const keys = ['l0', 'l0_reverse', 'l1', 'l1_reverse'].flatMap((l) => names.map((n) => `rnn.${n}_${l}`));
  t.deepEqual(
    made.stateDict.map((e) => e.name),
    keys,
  );
  const shapes = new Map(made.tensors.map((x) => [x.name, x.type.shape.join()]));
  t.is(shapes.get('rnn.weight_ih_l0'), '4,3');
  t.is(shapes.get('rnn.weight_ih_l1_reverse'), '4,8');
  t.is(made.tensors.find((x) => x.name === 'rnn.bias_ih_l0_reverse')?.initText, 'ones()');
  // Each draws under its own name.
  t.is(new Set(made.tensors.map((x) => x.drawPath)).size, keys.length);
  t.deepEqual(verify(made.module), []);
});

test('a member that no round has is absent, and a selector that names it matches silently', (t) => {
  const made = block(RNN, { bias: false });
  t.is(made.tensors.length, 8);
});

test('a requirement that does not hold is all that is said', (t) => {
  t.deepEqual(check(RNN, { hyper: { layers: 0 } }).diagnostics, ['NW4040 num_layers is 0: one layer at least']);
});

test('layers of a `for` have the names that `as` gives them, and lie in a list', (t) => {
  const made = block(`
    import { Linear } from "std/nn"
    export block Stages(n: int = 3) {
      for i in 1..n + 1 { stage as "layer{i}" = Linear(4, 4, bias: false) }
      head as "fc" = Linear(4, 2)
      init { layer2.weight ~ zeros() }
      forward(x: f32[B, 4]) -> f32[B, 2] {
        for s in stage { x = s(x) }
        head(x) + stage[0].weight[0, 0]
      }
    }`);
  t.deepEqual(
    made.stateDict.map((e) => e.name),
    ['layer1.weight', 'layer2.weight', 'layer3.weight', 'fc.weight', 'fc.bias'],
  );
  t.deepEqual(
    made.tree.children.map((c) => c.path),
    ['layer1', 'layer2', 'layer3', 'fc'],
  );
});

test('sizes of the run are required when they are bound, and known ones at once', (t) => {
  const source = (dims: string): string => `
    fn positions(x: f32[B, T]) {
      require T <= 8, "only 8 positions"
      x
    }
    export block A { forward(x: f32[${dims}]) -> f32[${dims}] => positions(x) }`;
  const made = block(source('B, T'));
  const { checks } = made.module.funcs.get('A_forward')!;
  t.deepEqual(
    checks.map((c) => `${c.left} >= ${c.right}: ${c.message}`),
    ['8 >= T: only 8 positions'],
  );
  t.deepEqual(block(source('B, 8')).module.funcs.get('A_forward')!.checks, []);
  t.deepEqual(check(source('B, 9')).diagnostics, ['NW4040 only 8 positions']);
});

test('patterns take tuples apart at any depth, and fields are replaced as parts are', (t) => {
  const made = block(`
    type Cache = { k: f32[B, 4], pos: i32[] }
    fn step(c: Cache, x: f32[B]) -> (Cache, (f32[B], int)) {
      c.k[:, c.pos] = x
      c.pos = c.pos + 1
      (c, (x, 2))
    }
    export block A {
      forward(x: f32[B]) -> f32[B, 4] {
        (c, (y, n)) = step({ k: full([B, 4], 0.0), pos: i32(0) }, x)
        for (i, (a, b)) in enumerate([(1, 2), (3, 4)]) { c.k = c.k * float(a + b + i + n) }
        c.k
      }
    }`);
  t.deepEqual(verify(made.module), []);
  t.deepEqual(
    check(`export block A { buffer b: f32[3] ~ zeros()
      forward(x: f32[3]) -> f32[3] {
        b[0] = 1.0
        x.k = x
        x
      } }`).diagnostics,
    ['NW1018 this cannot stand left of `=`', 'NW2009 f32[3] has no member `k`'],
  );
});
