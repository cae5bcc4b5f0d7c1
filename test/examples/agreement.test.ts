/** Fused equals unfused equals the float64 reference, on the examples that need no data of their own: loss, gradients, buffers. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { diskHost } from '../../src/cli/host.ts';
import { compile } from '../../src/compile.ts';
import type { MethodEntry } from '../../src/runtime/artifact.ts';
import { tensor, type Model, type Tensor } from '../../src/runtime/index.ts';
import { ROOT } from '../support/cli.ts';
import { elaborated } from '../support/elaborated.ts';
import { Interpreted } from '../support/interpreted.ts';
import type { Stored } from '../support/safetensors.ts';

interface Example {
  readonly hyper: Readonly<Record<string, number>>;
  /** Sizes of the method's symbols. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** Sizes small enough for the reference, which is plain loops in float64. */
const EXAMPLES: Readonly<Record<string, Example>> = {
  'mlp.net': { hyper: {}, sizes: { B: 5 } },
  'tied.net': { hyper: {}, sizes: { B: 7 } },
  'lenet.net': { hyper: {}, sizes: { B: 3 } },
  'resnet18.net': { hyper: { width: 4, num_classes: 6 }, sizes: { B: 2, H: 33, W: 40 } },
};

/** Arguments of a method, the same for every machine. */
function inputs(method: MethodEntry, sizes: Readonly<Record<string, number>>): Map<string, Stored> {
  return new Map(
    method.args.map((a, k) => {
      if (a.spec.kind !== 'tensor') throw new Error(`${a.name} is no tensor`);
      const shape = a.spec.shape.map((s) => (typeof s === 'number' ? s : sizes[String(s)]!));
      const count = shape.reduce((x, y) => x * y, 1);
      const whole = a.spec.elem === 'i32';
      const data = Float64Array.from({ length: count }, (_, i) =>
        whole ? (i * 5 + 3) % 6 : Math.fround(Math.sin((i + 1) * 12.9898 + k)),
      );
      return [a.name, { dtype: whole ? 'I32' : 'F32', shape, data }];
    }),
  );
}

const tensors = (method: MethodEntry, values: ReadonlyMap<string, Stored>): Tensor[] =>
  method.args.map((a) => {
    const { shape, data } = values.get(a.name)!;
    return tensor(Array.from(data), { shape, dtype: a.spec.kind === 'tensor' ? a.spec.elem : 'f32' });
  });

/** Largest difference relative to the largest magnitude. */
function near(
  t: ExecutionContext,
  what: string,
  found: ArrayLike<number>,
  wanted: ArrayLike<number>,
  tolerance: number,
): void {
  t.is(found.length, wanted.length, what);
  let scale = 0;
  let worst = 0;
  for (let i = 0; i < wanted.length; i++) {
    scale = Math.max(scale, Math.abs(wanted[i]!));
    const d = Math.abs(found[i]! - wanted[i]!);
    worst = Number.isNaN(d) ? Infinity : Math.max(worst, d);
  }
  t.true(worst <= tolerance * Math.max(scale, 1e-3), `${what}: off by ${worst} at scale ${scale}`);
}

for (const [file, { hyper, sizes }] of Object.entries(EXAMPLES)) {
  const source = { file: `examples/${file}`, host: diskHost(ROOT) };
  const build = async (fuse: boolean): Promise<Model> => {
    const { blocks, diagnostics } = compile(source, { hyper, fuse, verify: true });
    const [made] = Object.values(blocks);
    if (!made) throw new Error(diagnostics.map((d) => d.message).join('\n'));
    return made.create({ seed: 3 });
  };

  test(`${file}: fused, unfused and the reference agree`, async (t) => {
    const fused = await build(true);
    const plain = await build(false);
    const method = fused.artifact.methods.find((m) => m.name === (fused.artifact.train?.loss ?? 'loss'))!;
    const values = inputs(method, sizes);
    const args = tensors(method, values);
    const exact = new Interpreted(elaborated(readFileSync(join(ROOT, source.file), 'utf8'), hyper));
    for (const [name, x] of fused.state_dict()) exact.write(name, await x.read());

    const loss = async (m: Model): Promise<number> => m.backward(...args).loss.item();
    const [a, b] = [await loss(fused), await loss(plain)];
    const expected = exact.run('backward', values).get('loss')!.data[0]!;
    // 1e-5: some thousand f32 roundings of a sum of that many terms.
    near(t, 'loss', [a], [b], 1e-5);
    near(t, 'loss', [a], [expected], 1e-5);
    for (const [name, p] of fused.named_parameters()) {
      const q = [...plain.named_parameters()].find(([n]) => n === name)![1];
      // Batch norm of a few values divides by their spread: the reference itself moves by 1e-4 when inputs move by 1e-7.
      const tolerance = file === 'resnet18.net' ? 2e-2 : 1e-4;
      near(t, `grad ${name}`, await p.grad!.read(), exact.grad(name), tolerance);
      near(t, `grad ${name}`, await p.grad!.read(), await q.grad!.read(), tolerance);
    }
    for (const [name, p] of fused.named_buffers()) near(t, name, await p.data.read(), exact.read(name), 1e-4);
  });
}
