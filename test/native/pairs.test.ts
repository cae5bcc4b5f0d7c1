/**
 * Products of bf16 in pairs, where the processor has them: every form and every tile, edges of tiles, odd depths, batches, against the
 * float64 reference and PyTorch's own bf16; the same bits on any number of threads, and those that the kernel IR says.
 */
import test from 'ava';
import type { Memory } from '../../src/codegen/evaluate.ts';
import { lowerFunc } from '../../src/codegen/lower.ts';
import { nativeTarget } from '../../src/codegen/targets.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { Module } from '../../src/ir/ir.ts';
import { ndarray, sizeOf, type NdArray } from '../../src/ir/ndarray.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { fuse } from '../../src/ir/passes/fuse.ts';
import { thisMachine } from '../../src/runtime/index.ts';
import { evaluateCall } from '../support/evaluate-call.ts';
import { nativeBatch, onNative } from '../support/native.ts';
import { opModule } from '../support/op-func.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';
import { numbers } from '../support/sample-kernels.ts';

const here = await thisMachine();
const machine = { lanes: 16, registers: 32, fma: true, dot: true } as const;
const target = nativeTarget(machine);

const toBf16 = (x: number): number => {
  const word = new Uint32Array(Float32Array.of(x).buffer)[0]!;
  return new Float32Array(Uint32Array.of(word & 0xffff0000).buffer)[0]!;
};

interface Product {
  readonly sizes: readonly [m: number, n: number, k: number];
  readonly ta: boolean;
  readonly tb: boolean;
  readonly batch?: number;
}

const PRODUCTS: readonly Product[] = [
  ...[false, true].flatMap((ta) => [false, true].map((tb): Product => ({ sizes: [29, 35, 22], ta, tb }))),
  { sizes: [13, 50, 1064], ta: false, tb: true },
  { sizes: [40, 17, 23], ta: true, tb: false },
  { sizes: [200, 9, 1], ta: true, tb: false },
  { sizes: [5, 40, 66], ta: false, tb: true, batch: 3 },
  { sizes: [17, 33, 6], ta: false, tb: false, batch: 2 },
];

const inputsOf = ({ sizes: [m, n, k], ta, tb, batch }: Product): NdArray[] =>
  [ta ? [k, m] : [m, k], tb ? [n, k] : [k, n]].map((own, i) => {
    const shape = batch === undefined ? own : [batch, ...own];
    return ndarray('bf16', shape, numbers(sizeOf(shape), i + 1).map(toBf16));
  });

const moduleOf = (p: Product): Module => opModule('matmul', { transpose_a: p.ta, transpose_b: p.tb }, inputsOf(p));

const title = ({ sizes, ta, tb, batch }: Product): string =>
  `${ta ? 't' : 'n'}${tb ? 't' : 'n'} ${sizes.join('x')}${batch === undefined ? '' : ` of ${batch}`}`;

function waysOf(module: Module): readonly string[] {
  let ways: readonly string[] = [];
  const choices = (_key: string, names: readonly string[]): null => {
    ways = names;
    return null;
  };
  lowerFunc([...fuse(module, target, {}).funcs.values()][0]!, { ...target, choices });
  return ways;
}

/** By how much a result of bf16 may differ from the exact one: half a unit of its last place, and what f32 loses in the sum. */
function within(got: NdArray, exact: NdArray, sizes: NdArray, terms: number): number {
  let worst = 0;
  exact.data.forEach((e, i) => {
    const bound = 2 ** -8 * Math.abs(e) + (terms + 1) * 2 ** -23 * sizes.data[i]! + 2 ** -120;
    worst = Math.max(worst, Math.abs(got.data[i]! - e) / bound);
  });
  return worst;
}

const exactly = (p: Product, absolute = false): NdArray => {
  const inputs = inputsOf(p).map((x) => ndarray('f32', x.shape, absolute ? x.data.map(Math.abs) : x.data));
  return interpret(opModule('matmul', { transpose_a: p.ta, transpose_b: p.tb }, inputs), 'main', inputs)[0]!;
};

