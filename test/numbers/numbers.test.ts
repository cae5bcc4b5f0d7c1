/** One rule for every number: edge values give the same bits on every target, in standalone C, in the reference and where they are folded. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { lowerFunc } from '../../src/codegen/lower.ts';
import { WASM } from '../../src/codegen/targets.ts';
import { compileProject, compileToC, openProject } from '../../src/compile.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { NO_ORIGIN, type ElemType, type Func, type Op, type Value } from '../../src/ir/ir.ts';
import { ndarray, sizeOf } from '../../src/ir/ndarray.ts';
import { simplify } from '../../src/ir/passes/simplify.ts';
import type { Artifact } from '../../src/runtime/artifact.ts';
import { decode, encode } from '../../src/runtime/elem.ts';
import { device, DTypeError, modelClass, tensor, thisMachine, type Tensor } from '../../src/runtime/index.ts';
import { folder } from '../support/cli.ts';
import { elaborated } from '../support/elaborated.ts';
import { evaluateCall } from '../support/evaluate-call.ts';
import { onNative } from '../support/native.ts';
import { CONSTANTS, EDGES, literal, NUMBER_CASES, rounded, type NumberCase } from '../support/number-cases.ts';
import { onAdapter } from '../support/webgpu-device.ts';

/** Operands of a case: every edge with every edge. No multiple of any number of lanes, so that tails take part. */
function operands(c: NumberCase): number[][] {
  const [a, b] = c.args.map((e) => EDGES[e]);
  if (!b) return [[...a!, ...a!.slice(0, 3)]];
  const pairs = a!.flatMap((x) => b.map((y) => [x, y] as const));
  return [
    [...pairs.map(([x]) => x), a![1]!],
    [...pairs.map(([, y]) => y), b[1]!],
  ];
}

/** The case with one operand a constant, on either side, and the rest from memory. */
interface Half {
  readonly net: (a: string) => string;
  readonly exact: (a: number) => number;
}
const halves = (c: NumberCase): readonly Half[] =>
  c.args.length < 2
    ? []
    : CONSTANTS[c.args[0]!].flatMap((k): Half[] => {
        const [text, value] = [literal(k, c.args[0]!), rounded(c.args[0]!, k)];
        return [
          { net: (a) => c.net(a, text), exact: (a) => c.exact(a, value) },
          { net: (a) => c.net(text, a), exact: (a) => c.exact(value, a) },
        ];
      });

const method = (c: NumberCase): string => {
  const args = c.args.map((e, i) => `x${i}: ${e}[${operands(c)[0]!.length}]`).join(', ');
  const whole = `${c.name}(${args}) => ${c.net('x0', 'x1')}`;
  const some = halves(c).map((h) => h.net('x0'));
  if (some.length === 0) return whole;
  return `${whole}\n  ${c.name}_k(x0: ${c.args[0]}[${EDGES[c.args[0]!].length}]) => (${some.join(', ')})`;
};
const SOURCE = `export block Numbers {\n  ${NUMBER_CASES.map(method).join('\n  ')}\n}`;

const host = (text: string) => ({ read: (p: string) => (p === 'numbers.net' ? text : null) });
const machine = await thisMachine();
const open = openProject(host(SOURCE), 'numbers.net');
const compiled = compileProject(open, 'Numbers', {
  targets: ['wasm', 'native', 'webgpu'],
  ...(machine && { machine }),
});
if (!compiled) throw new Error(open.bag.all.map((d) => d.message).join('\n'));

/** What is wrong with the results of a case, by operands; a NaN may have any bits. */
function faults(
  given: readonly (readonly number[])[],
  exact: (...xs: number[]) => number,
  got: ArrayLike<number>,
): string[] {
  const out: string[] = [];
  for (let i = 0; i < given[0]!.length; i++) {
    const xs = given.map((x) => x[i]!);
    const want = exact(...xs);
    if (!Object.is(got[i], want)) out.push(`(${xs.map(show).join(', ')}) gives ${show(got[i]!)} and not ${show(want)}`);
  }
  return got.length === given[0]!.length ? out : [` has ${got.length} results`];
}
const show = (x: number): string => (Object.is(x, -0) ? '-0' : String(x));

