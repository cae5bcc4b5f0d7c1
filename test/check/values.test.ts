/** Initial values and the plan of training: which rule wins, which parameters train together. */
import test from 'ava';
import { verify } from '../../src/ir/verify.ts';
import { block, check } from '../support/check.ts';

const NET = `
  a = Linear(4, 4)
  b = Linear(4, 2)
  forward(x: f32[B, 4]) -> f32[B, 2] => b(relu(a(x)))
  loss(x: f32[B, 4]) -> f32[] => mean(forward(x))
`;
const program = (members: string): string => `import { Linear } from "std/nn"\nexport block A {${NET}${members}}`;
const texts = (source: string): Record<string, string> =>
  Object.fromEntries(block(source).tensors.map((x) => [x.name, x.initText]));

test('later rules win, outer blocks after inner ones, and the arguments are shown by value', (t) => {
  const source = `
    import { Linear } from "std/nn"
    block Inner {
      fc = Linear(4, 4)
      init { Linear.weight ~ ones(); fc.bias ~ ones() }
      forward(x: f32[B, 4]) -> f32[B, 4] => fc(x)
    }
    export block A(std: float = 0.02) {
      x1 = Inner()
      x2 = Inner()
      init { **.weight ~ zeros(); x2.fc.weight ~ normal(std: 2.0 * std) }
      forward(x: f32[B, 4]) -> f32[B, 4] => x2(x1(x))
    }`;
  t.deepEqual(texts(source), {
    'x1.fc.weight': 'zeros()',
    'x1.fc.bias': 'ones()',
    'x2.fc.weight': 'normal(std: 0.04)',
    'x2.fc.bias': 'ones()',
  });
});

test('defaults see the shape of what they fill', (t) => {
  const made = block(program(''));
  t.is(made.tensors[0]!.initText, 'kaiming_uniform(a: 2.236)');
  t.deepEqual(verify(made.module), []);
  for (const x of made.tensors) {
    const f = made.module.funcs.get(x.init)!;
    t.deepEqual(
      f.body.results.map((r) => [r.type.elem, r.type.shape.map(String)]),
      [['f32', x.type.shape.map(String)]],
    );
    t.is(f.body.params.length, 1);
  }
});

test('a rule for what a condition left out matches silently; a rule for nothing does not', (t) => {
  const source = (rule: string): string => `
    import { Linear } from "std/nn"
    export block A {
      fc = Linear(4, 4, bias: false)
      init { ${rule} ~ zeros() }
      forward(x: f32[B, 4]) -> f32[B, 4] => fc(x)
    }`;
  t.deepEqual(check(source('Linear.bias')).diagnostics, []);
  t.deepEqual(check(source('Linear.beta')).diagnostics, ['NW4018 `Linear.beta` selects nothing in A']);
});

test('tied names may not get two different rules, but may get one twice', (t) => {
  const source = (second: string): string => `
    import { Linear } from "std/nn"
    export block A {
      a = Linear(4, 4)
      b = Linear(4, 4)
      tie b.weight = a.weight
      init { a.weight ~ normal(std: 0.5); b.weight ~ ${second} }
      forward(x: f32[B, 4]) -> f32[B, 4] => b(a(x))
    }`;
  t.deepEqual(check(source('normal(std: 1.0 / 2.0)')).diagnostics, []);
  t.regex(check(source('zeros()')).diagnostics[0]!, /^NW4019 /);
});

test('groups hold parameters of equal hyper-parameters; frozen ones are in none', (t) => {
  const { train, tensors } = block(
    program(`
      train {
        optimizer = AdamW(lr: 1e-3)
        override **.bias { weight_decay = 0.0 }
        override b.** { lr = 0.1 }
        freeze a.weight
        clip_norm = 1.0
        epochs = 3
        schedule = step => 1.0 / (1.0 + f32(step))
      }`),
  );
  const named = train!.groups.map((g) => ({ tensors: g.tensors.map((i) => tensors[i]!.name), hyper: g.hyper }));
  const betas = { 'betas.0': 0.9, 'betas.1': 0.999 };
  t.deepEqual(named, [
    { tensors: ['a.bias'], hyper: { lr: 1e-3, ...betas, eps: 1e-8, weight_decay: 0 } },
    { tensors: ['b.weight'], hyper: { lr: 0.1, ...betas, eps: 1e-8, weight_decay: 0.01 } },
    { tensors: ['b.bias'], hyper: { lr: 0.1, ...betas, eps: 1e-8, weight_decay: 0 } },
  ]);
  t.deepEqual([train!.limits.clip_norm, train!.epochs, train!.loss], [1, 3, 'loss']);
  t.is(tensors[0]!.trainable, false);
});

test('an elementwise optimizer is one flat program, another one has a program for each shape', (t) => {
  const flat = block(program('train { optimizer = SGD(lr: 0.1, momentum: 0.9) }')).train!.optimizer;
  t.is(flat.flat?.func, 'SGD_step');
  t.deepEqual(
    flat.state.map((s) => [s.name, s.like, s.elem]),
    [
      ['momentum_buffer', 'param', 'f32'],
      ['steps', 'scalar', 'i32'],
    ],
  );
  const normed = `
    optimizer Normed(lr: float = 0.1) {
      buffer mean_grad: f32[...S] ~ zeros()
      step(p: f32[...S], g: f32[...S]) -> f32[...S] {
        update mean_grad = 0.9 * mean_grad + 0.1 * g
        p - lr * mean_grad / norm(mean_grad)
      }
    }`;
  const made = block(`${program('train { optimizer = Normed() }')}\n${normed}`);
  t.is(made.train!.optimizer.flat, null);
  t.deepEqual(Object.keys(made.train!.optimizer.byShape).sort(), ['2', '2x4', '4', '4x4']);
  t.deepEqual(verify(made.module), []);
});
