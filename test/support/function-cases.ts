/**
 * Functions of the library as PyTorch computes them: the reference cases (test/reference/ops, with their expressions in
 * test/stdlib/cases.ts) and more beside them (test/reference/functions and shapes, with a generate.py each), and how a case is run.
 */
import { readFileSync } from 'node:fs';
import type { ExecutionContext } from 'ava';
import type { Target } from '../../src/codegen/call.ts';
import type { Module } from '../../src/ir/ir.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { vjp } from '../../src/ir/passes/autodiff.ts';
import { PROGRAM_PASSES, runPasses } from '../../src/ir/pipeline.ts';
import { CASES, OTHERWISE } from '../stdlib/cases.ts';
import { elaborated } from './elaborated.ts';
import { close } from './networks.ts';
import { readSafetensors, type Stored } from './safetensors.ts';

export interface FunctionCase {
  readonly name: string;
  readonly torch: string;
  readonly net?: string;
  readonly inputs: Readonly<Record<string, readonly [string, readonly number[]]>>;
  readonly outputs: readonly (readonly [string, readonly number[]])[];
  readonly grads: readonly string[];
  readonly noise_f32_vs_f64?: { readonly out: readonly number[]; readonly grad: Readonly<Record<string, number>> };
}

const at = (name: string): URL => new URL(`../reference/${name}`, import.meta.url);
const casesIn = (folder: string): readonly FunctionCase[] =>
  (JSON.parse(readFileSync(at(`${folder}/cases.json`), 'utf8')) as { cases: readonly FunctionCase[] }).cases;

export const FUNCTION_CASES: readonly FunctionCase[] = [
  ...casesIn('ops').filter((c) => c.name in CASES),
  ...casesIn('functions'),
  ...casesIn('shapes'),
];
const stored = new Map(
  ['ops', 'functions', 'shapes'].flatMap((folder) => [...readSafetensors(at(`${folder}/cases.safetensors`).pathname)]),
);
const netOf = (c: FunctionCase): string => c.net ?? CASES[c.name]!;
const ELEMS: Readonly<Record<string, 'f32' | 'i32' | 'bool'>> = {
  float32: 'f32',
  int64: 'i32',
  int32: 'i32',
  bool: 'bool',
};

const typeOf = ([dtype, shape]: readonly [string, readonly number[]]): string => `${ELEMS[dtype]}[${shape.join(', ')}]`;

/** A block with the expression as `value`, and as `loss` the sum that PyTorch differentiated: of outputs times cotangents. */
function source(c: FunctionCase): string {
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

/** How a function of a module is run: in the interpreter, compiled for a target. */
export type Run = (
  module: Module,
  func: string,
  inputs: readonly NdArray[],
) => readonly NdArray[] | Promise<readonly NdArray[]>;

/** Huge numbers beside small ones: every element is held to its own size, and the noise of the huge ones says nothing. */
const UNEVEN: ReadonlySet<string> = new Set(['un_nan_to_num', 'l2norm_zero']);

function agree(t: ExecutionContext, c: FunctionCase, what: string, made: NdArray, stored: Stored, noise: number): void {
  if (!UNEVEN.has(c.name)) return close(t, what, made.data, stored, noise);
  for (const [i, x] of stored.data.entries()) {
    close(t, `${what}, element ${i}`, [made.data[i]!], { ...stored, data: Float64Array.of(x) });
  }
}

/** Compares values and gradients of a case with PyTorch's. `rounding` is what f32 arithmetic may add to the stated noise. */
export async function checkCase(t: ExecutionContext, c: FunctionCase, run: Run, rounding = 0): Promise<void> {
  const { block } = elaborated(source(c));
  const inputs = Object.entries(c.inputs).map(([name, type]) => input(`${c.name}/in/${name}`, type));
  const method = (name: string): string => block.methods.find((m) => m.name === name)!.eval.func;
  const noise = (given: number | undefined): number => Math.max(given ?? 0, rounding);
  const outputs = await run(block.module, method('value'), inputs);
  t.is(outputs.length, c.outputs.length);
  outputs.forEach((made, i) => {
    t.deepEqual(made.shape, c.outputs[i]![1]);
    agree(t, c, `output ${i}`, made, stored.get(`${c.name}/out/${i}`)!, noise(c.noise_f32_vs_f64?.out[i]));
  });
  if (c.grads.length === 0) return;
  const wrt = c.grads.map((name) => Object.keys(c.inputs).indexOf(name));
  const made = vjp(block.module, method('loss'), wrt);
  const cotangents = c.outputs.map((type, i) =>
    stored.has(`${c.name}/cot/${i}`) ? input(`${c.name}/cot/${i}`, type) : ndarray(ELEMS[type[0]]!, type[1]),
  );
  const results = await run(made.module, made.func, [...inputs, ...cotangents]);
  c.grads.forEach((name, i) => {
    if (OTHERWISE[c.name]?.includes(name)) return;
    agree(
      t,
      c,
      `gradient of ${name}`,
      results[1 + i]!,
      stored.get(`${c.name}/grad/${name}`)!,
      noise(c.noise_f32_vs_f64?.grad[name]),
    );
  });
}

/** Some roundings of f32 at the size of the numbers involved, which are near 1. */
export const ROUNDING = 2e-6 / 8;

/** The module after all passes before fusion. */
export const compiledFor = (module: Module, func: string, target: Target): Module =>
  runPasses(
    PROGRAM_PASSES.filter((p) => p.name !== 'fuse'),
    module,
    { roots: [func], target, merge: true },
    { verify: true },
  );

/** These run a loop, which needs the linker and the runtime: they are compiled in tests of layers and networks. */
export const LOOPS: ReadonlySet<string> = new Set(['ctc_none', 'ctc_mean']);
