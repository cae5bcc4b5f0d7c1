/** Every example compiles, runs and learns: a few steps on made-up data (training on real digits is tested at the command line). */
import { readdirSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { compile } from '../../src/compile.ts';
import { tensor, type Model, type Tensor } from '../../src/runtime/index.ts';
import { reference } from '../support/networks.ts';

const folder = new URL('../../examples/', import.meta.url);

async function create(name: string, hyper: Readonly<Record<string, number>> = {}): Promise<Model> {
  const { blocks, diagnostics } = compile(readFileSync(new URL(`${name}.net`, folder), 'utf8'), { hyper });
  const [Block] = Object.values(blocks);
  if (!Block) throw new Error(diagnostics.map((d) => `${d.code} ${d.message}`).join('\n'));
  return Block.create({ seed: 1 });
}

/** Numbers in (-1, 1) that look random. */
const made = (shape: readonly number[], phase = 0): Tensor =>
  tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(12.9898 * i + phase)),
    { shape },
  );
const classes = (n: number, count: number): Tensor => tensor(Int32Array.from({ length: n }, (_, i) => i % count));

/** The loss after the steps is well below the first: the gradients point the right way and reach the parameters. */
function learns(t: ExecutionContext, model: Model, args: readonly Tensor[], steps: number): void {
  const losses = Array.from({ length: steps }, () => model.train_step(...args).loss.readSync()[0]!);
  t.true(losses.every(Number.isFinite));
  t.true(losses.at(-1)! < losses[0]! / 2, `from ${losses[0]} to ${losses.at(-1)}`);
}

test('the README lists every example', (t) => {
  const readme = readFileSync(new URL('../README.md', folder), 'utf8');
  for (const name of readdirSync(folder)) t.true(readme.includes(`(examples/${name})`), name);
});

test('the same file compiles to the same bytes', (t) => {
  for (const name of ['tied', 'lenet']) {
    const source = readFileSync(new URL(`${name}.net`, folder), 'utf8');
    const [first, second] = [compile(source), compile(source)].map((c) => c.artifacts[0]!);
    t.is(first!.hash, second!.hash);
    t.deepEqual(first!.wasm, second!.wasm);
  }
});

test('mlp', async (t) => {
  const model = await create('mlp', { hidden: 32 });
  t.deepEqual(
    [...model.state_dict().keys()],
    ['1', '3', '5'].flatMap((i) => [`net.${i}.weight`, `net.${i}.bias`]),
  );
  learns(t, model, [made([16, 1, 28, 28]), classes(16, 10)], 40);
});

test('tied: one tensor under two names', async (t) => {
  const model = await create('tied');
  const state = model.state_dict();
  state.get('net.2.weight')!.set([0, 0], 42);
  t.is(state.get('net.4.weight')!.readSync()[0], 42);
  t.is([...model.parameters()].length, 6);
  state.get('net.2.weight')!.set([0, 0], 0.1);
  const x = made([32, 4]);
  const y = tensor(Array.from({ length: 32 }, (_, i) => [x.readSync()[4 * i]! + 0.5]));
  learns(t, model, [x, y], 60);
});

test('lenet', async (t) => {
  learns(t, await create('lenet'), [made([16, 1, 28, 28]), classes(16, 4)], 60);
});

test("resnet18: torchvision's keys, images of any size", async (t) => {
  const model = await create('resnet18', { width: 10, num_classes: 10 });
  t.deepEqual([...model.state_dict().keys()], reference('resnet18_w10').names);
  for (const [n, h, w] of [
    [1, 64, 64],
    [2, 45, 70],
  ] as const) {
    const y = model.call('forward', [made([n, 3, h, w])]) as Tensor;
    t.deepEqual(y.shape, [n, 10]);
    t.true(y.readSync().every(Number.isFinite));
  }
  learns(t, model, [made([4, 3, 32, 32]), classes(4, 4)], 8);
});