test('where both operands are bf16 pairs come first, and where no word is cut', (t) => {
  for (const p of PRODUCTS) t.regex(waysOf(decompose(moduleOf(p)))[0]!, /^pairs /, title(p));
  for (const [ta, tb] of [
    [false, false],
    [false, true],
    [true, true],
  ] as const)
    t.notRegex(waysOf(decompose(moduleOf({ sizes: [8, 8, 7], ta, tb }))).join(), /pairs/);
});

test('kernel IR says what is summed, and in which order', (t) => {
  for (const p of PRODUCTS.filter((q) => q.sizes[2] < 100)) {
    const func = [...fuse(decompose(moduleOf(p)), target, {}).funcs.values()][0]!;
    const [item] = lowerFunc(func, target).body.items;
    if (item?.kind !== 'kernel') throw new Error('no kernel');
    const inputs = inputsOf(p);
    const data = new Map<(typeof func.body.params)[number], Memory>();
    // Operands are read as words where depth lies side by side, else as elements.
    func.body.params.forEach((v, i) => {
      const inWords = i === 0 ? !p.ta : p.tb;
      const halves = Uint16Array.from(inputs[i]!.data, (x) => new Uint32Array(Float32Array.of(x).buffer)[0]! >>> 16);
      data.set(v, inWords ? new Uint32Array(halves.buffer) : Float32Array.from(inputs[i]!.data));
    });
    const exact = exactly(p);
    const out = new Float32Array(exact.data.length).fill(NaN);
    data.set(func.body.results[0]!, out);
    evaluateCall(item.call, data, 'fused');
    const got = ndarray('f32', exact.shape, out);
    t.true(within(got, exact, exactly(p, true), p.sizes[2]) <= 1, title(p));
  }
});

const native = await onNative();
const run = here?.dot ? native : test.skip;
const [one, two] = [await nativeBatch(machine, 1), await nativeBatch(machine, 2)];
const cases = PRODUCTS.map((p, i) => {
  const module = decompose(moduleOf(p));
  const ways = waysOf(module)
    .filter((w) => w.startsWith('pairs'))
    .slice(0, i < 4 ? undefined : 1)
    .map((way) => ({ way, members: [one, two].map((b) => b.add(module, 'main', { choices: () => way })) }));
  return { p, ways };
});

run('every tile gives the product, and the same bits on two threads', async (t) => {
  t.timeout(300_000); // a C compiler at work
  for (const { p, ways } of cases) {
    const inputs = inputsOf(p);
    const [exact, sizes] = [exactly(p), exactly(p, true)];
    for (const { way, members } of ways) {
      const [[a], [b]] = [await members[0]!.run(inputs), await members[1]!.run(inputs)];
      t.true(within(a!, exact, sizes, p.sizes[2]) <= 1, `${title(p)}: ${way}`);
      t.deepEqual(a!.data, b!.data, `${title(p)}: ${way}`);
    }
  }
});

onPyTorch()('the numbers are those of bf16 in PyTorch', async (t) => {
  if (!here?.dot) {
    t.pass('this processor has no products of pairs');
    return;
  }
  const said = askPyTorch<readonly (readonly number[])[]>(
    `
out = []
for q in given:
    a, b = [torch.tensor(x["data"]).reshape(x["shape"]).to(torch.bfloat16) for x in q["inputs"]]
    if q["ta"]: a = a.transpose(-1, -2)
    if q["tb"]: b = b.transpose(-1, -2)
    out.append((a @ b).float().reshape(-1).tolist())
print(json.dumps(out))`,
    PRODUCTS.map((p) => ({ ...p, inputs: inputsOf(p).map((x) => ({ shape: x.shape, data: [...x.data] })) })),
  );
  for (const [i, { p, ways }] of cases.entries()) {
    const [got] = await ways[0]!.members[0]!.run(inputsOf(p));
    const theirs = ndarray('bf16', got!.shape, Float32Array.from(said[i]!));
    // Both round once to bf16 and lose in f32 before: the bound of each, which is twice that of one.
    t.true(within(got!, theirs, exactly(p, true), p.sizes[2]) <= 2, title(p));
  }
});
