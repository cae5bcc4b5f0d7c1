/** Settings of a `train` block from outside do what the same lines in the file do, and their faults are shown as lines. */
import test from 'ava';
import { compile, type CompileResult } from '../../src/compile.ts';
import type { TrainSettings } from '../../src/check/index.ts';
import { renderAll } from '../../src/diagnostics/index.ts';
import { folder, netwright } from '../support/cli.ts';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const net = (settings: string): string => `import { Linear } from "std/nn"

export block Net(rate: float = 0.5) {
  fc = Linear(4, 2)
  head = Linear(2, 1)
  forward(x: f32[B, 4]) -> f32[B, 1] => head(fc(x))
  loss(x: f32[B, 4], y: f32[B, 1]) -> f32[] => mse_loss(forward(x), y)
  other(x: f32[B, 4], y: f32[B, 1]) -> f32[] => l1_loss(forward(x), y)
  train {
    ${settings}
    override head.** { weight_decay = 0.25 }
  }
}

/// Its second default is made of the first.
optimizer Paced(lr: float = 0.1, floor: float = lr / 10.0, flags: (bool, bool) = (true, false)) {
  step(p: f32[...S], g: f32[...S]) -> f32[...S] => p - maximum(lr, floor) * g
}
export block Small {
  param w: f32[2] ~ ones()
  loss(x: f32[2]) -> f32[] => sum(w * x)
  train { optimizer = Paced() }
}
`;
const WRITTEN = 'loss = loss; optimizer = SGD(lr: 0.1, momentum: 0.9); epochs = 3; clip_norm = 1.0';

const shown = (r: CompileResult): string => renderAll(r.diagnostics, r.sources, { width: 100 });
const given = (train: TrainSettings, block = 'Net'): CompileResult => compile(net(WRITTEN), { block, train });

const CASES: readonly { readonly title: string; readonly train: TrainSettings; readonly lines: string }[] = [
  { title: 'a hyper-parameter of the optimizer', train: { lr: 0.01 }, lines: WRITTEN.replace('0.1', '0.01') },
  {
    title: 'an int where a float is meant, and one that stood nowhere',
    train: { lr: 1, nesterov: true, weight_decay: 1e-7 },
    lines: WRITTEN.replace('lr: 0.1', 'lr: 1.0, nesterov: true, weight_decay: 1e-7'),
  },
  {
    title: 'another optimizer, with hyper-parameters',
    train: { optimizer: 'AdamW(weight_decay: 0.1)', betas: [0.8, 0.99], lr: 'rate / 100.0' },
    lines: WRITTEN.replace(
      'SGD(lr: 0.1, momentum: 0.9)',
      'AdamW(lr: rate / 100.0, betas: (0.8, 0.99), weight_decay: 0.1)',
    ),
  },
  {
    title: 'numbers, methods, schedules',
    train: { epochs: 7, loss: 'other', schedule: 'step => 1.0 / f32(step + 1)', accumulate: 2, clip_norm: 1e21 },
    lines: `loss = other; optimizer = SGD(lr: 0.1, momentum: 0.9); epochs = 7; clip_norm = 1e21; accumulate = 2
    schedule = step => 1.0 / f32(step + 1)`,
  },
  { title: 'the name of a data set', train: { data: 'mnist' }, lines: `${WRITTEN}; data = "mnist"` },
];

for (const { title, train, lines } of CASES) {
  test(title, (t) => {
    const outside = given(train);
    t.is(shown(outside), '');
    const [got] = outside.artifacts;
    const [want] = compile(net(lines), { block: 'Net' }).artifacts;
    t.deepEqual(got!.train, want!.train);
    t.is(got!.hash, want!.hash);
    t.notDeepEqual(got!.train, given({}).artifacts[0]!.train);
  });
}

test('defaults that are made of a hyper-parameter follow it', (t) => {
  const [made] = given({ lr: 0.5 }, 'Small').artifacts;
  t.deepEqual(made!.train!.groups[0]!.hyper, { lr: 0.5, floor: 0.05 });
});

test('faults are shown as the lines they would be', (t) => {
  t.snapshot(shown(given({ lrr: 0.1, epoch: 3 })));
  t.snapshot(shown(given({ lr: 'fast' })));
  t.snapshot(shown(given({ lr: true, epochs: 0, loss: 'los' })));
  t.snapshot(shown(given({ optimizer: 'SGD', schedule: 'cosine_lr(' })));
  t.snapshot(shown(compile('export block A { forward(x: f32[B]) -> f32[B] => x }', { train: { lr: 0.1 } })));
});

test('the command line', async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, 'net.net'), net(WRITTEN));
  const build = (...train: string[]) =>
    netwright(['build', 'net.net', '--block', 'Net', '--emit', 'ir', ...train.flatMap((x) => ['--train', x])], { cwd });
  const plain = await build();
  const other = await build('optimizer=Adam()', 'betas=(0.5, 0.75)');
  t.is(other.code, 0, other.err);
  t.not(other.out, plain.out);
  const wrong = await build('momentun=0.5');
  t.is(wrong.code, 1);
  t.regex(wrong.err, /NW4025.*no setting `momentun`[\s\S]*did you mean `momentum`/);
  t.is((await build('momentum')).code, 2);
});