type Call = (
  name: string,
  args: readonly { readonly elem: ElemType; readonly data: readonly number[] }[],
) => Promise<readonly ArrayLike<number>[]>;

async function checkAll(call: Call): Promise<string[]> {
  const out: string[] = [];
  for (const c of NUMBER_CASES) {
    const given = operands(c);
    const [whole] = await call(
      c.name,
      given.map((data, i) => ({ elem: c.args[i]!, data })),
    );
    out.push(...faults(given, c.exact, whole!).map((f) => `${c.name}${f}`));
    const some = halves(c);
    if (some.length === 0) continue;
    const data = EDGES[c.args[0]!];
    const results = await call(`${c.name}_k`, [{ elem: c.args[0]!, data }]);
    some.forEach((h, i) => out.push(...faults([data], h.exact, results[i]!).map((f) => `${h.net('x')} ${f}`)));
  }
  return out;
}

const onDevice = async (name: string, other: Partial<Artifact> = {}): Promise<Call> => {
  const model = await modelClass({ ...compiled.artifact, ...other }).create({ device: name });
  return async (method, args) => {
    const made = model.call(
      method,
      args.map((a) => tensor(a.data, { dtype: a.elem, device: model.device })),
    );
    return Promise.all((Array.isArray(made) ? (made as Tensor[]) : [made as Tensor]).map((r) => r.read()));
  };
};

test('the reference', async (t) => {
  const faulty = await checkAll((name, args) => {
    const inputs = args.map((a) => ndarray(a.elem, [a.data.length], a.data));
    const results = interpret(compiled.ir, `program.${name}`, inputs);
    return Promise.resolve(results.map((r) => Float64Array.from(r.data, (x) => rounded(r.elem, x))));
  });
  t.deepEqual(faulty, []);
});

test('constants are folded while compiling, to the bits that would be computed', (t) => {
  const FOLDED: readonly ElemType[] = ['f32', 'i32', 'u32', 'bool'];
  for (const c of NUMBER_CASES) {
    if (![...c.args, c.result].every((e) => FOLDED.includes(e))) continue;
    const given = operands(c);
    const args = c.args.map((e, i) => `x${i}: ${e}[]`).join(', ');
    const { block } = elaborated(`export block Folded { f(${args}) => ${c.net('x0', 'x1')} }`);
    const { func } = block.methods[0]!.eval;
    const { body, ...rest } = block.module.funcs.get(func)!;
    const folded = given[0]!.map((_, i) => {
      const constants = body.params.map((p, k): Op => {
        const attrs = { value: given[k]![i]!, elem: p.type.elem, shape: [] };
        return { kind: 'constant', operands: [], attrs, regions: [], results: [p], origin: NO_ORIGIN };
      });
      const known: Func = { ...rest, body: { params: [], ops: [...constants, ...body.ops], results: body.results } };
      const { ops, results } = simplify({ funcs: new Map([[func, known]]) }).funcs.get(func)!.body;
      const made = ops.find((op) => op.results[0] === results[0])!;
      return made.kind === 'constant' ? Number(made.attrs['value']) : made.kind;
    });
    t.deepEqual(faults(given, c.exact, folded as number[]), [], c.name);
  }
});

/** The kernels as `codegen/evaluate.ts` understands them, on numbers that are rounded by nobody else. */
function evaluated(name: string, args: Parameters<Call>[1]): readonly Float64Array[] {
  const func = compiled!.ir.funcs.get(`program.${name}`)!;
  const memory = new Map<Value, Float64Array>();
  func.body.params.forEach((p, i) =>
    memory.set(
      p,
      Float64Array.from(args[i]!.data, (x) => rounded(p.type.elem, x)),
    ),
  );
  const of = (v: Value): Float64Array => {
    const known = memory.get(v) ?? new Float64Array(sizeOf(v.type.shape.map((d) => d.value!)));
    memory.set(v, known);
    return known;
  };
  for (const item of lowerFunc(func, WASM).body.items) {
    if (item.kind === 'alias' || item.kind === 'copy') memory.set(item.result, of(item.source));
    if (item.kind !== 'kernel') continue;
    for (const a of item.call.args) if (a.kind === 'value') of(a.value);
    evaluateCall(item.call, memory, 'split');
  }
  return func.body.results.map(of);
}

