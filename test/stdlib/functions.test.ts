/**
 * The library's functions against PyTorch: values and gradients, in the float64 interpreter. The reference cases have their expressions
 * in cases.ts, more of them (test/reference/functions/generate.py) beside them.
 */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { interpret } from '../../src/ir/interpret.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { vjp } from '../../src/ir/passes/autodiff.ts';
import { elaborated } from '../support/elaborated.ts';
import { close } from '../support/networks.ts';
import { readSafetensors } from '../support/safetensors.ts';
import { CASES, OTHERWISE } from './cases.ts';

interface Case {
  readonly name: string;
  readonly torch: string;
  readonly net?: string;
  readonly inputs: Readonly<Record<string, readonly [string, readonly number[]]>>;
  readonly outputs: readonly (readonly [string, readonly number[]])[];
  readonly grads: readonly string[];
  readonly noise_f32_vs_f64?: { readonly out: readonly number[]; readonly grad: Readonly<Record<string, number>> };
}

const at = (name: string): URL => new URL(`../reference/${name}`, import.meta.url);
const casesOf = (folder: string): readonly Case[] =>
  (JSON.parse(readFileSync(at(`${folder}/cases.json`), 'utf8')) as { cases: readonly Case[] }).cases;
const cases = [...casesOf('ops').filter((c) => c.name in CASES), ...casesOf('functions')];
const stored = new Map(
  ['ops', 'functions'].flatMap((folder) => [...readSafetensors(at(`${folder}/cases.safetensors`).pathname)]),
);
const netOf = (c: Case): string => c.net ?? CASES[c.name]!;
const ELEMS: Readonly<Record<string, 'f32' | 'i32' | 'bool'>> = { float32: 'f32', int64: 'i32', bool: 'bool' };

const typeOf = ([dtype, shape]: readonly [string, readonly number[]]): string => `${ELEMS[dtype]}[${shape.join(', ')}]`;

/** A block with the expression as `value`, and as `loss` the sum that PyTorch differentiated: of outputs times cotangents. */
function source(c: Case): string {
  const inputs = Object.entries(c.inputs).map(([name, type]) => `${name}: ${typeOf(type)}`);
  const names = c.outputs.map((_, i) => `o${i}`);
  const body =
    c.outputs.length === 1 ? `=> ${netOf(c)}` : `{ (${names.join(', ')}) = ${netOf(c)}; (${names.join(', ')}) }`;
  const cotangents = c.outputs.map((type, i) => `c${i}: ${typeOf(type)}`);
  const call = `value(${Object.keys(c.inputs).join(', ')})`;
  const smooth = names.flatMap((n, i) => (typeOf(c.outputs[i]!).startsWith('f32') ? [`sum(${n} * c${i})`] : []));
  const [take, products] =
    names.length === 1 ? ['', `sum(${call} * c0)`] : [`(${names.join(', ')}) = ${call}`, smooth.join(' + ')];
  const loss = `loss(${[...inputs, ...cotangents].join(', ')}) -> f32[] {\n    ${take}\n    ${products}\n  }`;
  return `
export block Case() {
  value(${inputs.join(', ')}) ${body}
  ${c.grads.length > 0 ? loss : ''}
}
`;
}

const input = (key: string, [dtype, shape]: readonly [string, readonly number[]]): NdArray =>
  ndarray(ELEMS[dtype]!, shape, stored.get(key)!.data);

for (const c of cases) {
  test(`${c.name}: ${c.torch}`, (t) => {
    const { block } = elaborated(source(c));
    const inputs = Object.entries(c.inputs).map(([name, type]) => input(`${c.name}/in/${name}`, type));
    const method = (name: string): string => block.methods.find((m) => m.name === name)!.eval.func;
    const outputs = interpret(block.module, method('value'), inputs);
    t.is(outputs.length, c.outputs.length);
    outputs.forEach((made, i) => {
      t.deepEqual(made.shape, c.outputs[i]![1]);
      close(t, `output ${i}`, made.data, stored.get(`${c.name}/out/${i}`)!, c.noise_f32_vs_f64?.out[i]);
    });
    if (c.grads.length === 0) return;
    const wrt = c.grads.map((name) => Object.keys(c.inputs).indexOf(name));
    const made = vjp(block.module, method('loss'), wrt);
    const cotangents = c.outputs.map((type, i) =>
      stored.has(`${c.name}/cot/${i}`) ? input(`${c.name}/cot/${i}`, type) : ndarray(ELEMS[type[0]]!, type[1]),
    );
    const results = interpret(made.module, made.func, [...inputs, ...cotangents]);
    c.grads.forEach((name, i) => {
      if (OTHERWISE[c.name]?.includes(name)) return;
      close(
        t,
        `gradient of ${name}`,
        results[1 + i]!.data,
        stored.get(`${c.name}/grad/${name}`)!,
        c.noise_f32_vs_f64?.grad[name],
      );
    });
  });
}
