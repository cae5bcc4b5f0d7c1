/** Generated modules: they compile under the strictest settings, carry the static dims, run, and quote what is not theirs. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeModule } from '../../src/codegen/module/index.ts';
import { compile } from '../../src/index.ts';
import type { Artifact } from '../../src/runtime/artifact.ts';
import { tensor, type Model, type Tensor } from '../../src/runtime/index.ts';

const SOURCE = `
import { Linear, Conv2d, Flatten } from "std/nn"

/// A layer with a name of its own.
block Head(n: int) {
  fc = Linear(8, n)
  forward(x: f32[B, 8]) -> f32[B, n] => fc(x)
}

/// Named as what the module imports.
export block Model {
  step = Linear(2, 3)
  then = seq { Linear(3, 2, bias: false) }
  tie then.0.weight = transpose(step.weight)
  rec(c: {k: f32[B, T, 2], n: i32[]}, class: i32[]) -> {k: f32[B, T, 2], n: i32[]} => { k: then(step(c.k)), n: c.n + class }
  held(x: f32[B, 2], mask: f32[B]? = none, state: {h: f32[B, 2], pos: i32[]}? = none) => if state { (x, state) } else { x }
  many(x: f32[B], N: int, scale: f32[]? = none) -> f32[B, N] => x[:, none] + f32(arange(N))
  pair(x: f32[B, 2], options: f32[B, 3]) -> (f32[B, 3], f32[B, 2]) => (options, x)
}

/// Two layers. Ends no comment: */ here.
export block Net(classes: int = 3) {
  stem = seq { Conv2d(1, 2, kernel_size: 3); relu; Flatten() }
  heads = [for i in 0..2: Head(classes)]
  forward(x: f32[B, 1, 4, 4]) -> f32[B, classes] {
    h = stem(x)
    heads[0](h) + heads[1](h)
  }
  /// Mean squared error.
  loss(x: f32[B, 1, 4, 4], default: f32[B, classes]) -> f32[] => mse_loss(forward(x), default)
  train { loss = loss; optimizer = SGD(lr: 0.1) }
}
`;

const compiled = compile(SOURCE);
const [artifact] = compiled.artifacts.filter((a) => a.name === 'Net') as [Artifact];
const runtime = resolve('src/runtime/index.ts');

async function inFolder<T>(use: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-module-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const USE = `
import { Model, Net } from './net.net.ts';
import { tensor, zeros, type Parameter, type Tensor } from 'netwright/runtime';
export async function main(): Promise<void> {
  const model = await Net.create({ seed: 1, device: 'cpu' });
  const x = zeros([5, 1, 4, 4]);
  const y: Tensor<'f32', [number, 3]> = model.forward(x, { training: true });
  const weight: Parameter<'f32', [2, 1, 3, 3]> = model.stem[0].weight;
  const bias: Tensor<'f32', [3]> = model.heads[1].fc.bias.data;
  for (const head of model.heads) head.fc.weight.data.set([0, 0], 1);
  const { loss } = model.train_step(x, y, { lr: 0.1 });
  const scalar: Tensor<'f32', []> = loss;
  const rows: number[][][][] = [[[[1, 2, 3, 4]]]];
  model.forward(tensor(rows)); // its shape is known only when it runs
  const passed = (t: Tensor<'f32'>): Tensor<'f32'> => model.forward(t);
  passed(x);
  model.optimizer.lr = 0.5;
  const other = await Model.create();
  const c = other.rec({ k: zeros([1, 4, 2]), n: zeros([], { dtype: 'i32' }) }, zeros([], { dtype: 'i32' }));
  const k: Tensor<'f32', [number, number, 2]> = c.k;
  const plain: Tensor<'f32', [number, 2]> = other.held(zeros([1, 2]), zeros([1]));
  const state = { h: zeros([1, 2]), pos: zeros([], { dtype: 'i32' }) };
  const [, held]: readonly [unknown, { readonly pos: Tensor<'i32', []> }] = other.held(zeros([1, 2]), undefined, state);
  const many: Tensor<'f32', [number, number]> = other.many(zeros([2]), 3, null, { seed: 1 });
  const [p, q] = other.pair(zeros([1, 2]), zeros([1, 3]), { seed: 2 });
  const pair: [Tensor<'f32', [number, 3]>, Tensor<'f32', [number, 2]>] = [p, q];
  const tied: Parameter<'f32', [2, 3]> = other.then[0].weight;
  const steps: number = other.step; // a model's own
  // @ts-expect-error a wrong size deep in a record
  other.rec({ k: zeros([1, 4, 3]), n: zeros([], { dtype: 'i32' }) }, zeros([], { dtype: 'i32' }));
  // @ts-expect-error a wrong size
  model.forward(zeros([5, 1, 4, 5]));
  // @ts-expect-error a wrong size in lists that are written out
  model.forward(tensor([[[[1, 2, 3, 4]]]]));
  // @ts-expect-error a wrong rank
  model.forward(zeros([5, 4, 4]));
  // @ts-expect-error a wrong element type
  model.forward(tensor(new Int32Array(16), { shape: [1, 1, 4, 4] }));
  // @ts-expect-error no such layer
  model.stem[0].wieght;
  // @ts-expect-error an argument too few
  model.train_step(x);
  void [weight, bias, scalar, k, pair, tied, steps, plain, held, many];
}
`;

for (const form of ['ts', 'js'] as const) {
  test(`the ${form} form compiles under the strictest settings and carries static dims`, async (t) => {
    const written = writeModule(compiled.artifacts, { source: 'net.net' });
    await inFolder((folder) => {
      if (form === 'ts') writeFileSync(join(folder, 'net.net.ts'), written.ts);
      else {
        writeFileSync(join(folder, 'net.net.js'), written.js);
        writeFileSync(join(folder, 'net.net.d.ts'), written.dts);
      }
      writeFileSync(join(folder, 'use.ts'), form === 'ts' ? USE : USE.replace('net.net.ts', 'net.net.js'));
      const base = JSON.parse(readFileSync('tsconfig.json', 'utf8')) as { compilerOptions: object };
      const compilerOptions = {
        ...base.compilerOptions,
        skipLibCheck: false,
        types: ['node'],
        paths: { 'netwright/runtime': [runtime] },
        typeRoots: [resolve('node_modules/@types')],
      };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }));
      writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
      try {
        execFileSync('npx', ['tsc', '-p', folder], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
        t.pass();
      } catch (e) {
        t.fail((e as { stdout: string }).stdout);
      }
    });
  });
}

test('both forms run and give the same numbers as the class made in memory', async (t) => {
  const written = writeModule(compiled.artifacts, { source: 'net.net' });
  const x = tensor(
    Float32Array.from({ length: 32 }, (_, i) => Math.sin(i)),
    { shape: [2, 1, 4, 4] },
  );
  const memory: Model = await compiled.blocks['Net']!.create({ seed: 3 });
  const want = await (memory.call('forward', [x]) as Tensor).read();
  for (const [ext, text] of [
    ['ts', written.ts],
    ['js', written.js],
  ] as const) {
    const made = await inFolder((folder) => {
      writeFileSync(
        join(folder, `m.${ext}`),
        text.replaceAll("'netwright/runtime'", JSON.stringify(pathToFileURL(runtime))),
      );
      return load(folder, `m.${ext}`);
    });
    const model = (await made['Net']!.create({ seed: 3 })) as { forward(x: Tensor): Tensor };
    t.deepEqual(await model.forward(x).read(), want);
  }
});

type Classes = Record<string, { create(o?: object): Promise<unknown> }>;
const load = (folder: string, file: string): Promise<Classes> =>
  import(pathToFileURL(join(folder, file)).href) as Promise<Classes>;

test('bytes depend on the artifact only', (t) => {
  const again = compile(SOURCE).artifacts;
  t.deepEqual(writeModule(again, { source: 'net.net' }), writeModule(compiled.artifacts, { source: 'net.net' }));
});

test('names and texts of the source are quoted', async (t) => {
  const evil =
    "</script>'];globalThis.hacked = true;//\u2028*/globalThis.hacked = true;/*\n`${globalThis.hacked = true}";
  const hostile: Artifact = {
    ...artifact,
    name: 'class',
    doc: evil,
    tree: {
      ...artifact.tree,
      doc: evil,
      children: artifact.tree.children.map((c) => ({ ...c, name: evil, doc: evil })),
    },
    methods: artifact.methods.map((m) => ({
      ...m,
      doc: evil,
      signature: m.signature.map((_, i) => ['default', 'options', 'a-b'][i]!),
      args: m.args.map((a, i) => ({ ...a, name: ['default', 'options', 'a-b'][i]! })),
    })),
  };
  const written = writeModule([hostile], { source: evil });
  for (const [ext, text] of [
    ['ts', written.ts],
    ['js', written.js],
  ] as const) {
    const made = await inFolder((folder) => {
      writeFileSync(
        join(folder, `h.${ext}`),
        text.replaceAll("'netwright/runtime'", JSON.stringify(pathToFileURL(runtime))),
      );
      return load(folder, `h.${ext}`);
    });
    t.deepEqual(Object.keys(made), ['class']);
    t.false(text.includes('</script'));
  }
  t.is((globalThis as Record<string, unknown>)['hacked'], undefined);
});