test('kernel IR', async (t) => {
  const faulty = await checkAll((name, args) => {
    return Promise.resolve(evaluated(name, args));
  });
  t.deepEqual(faulty, []);
});

for (const variant of ['simd', 'relaxed'] as const) {
  test(`the cpu: ${variant}`, async (t) => {
    const { wasm } = compiled.artifact;
    t.deepEqual(
      await checkAll(
        await onDevice('cpu', { wasm: variant === 'relaxed' ? wasm : { ...wasm, fusible: new Uint8Array() } }),
      ),
      [],
    );
  });
}

const native = await onNative();
native('native code', async (t) => {
  t.timeout(600_000); // waits for the C compiler
  t.deepEqual(await checkAll(await onDevice('native')), []);
});

native('a C99 file', async (t) => {
  t.timeout(600_000);
  const c = compileToC(open, 'Numbers', { dims: new Map(), header: 'net.h' })!;
  const at = folder(t);
  const calls: string[] = [];
  const outputs = new Map<string, ElemType[]>();
  const signature = /^void Numbers_(\w+)\((.*)\);$/gm;
  for (const [, name, parameters] of c.header.matchAll(signature)) {
    if (name === 'init') continue;
    const all = parameters!.split(', ').map((p) => /^(?:const )?(\w+) \*(\w+)$/.exec(p)!.slice(1) as [string, string]);
    const half = name!.endsWith('_k');
    const number = NUMBER_CASES.find((n) => n.name === (half ? name!.slice(0, -2) : name))!;
    const given = half ? [EDGES[number.args[0]!]] : operands(number);
    const lines = all.map(([type, v], i) => {
      if (i >= given.length) return `static ${type} ${v}[${given[0]!.length}];`;
      const bytes = encode(given[i]!, number.args[i]!);
      return `static const unsigned char b_${v}[] = {${bytes.join(', ')}}; static ${type} ${v}[${given[0]!.length}]; memcpy(${v}, b_${v}, sizeof b_${v});`;
    });
    const results = all.slice(given.length).map(([, v]) => v);
    outputs.set(
      name!,
      results.map(() => number.result),
    );
    const shown = results.map((v) => `show("${name}", (const unsigned char *)${v}, sizeof ${v});`);
    calls.push(`{ ${lines.join(' ')} Numbers_${name}(${all.map(([, v]) => v).join(', ')}); ${shown.join(' ')} }`);
  }
  writeFileSync(join(at, 'net.c'), c.code);
  writeFileSync(join(at, 'net.h'), c.header);
  const show =
    'static void show(const char *name, const unsigned char *p, size_t n) { printf("%s ", name); while (n--) printf("%02x", *p++); printf("\\n"); }';
  writeFileSync(
    join(at, 'main.c'),
    `#include <stdio.h>\n#include <string.h>\n#include "net.h"\n${show}\nint main(void) {\n${calls.join('\n')}\nreturn 0; }\n`,
  );
  const exec = promisify(execFile);
  const flags = ['-std=c99', '-O1', '-ffp-contract=off', '-fsanitize=undefined', '-fno-sanitize-recover=all'];
  await exec('cc', [...flags, 'net.c', 'main.c', '-o', 'net', '-lm'], { cwd: at });
  const { stdout } = await exec('./net', [], { cwd: at, maxBuffer: 2 ** 26 });
  const printed = new Map<string, string[]>();
  for (const line of stdout.trim().split('\n')) {
    const [name, hex] = line.split(' ') as [string, string];
    printed.set(name, [...(printed.get(name) ?? []), hex]);
  }
  const faulty = await checkAll((name) =>
    Promise.resolve(
      printed.get(name)!.map((hex, i) => decode(Uint8Array.from(Buffer.from(hex, 'hex')), outputs.get(name)![i]!)),
    ),
  );
  t.deepEqual(faulty, []);
});

