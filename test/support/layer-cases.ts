/** Layers of std/nn with their options as PyTorch computes them (test/reference/layers), and how a case is held to it on a device. */
import { readFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import { compile, type TargetName } from '../../src/compile.ts';
import { tensor, type Model, type Tensor } from '../../src/runtime/index.ts';
import { close } from './networks.ts';
import { readSafetensors } from './safetensors.ts';

export interface LayerCase {
  readonly name: string;
  readonly net: string;
  /** Of the method that calls the layer, where that takes more than `layer(x0, ...)`. */
  readonly body?: string;
  readonly state: readonly string[];
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
}

const at = (name: string): URL => new URL(`../reference/layers/${name}`, import.meta.url);
export const LAYER_CASES = JSON.parse(readFileSync(at('cases.json'), 'utf8')) as readonly LayerCase[];
const stored = readSafetensors(at('cases.safetensors').pathname);

const elemOf = (c: LayerCase, i: number): 'i32' | 'f32' =>
  stored.get(`${c.name}/in/${i}`)!.dtype === 'I64' ? 'i32' : 'f32';
const typeOf = (c: LayerCase, i: number): string => `${elemOf(c, i)}[${c.inputs[i]!.join(', ')}]`;

export const blocksIn = (net: string): readonly string[] => [...new Set(net.match(/\b[A-Z]\w+(?=\()/g))];

/** The layer as `layer`; the inputs to be differentiated are parameters as well, so that `backward` gives their gradients. */
function source(c: LayerCase): string {
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

/** Keys, outputs in both modes, running statistics and gradients. `noise`: what f32 loses beside the scale of a tensor. */
export async function checkLayer(
  t: ExecutionContext,
  c: LayerCase,
  device: 'cpu' | 'webgpu',
  noise: number,
): Promise<void> {
  const targets: readonly TargetName[] = device === 'cpu' ? ['wasm'] : ['wasm', device];
  const { blocks, diagnostics } = compile(source(c), { verify: true, targets });
  t.deepEqual(
    diagnostics.filter((d) => d.severity === 'error').map((d) => d.message),
    [],
  );
  const model: Model = await blocks['Case']!.create({ device });
  const state = model.state_dict();
  t.deepEqual(
    [...state.keys()].filter((k) => k.startsWith('layer.')),
    c.state.map((k) => `layer.${k}`),
  );
  const load = (): void => {
    for (const k of c.state) state.get(`layer.${k}`)!.copy_(stored.get(`${c.name}/state/${k}`)!.data);
  };
  const args = await Promise.all(
    c.inputs.map((shape, i) => {
      const x = stored.get(`${c.name}/in/${i}`)!;
      return tensor(Array.from(x.data), { dtype: elemOf(c, i), shape }).to(model.device);
    }),
  );
  const check = async (what: string, made: Tensor, key: string): Promise<void> =>
    close(t, what, await made.read(), stored.get(`${c.name}/${key}`)!, noise);
  load();
  await check('evaluated', model.call('forward', args) as Tensor, 'eval');
  await check('in training', model.call('forward', args, { training: true }) as Tensor, 'train');
  for (const k of c.state) await check(`${k} after a call in training`, state.get(`layer.${k}`)!, `after/${k}`);
  load();
  const cot = stored.get(`${c.name}/cot`)!;
  model.backward(...args, await tensor(Array.from(cot.data), { shape: cot.shape }).to(model.device));
  const grads = new Map(model.named_parameters());
  for (const key of [...stored.keys()].filter((k) => k.startsWith(`${c.name}/grad/`))) {
    const [, , kind, ...rest] = key.split('/');
    const p = grads.get(kind === 'in' ? `dx${rest[0]}` : `layer.${rest.join('/')}`)!;
    await check(`gradient of ${p.name}`, p.grad!, key.slice(c.name.length + 1));
  }
}