test('documentation of blocks, methods, layers and tensors stands where an editor shows it', (t) => {
  const { artifacts, diagnostics } = compile(`import { Linear } from "std/nn"
    /// The block.
    export block Documented {
      /// The weight.
      param w: f32[2] ~ ones()
      /// The layer.
      fc = Linear(2, 2)
      /// Another one.
      again = Inner()
      /// The method.
      forward(x: f32[B, 2]) -> f32[B, 2] => again(fc(x * w))
    }
    /// The block inside.
    block Inner {
      /// The buffer.
      buffer seen: f32[] ~ zeros()
      forward(x: f32[...S]) -> f32[...S] => x + seen
    }`);
  t.deepEqual(diagnostics, []);
  for (const text of [
    writeModule(artifacts, { source: 'd.net' }).ts,
    writeModule(artifacts, { source: 'd.net' }).dts,
  ]) {
    const above = (line: RegExp): string => {
      const lines = text.split('\n');
      return lines[lines.findIndex((l) => line.test(l)) - 1]!.trim();
    };
    t.is(above(/class Documented /), '/** The block. */');
    t.is(above(/readonly w: /), '/** The weight. */');
    t.is(above(/readonly fc: /), '/** The layer. */');
    t.is(above(/readonly again: /), '/** Another one. */');
    t.is(above(/readonly seen: /), '/** The buffer. */');
    t.is(above(/interface Documented\$Inner /), '/** The block inside. */');
    t.is(above(/^ +forward</), '/** The method. */');
  }
});