const gpu = await onAdapter();
gpu('a GPU', async (t) => {
  t.timeout(600_000);
  await device('webgpu');
  t.deepEqual(await checkAll(await onDevice('webgpu')), []);
});

/** Whole rows wrap like single operations do: the order of a sum of integers cannot be told. */
const ROWS = `export block Rows {
  i32_rows(x: i32[N]) => (sum(x), op.prod(x, axes: [0]), cumsum(x, 0), amax(x), amin(x))
  u32_rows(x: u32[N]) => (sum(x), op.prod(x, axes: [0]), cumsum(x, 0), amax(x), amin(x))
}`;
const rowsOpen = openProject(host(ROWS), 'numbers.net');

const rows = compileProject(rowsOpen, 'Rows', { targets: ['wasm', 'native', 'webgpu'], ...(machine && { machine }) });

for (const [on, run] of [['cpu', test.serial] as const, ['native', native] as const, ['webgpu', gpu] as const]) {
  run(`sums, products and running sums of integers wrap: ${on}`, async (t) => {
    t.timeout(300_000);
    const model = await modelClass(rows!.artifact).create({ device: on });
    for (const elem of ['i32', 'u32'] as const) {
      const odd = EDGES[elem].flatMap((x) => [x, 3, x]).filter((x) => x % 2 !== 0);
      const big = odd.map((x) => BigInt(x));
      const wrap = (x: bigint): number => Number(elem === 'i32' ? BigInt.asIntN(32, x) : BigInt.asUintN(32, x));
      const total = (n: number): number => wrap(big.slice(0, n).reduce((a, b) => a + b, 0n));
      const got = model.call(`${elem}_rows`, [tensor(odd, { dtype: elem, device: model.device })]) as readonly Tensor[];
      const values = await Promise.all(got.map(async (r) => [...(await r.read())]));
      const product = wrap(big.reduce((a, b) => a * b, 1n));
      const running = odd.map((_, n) => total(n + 1));
      t.deepEqual(values, [[total(odd.length)], [product], running, [Math.max(...odd)], [Math.min(...odd)]]);
    }
  });
}

test('numbers that a program is given are rounded once to f32, and from there to 16 bits, as PyTorch does', (t) => {
  const given = [
    2 ** 24 + 1,
    2 ** 24 + 3,
    -(2 ** 24) - 1,
    2 ** 53,
    1e39,
    -1e39,
    1 + 2 ** -24,
    1 + 2 ** -24 + 2 ** -50,
    1e-46,
  ];
  const f32 = [2 ** 24, 2 ** 24 + 4, -(2 ** 24), 2 ** 53, Infinity, -Infinity, 1, 1 + 2 ** -23, 0];
  t.deepEqual([...tensor(given).readSync()], f32);
  t.deepEqual([...tensor([16777217n, 16777219n], { dtype: 'f32' }).readSync()], [16777216, 16777220]);
  // torch.tensor([1 + 2**-11 + 2**-40], dtype=torch.float64).to(torch.float16) is 1: the tie is one of f32's making.
  t.deepEqual(
    [...tensor([1 + 2 ** -11 + 2 ** -40, 1 + 2 ** -11 + 2 ** -20], { dtype: 'f16' }).readSync()],
    [1, 1 + 2 ** -10],
  );
  t.deepEqual(
    [...tensor([1 + 2 ** -8 + 2 ** -40, 1 + 2 ** -8 + 2 ** -20], { dtype: 'bf16' }).readSync()],
    [1, 1 + 2 ** -7],
  );
  for (const elem of ['f16', 'bf16'] as const)
    for (const x of EDGES.f32) t.is(tensor([x], { dtype: elem }).readSync()[0], rounded(elem, x), `${x} as ${elem}`);
  const range = (x: number, dtype: 'i32' | 'u32'): unknown =>
    t.throws(() => tensor([x], { dtype }), { instanceOf: DTypeError });
  range(2 ** 31, 'i32');
  range(0.5, 'i32');
  range(-1, 'u32');
  range(NaN, 'u32');
});
