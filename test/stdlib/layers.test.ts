/** Every layer of std/nn with its options against PyTorch's: keys, outputs in both modes, running statistics, gradients. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { STDLIB } from '../../src/stdlib.generated.ts';
import { Tensor, tensor, type Model } from '../../src/runtime/index.ts';
import { close } from '../support/networks.ts';
import { readSafetensors } from '../support/safetensors.ts';

interface Case {
  readonly name: string;
  readonly net: string;
  /** Of the method that calls the layer, where that takes more than `layer(x0, ...)`. */
  readonly body?: string;
  readonly state: readonly string[];
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
}

const at = (name: string): URL => new URL(`../reference/layers/${name}`, import.meta.url);
const cases = JSON.parse(readFileSync(at('cases.json'), 'utf8')) as readonly Case[];
const stored = readSafetensors(at('cases.safetensors').pathname);

/**
 * Float32 rounds sums of a few dozen terms of size 1 to some 1e-7; the largest element of small outputs can be 0.1 and less,
 * so the scale alone would be too strict.
 */
const NOISE = 1e-7;

const typeOf = (c: Case, i: number): string =>
  `${stored.get(`${c.name}/in/${i}`)!.dtype === 'I64' ? 'i32' : 'f32'}[${c.inputs[i]!.join(', ')}]`;

const blocksIn = (net: string): readonly string[] => [...new Set(net.match(/\b[A-Z]\w+(?=\()/g))];

/** The layer as \`layer\`; the inputs to be differentiated are parameters as well, so that \`backward\` gives their gradients. */
function source(c: Case): string {
  const names = c.inputs.map((_, i) => `x${i}`);
  const floats = names.filter((_, i) => stored.has(`${c.name}/grad/in/${i}`));
  const args = names.map((n, i) => `${n}: ${typeOf(c, i)}`);
  const moved = names.map((n) => (floats.includes(n) ? `${n} + d${n}` : n));
  return `
import { ${blocksIn(c.net).join(', ')} } from "std/nn"

export block Case() {
  layer = ${c.net}
  ${floats.map((n) => `param d${n}: ${typeOf(c, names.indexOf(n))} ~ zeros()`).join('\n  ')}

  forward(${args.join(', ')}) -> f32[${c.output.join(', ')}] ${c.body ? `{ ${c.body} }` : `=> layer(${moved.join(', ')})`}
  loss(${args.join(', ')}, cot: f32[${c.output.join(', ')}]) -> f32[] => sum(forward(${names.join(', ')}) * cot)
}
`;
}

for (const c of cases) {
  test(`${c.name}: ${c.net}`, async (t) => {
    const { blocks, diagnostics } = compile(source(c), { verify: true });
    t.deepEqual(
      diagnostics.filter((d) => d.severity === 'error').map((d) => d.message),
      [],
    );
    const model: Model = await blocks['Case']!.create();
    const state = model.state_dict();
    t.deepEqual(
      [...state.keys()].filter((k) => k.startsWith('layer.')),
      c.state.map((k) => `layer.${k}`),
    );
    const load = (): void => {
      for (const k of c.state) state.get(`layer.${k}`)!.copy_(stored.get(`${c.name}/state/${k}`)!.data);
    };
    const args = c.inputs.map((shape, i) => {
      const x = stored.get(`${c.name}/in/${i}`)!;
      return tensor(Array.from(x.data), { dtype: x.dtype === 'I64' ? 'i32' : 'f32', shape });
    });
    const check = (what: string, made: Tensor, key: string): void =>
      close(t, what, made.readSync(), stored.get(`${c.name}/${key}`)!, NOISE);
    load();
    check('evaluated', model.call('forward', args) as Tensor, 'eval');
    check('in training', model.call('forward', args, { training: true }) as Tensor, 'train');
    for (const k of c.state) check(`${k} after a call in training`, state.get(`layer.${k}`)!, `after/${k}`);
    load();
    const cot = stored.get(`${c.name}/cot`)!;
    model.backward(...args, tensor(Array.from(cot.data), { shape: cot.shape }));
    const grads = new Map(model.named_parameters());
    for (const key of [...stored.keys()].filter((k) => k.startsWith(`${c.name}/grad/`))) {
      const [, , kind, ...rest] = key.split('/');
      const p = grads.get(kind === 'in' ? `dx${rest[0]}` : `layer.${rest.join('/')}`)!;
      check(`gradient of ${p.name}`, p.grad!, key.slice(c.name.length + 1));
    }
  });
}

test('every layer with parameters or options has a case', (t) => {
  const layers = [...STDLIB['std/nn']!.matchAll(/^export (?:block|fn) (\w+)/gm)].map((m) => m[1]!);
  const beside = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.test.ts'));
  const texts = beside.map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'));
  const covered = new Set([...cases.map((c) => c.net), ...texts].flatMap(blocksIn));
  t.deepEqual(
    layers.filter((l) => !covered.has(l)),
    [],
  );
});
