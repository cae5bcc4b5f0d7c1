/** A generated module as a user of PyTorch meets it: every way to a parameter, by its type and by its value. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeModule } from '../../src/codegen/module/index.ts';
import { compile } from '../../src/index.ts';

const SOURCE = `
import { Embedding, LayerNorm, Linear } from "std/nn"
block Attn(d: int) {
  q = Linear(d, d)
  k = Linear(d, d)
  forward(x: f32[B, d]) -> f32[B, d] => q(x) * k(x)
}
block Layer(d: int) {
  attn = Attn(d)
  norm = LayerNorm(d)
  forward(x: f32[B, d]) -> f32[B, d] => norm(attn(x))
}
export block Net(d: int = 4) {
  embed = Embedding(10, d)
  layers = [for i in 0..3: Layer(d)]
  net = seq { Linear(d, d); relu; Linear(d, 10, bias: false) }
  buffer seen: i32[] ~ zeros()
  tie net.2.weight = embed.weight
  forward(x: i32[B]) -> f32[B, 10] {
    h = embed(x)
    for layer in layers { h = layer(h) }
    net(h)
  }
  loss(x: i32[B], y: i32[B]) -> f32[] => cross_entropy(forward(x), y)
  train { loss = loss; optimizer = AdamW(lr: 0.1); freeze layers.0.**; override **.bias { lr = 0.5 } }
}`;

const TOUR = `
import { Net } from './net.ts';
import { apply } from 'netwright';
import { arange, tensor, zeros, type ModuleNode, type Parameter, type Tensor } from 'netwright/runtime';

const check = (what: string, got: unknown, want: unknown): void => {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(what + ': ' + a + ', and not ' + b);
};
const model = await Net.create({ seed: 1 });
const [x, y] = [tensor([1, 2, 3], { dtype: 'i32' }), tensor([0, 1, 2], { dtype: 'i32' })];

const { weight } = model.layers[2].attn.q;
const typed: Parameter<'f32', [4, 4]> = weight;
const data: Tensor<'f32', [4, 4]> = weight.data;
const before: Tensor<'f32', [4, 4]> | null = weight.grad;
const facts: ['f32', [4, 4], string, boolean] = [weight.dtype, weight.shape, weight.device, weight.requires_grad];
check('facts', facts, ['f32', [4, 4], 'cpu', true]);
check('no gradient yet', [typed.name, data.size, before], ['layers.2.attn.q.weight', 16, null]);
model.backward(x, y);
const after: Tensor<'f32', [4, 4]> = weight.grad!;
check('a gradient', (await after.read()).some((v) => v !== 0), true);
check('frozen', [model.layers[0].attn.q.weight.requires_grad, model.layers[0].attn.q.weight.grad], [false, null]);
check('no state for what is frozen', [...model.trainState().values()].reduce((n, t) => n + (t.size > 2 ? t.size : 0), 0), 2 * model.num_parameters({ only_trainable: true }));

// In place: a number, all of them, through a tied name.
model.net[0].weight.data.set([0, -1], 42);
check('set', (await model.net[0].weight.data.toArray() as number[][])[0]![3], 42);
model.net[2].weight.data.set([9, 0], 7);
check('a tied view sees it', (await model.embed.weight.data.toArray() as number[][])[9]![0], 7);
model.embed.weight.data.copy_(zeros([10, 4]));
check('and the other way', (await model.net[2].weight.data.read()).every((v) => v === 0), true);
check('tied names are one parameter', model.net[2].weight === model.embed.weight, true);
check('the forward sees it', (await model.forward(x).read()).every((v) => v === 0), true);

const layer = (i: number): string[] => ['attn.q.weight', 'attn.q.bias', 'attn.k.weight', 'attn.k.bias', 'norm.weight', 'norm.bias'].map((n) => 'layers.' + i + '.' + n);
const own = ['embed.weight', ...[0, 1, 2].flatMap(layer), 'net.0.weight', 'net.0.bias'];
check('named_parameters', [...model.named_parameters()].map(([name]) => name), own);
check('parameters', [...model.parameters()].length, own.length);
check('named_buffers', [...model.named_buffers()].map(([name, b]) => [name, b.dtype]), [['seen', 'i32']]);
check('state_dict', [...model.state_dict().keys()], ['seen', ...own, 'net.2.weight']);
check('modules', [...model.modules()].length, [...model.named_modules()].length);
check('named_modules', [...model.layers[1].named_modules()].map(([name]) => name), ['', 'attn', 'attn.q', 'attn.k', 'norm']);
check('counts by block', [model.num_parameters(), model.layers[0].num_parameters(), model.layers.num_parameters({ only_trainable: true })], [40 + 3 * 48 + 20, 48, 2 * 48]);
for (const l of model.layers) check('a list is iterated', l.norm.weight.size, 4);

const state = model.state_dict();
const partly = new Map([...state].filter(([name]) => name !== 'seen')).set('extra', zeros([1]));
check('load_state_dict', model.load_state_dict(partly, { strict: false }), { missing_keys: ['seen'], unexpected_keys: ['extra'] });
try {
  model.load_state_dict(partly);
  throw new Error('strict lets it pass');
} catch (e) {
  check('strict', (e as { code?: string }).code, 'usage');
}
check('apply', await apply(model, 'layers.*.norm.weight', 'constant(0.5)'), [0, 1, 2].map((i) => 'layers.' + i + '.norm.weight'));
check('applied', [...(await model.layers[1].norm.weight.data.read())], [0.5, 0.5, 0.5, 0.5]);
check('learning rates by selector', model.optimizer.groups.map((g) => g.lr), [0.1, 0.5]);
model.optimizer.groups[1]!.lr = 0.25;
const { loss } = model.train_step(x, y);
const scalar: Tensor<'f32', []> = loss;
check('a step', Number.isFinite(await scalar.item()), true);
const classes = arange(3, { dtype: 'i32' });
model.train_step(classes, classes, { lr: 0.01 });
const any: ModuleNode = model.get_submodule('layers.0');
check('a layer by its path', any === (model.layers[0] as ModuleNode), true);
console.log('done');

export function refused(): void {
  // @ts-expect-error no such tensor
  model.layers[0].attn.q.wieght;
  // @ts-expect-error no such layer
  model.layers[0].attention;
  // @ts-expect-error a function has no parameters of its own
  model.net[1].weight;
  // @ts-expect-error one without a bias
  model.net[2].bias;
  // @ts-expect-error a matrix has two indices
  model.net[0].weight.data.set([0], 1);
  // @ts-expect-error a gradient may not be there
  weight.grad.size;
  // @ts-expect-error it is 4 x 4
  const wide: Tensor<'f32', [5, 4]> = weight.data;
  // @ts-expect-error what a parameter is cannot be replaced, only its values
  model.net[0].weight.data = zeros([4, 4]);
  // @ts-expect-error classes are whole numbers
  model.train_step(x, tensor([0.5]));
  // @ts-expect-error one dim too many
  model.forward(zeros([1, 3], { dtype: 'i32' }));
  void wide;
}
`;

test('the tour of a module compiles under the strictest settings, and all it says is so', (t) => {
  const { artifacts, diagnostics } = compile(SOURCE);
  if (artifacts.length === 0) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const folder = mkdtempSync(join(tmpdir(), 'netwright-parameters-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const paths = { netwright: [resolve('src/index.ts')], 'netwright/runtime': [resolve('src/runtime/index.ts')] };
  writeFileSync(join(folder, 'net.ts'), writeModule(artifacts, { source: 'net.net' }).ts);
  writeFileSync(join(folder, 'tour.ts'), TOUR);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const base = JSON.parse(readFileSync('tsconfig.json', 'utf8')) as { compilerOptions: object };
  const compilerOptions = {
    ...base.compilerOptions,
    types: ['node'],
    paths,
    typeRoots: [resolve('node_modules/@types')],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['tour.ts'] }));
  const run = (command: string, ...args: readonly string[]): string => {
    try {
      return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (e) {
      const { stdout, stderr } = e as { stdout: string; stderr: string };
      return `${stdout}${stderr}`;
    }
  };
  t.is(run(process.execPath, 'node_modules/typescript/bin/tsc', '-p', folder), '');
  for (const file of ['net.ts', 'tour.ts']) {
    const text = readFileSync(join(folder, file), 'utf8');
    const linked = Object.entries(paths).reduce(
      (s, [name, [to]]) => s.replaceAll(`'${name}'`, JSON.stringify(pathToFileURL(to!))),
      text,
    );
    writeFileSync(join(folder, file), linked);
  }
  t.is(run(process.execPath, join(folder, 'tour.ts')), 'done\n');
});
