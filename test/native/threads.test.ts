/** Threads of native code: every result has the same bits whatever their number, and kernels really are shared. */
import { compile } from '../../src/compile.ts';
import { isShared } from '../../src/codegen/c/parallel.ts';
import { tensor, thisMachine, type Model, type ModelClass, type Tensor } from '../../src/runtime/index.ts';
import { onNative } from '../support/native.ts';
import { reference, withAdamW, type Reference } from '../support/networks.ts';

const run = await onNative();
const machine = await thisMachine();
const COUNTS = [1, 2, 3];

function classOf(source: string): ModelClass {
  const { blocks } = compile(source, { targets: ['wasm', 'native'], ...(machine && { machine }) });
  return Object.values(blocks)[0]!;
}

async function argsOf(model: Model, r: Reference): Promise<Tensor[]> {
  const { methods, train } = model.artifact;
  const entry = methods.find((m) => m.name === train!.loss)!;
  return Promise.all(
    entry.args.map((a) => {
      const x = r.inputs.get(a.name)!;
      const dtype = x.dtype === 'I64' ? 'i32' : 'f32';
      return tensor(Array.from(x.data), { dtype, shape: x.shape }).to(model.device);
    }),
  );
}

/** The loss of some steps, and all that they leave behind, as bits. */
async function trained(made: ModelClass, r: Reference, threads: number): Promise<Map<string, Uint32Array>> {
  const model: Model = await made.create({ device: 'native', threads });
  await model.load(`${r.folder}/params.safetensors`);
  const args = await argsOf(model, r);
  const out = new Map<string, Uint32Array>();
  const bits = (x: ArrayLike<number>): Uint32Array => new Uint32Array(Float32Array.from(x).buffer);
  for (let step = 0; step < 3; step++) out.set(`loss ${step}`, bits(await model.train_step(...args).loss.read()));
  for (const [name, x] of model.state_dict()) out.set(name, bits(await x.read()));
  return out;
}

for (const name of ['lenet', 'gpt2_mini', 'resnet18_w10'])
  run(`${name}: training steps have the same bits on ${COUNTS.join(', ')} threads`, async (t) => {
    t.timeout(900_000); // the C compiler on a busy machine
    const r = reference(name);
    const made = classOf(withAdamW(r.source));
    const [one, ...others] = await Promise.all(COUNTS.map((n) => trained(made, r, n)));
    for (const other of others) for (const [key, x] of one!) t.deepEqual(other.get(key), x, key);
  });

run('sizes that no number of threads divides: products, rows, columns and elements', async (t) => {
  t.timeout(900_000);
  const made = classOf(`
export block Net {
  forward(x: f32[M, K], w: f32[K, N]) -> f32[M, N] => softmax(gelu(x @ w), dim: -1)
  columns(x: f32[M, K]) -> f32[K] => sum(exp(x), dim: 0)
  elements(x: f32[M, K]) -> f32[M, K] => tanh(x) * x
}`);
  const values = (rows: number, cols: number): number[][] =>
    Array.from({ length: rows }, (_, i) => Array.from({ length: cols }, (_v, j) => Math.sin(i * 31 + j * 17)));
  const results = [];
  for (const threads of [...COUNTS, 7]) {
    const model = await made.create({ device: 'native', threads });
    const x = tensor(values(301, 1037), { device: model.device });
    const w = tensor(values(1037, 261), { device: model.device });
    const all = [model.call('forward', [x, w]), model.call('columns', [x]), model.call('elements', [x])] as Tensor[];
    results.push(all.map((y) => y.readSync().slice()));
  }
  for (const other of results.slice(1)) t.deepEqual(other, results[0]);
});

run('a kernel whose loops pass something on outside of parallel ones is not shared', (t) => {
  const { blocks } = compile('export block Net { forward(x: f32[M, K], w: f32[K, N]) -> f32[M, N] => x @ w }', {
    targets: ['wasm', 'native'],
    ...(machine && { machine }),
  });
  const code = blocks['Net']!.artifact.native!;
  t.true(
    code.units.some((u) => u.includes('netwright_barrier()')),
    'a product is',
  );
  const i = { kind: 'var', name: 'i', type: { elem: 'i32', lanes: 1 }, mutable: true } as const;
  const zero = { k: 'const', value: 0, type: i.type } as const;
  const loop = { s: 'for', var: { ...i, mutable: false }, from: zero, to: zero, step: 1, axis: 'parallel' } as const;
  const kernel = { name: 'k', params: [], origins: [] };
  t.true(isShared({ ...kernel, body: [{ ...loop, body: [] }] }));
  t.false(
    isShared({
      ...kernel,
      body: [
        { s: 'let', var: i, value: zero },
        { ...loop, body: [{ s: 'set', var: i, value: zero }] },
      ],
    }),
  );
});
