/** Choices that were measured: their file, what a compiler takes of it, and which programs then are the same. */
import test from 'ava';
import type { SourceHost } from '../../src/check/index.ts';
import { nativeTarget, PAIRED_WASM, WASM } from '../../src/codegen/targets.ts';
import { parseTuning, printTuning, targetName, updated, type Tuning } from '../../src/codegen/tuning.ts';
import { compile, openProject, programsOf } from '../../src/compile.ts';
import { tensor } from '../../src/runtime/index.ts';
import { cpuDevice } from '../../src/runtime/devices.ts';
import { measureAll, allQuestions, sizesFor } from '../../src/tune/run.ts';
import { numbers } from '../support/sample-kernels.ts';

const NET = `export block Net(n: int = 33) {
  param w: f32[n, 20] ~ normal(0, 1)
  forward(x: f32[B, n]) -> f32[B, 20] => relu(matmul(x, w))
}
`;
/** Weights are packed before a method that is evaluated runs. */
const KEY = 'matmul nn Bx20x33 prepared';
const TABLE: Tuning = {
  processor: 'this one',
  choices: new Map([[targetName(WASM), new Map([[KEY, '3x3']])]]),
};

const hostOf = (files: Readonly<Record<string, string>>, processor?: string): SourceHost => ({
  read: (path) => files[path] ?? null,
  ...(processor !== undefined && { processor }),
});

test('a file reads back as it was written, its lines in one order', (t) => {
  const table = updated(TABLE, nativeTarget({ lanes: 16, registers: 32, fma: true }), new Map([['b', '1'], ['a', '2']])); // prettier-ignore
  const text = printTuning(table);
  const read = parseTuning(text);
  t.is(typeof read === 'string' ? read : printTuning(read), text);
  t.true(text.indexOf('"a"') < text.indexOf('"b"'));
});

test('measuring again replaces what was measured, and leaves what was not', (t) => {
  const first = updated(TABLE, WASM, new Map([['other', '6x2']]));
  const again = updated(first, WASM, new Map([[KEY, null]]));
  t.deepEqual([...again.choices.get(targetName(WASM))!], [['other', '6x2']]);
  t.is(first.choices.get(targetName(WASM))!.get(KEY), '3x3');
});

test('a damaged file is described, never thrown', (t) => {
  const text = printTuning(TABLE);
  for (const [damaged, problem] of [
    ['', /no JSON/],
    [text.slice(0, -20), /no JSON/],
    ['[]', /no JSON object/],
    ['{}', /no version/],
    [text.replace('"version": 1', '"version": 2'), /version 2, this reads 1/],
    [text.replace('"this one"', '3'), /processor/],
    [text.replace(/"choices": \{[^]*/, '"choices": 1}'), /no choices/],
    [text.replace('"3x3"', '4'), /are no names/],
    [text.replace('"version": 1,', '"version": 1, "version": 1,'), /no JSON/],
  ] as const) {
    const read = parseTuning(damaged);
    t.regex(typeof read === 'string' ? read : 'it was read', problem, damaged);
  }
  for (let at = 0; at < text.length; at++)
    t.notThrows(() => parseTuning(`${text.slice(0, at)}\u0000${text.slice(at + 1)}`));
});

test('a choice makes another kernel, another program, and the same result up to the order of sums', async (t) => {
  const [plain, tuned, again] = [compile(NET), compile(NET, { tuning: TABLE }), compile(NET, { tuning: TABLE })];
  t.deepEqual(tuned.tuned, [`${targetName(WASM)}: ${KEY} = 3x3`]);
  t.deepEqual(plain.tuned, []);
  t.not(Buffer.compare(plain.artifacts[0]!.wasm.plain, tuned.artifacts[0]!.wasm.plain), 0);
  t.not(plain.artifacts[0]!.hash, tuned.artifacts[0]!.hash);
  t.deepEqual(again.artifacts[0], tuned.artifacts[0]);
  const x = tensor(numbers(7 * 33), { shape: [7, 33] });
  const [a, b] = await Promise.all(
    [plain, tuned].map(async ({ blocks }) => (await blocks['Net']!.create({ seed: 1 })).forward(x).read()),
  );
  // Sums of 33 products of numbers below 4: roundings are below 1e-5, a wrong product is not.
  a!.forEach((v: number, i: number) => t.true(Math.abs(v - b![i]!) < 1e-4));
});

test('choices of other targets, other shapes and other versions change nothing', (t) => {
  const plain = compile(NET).artifacts[0]!;
  const others: Tuning[] = [
    { ...TABLE, choices: new Map([[targetName(PAIRED_WASM), new Map([[KEY, '3x6']])]]) },
    { ...TABLE, choices: new Map([[targetName(WASM), new Map([['matmul nn Bx20x34 prepared', '3x3']])]]) },
    { ...TABLE, choices: new Map([[targetName(WASM), new Map([[KEY, 'of a later version']])]]) },
    { ...TABLE, choices: new Map([[targetName(WASM), new Map([[KEY, '6x2']])]]) },
  ];
  for (const tuning of others) {
    const made = compile(NET, { tuning });
    t.deepEqual(made.artifacts[0], plain);
    t.deepEqual(made.tuned, []);
  }
});

test('what lies beside the source is taken on its processor alone', (t) => {
  const plain = compile(NET).artifacts[0]!.hash;
  const files = { 'net.net': NET, 'net.net.tune.json': printTuning(TABLE) };
  const made = (host: SourceHost, tuning?: null) =>
    compile({ file: 'net.net', host }, tuning === null ? { tuning } : {});
  for (const host of [hostOf(files), hostOf(files, 'this one')]) {
    t.deepEqual([made(host).tuned.length, made(host).diagnostics.length], [1, 0]);
    t.is(made(host, null).artifacts[0]!.hash, plain);
  }
  for (const host of [
    hostOf(files, 'another'),
    hostOf({ ...files, 'net.net.tune.json': '{' }, 'this one'),
    {
      read: (path: string) => {
        if (path.endsWith('.json')) throw new Error('gone');
        return NET;
      },
    },
  ]) {
    const { artifacts, diagnostics } = made(host);
    t.is(artifacts[0]!.hash, plain);
    t.deepEqual(
      diagnostics.map((d) => [d.code, d.severity]),
      [['NW5080', 'warning']],
    );
  }
});

const LOOP = `export block Loop() {
  param w: f32[24, 24] ~ normal(0, 0.1)
  forward(x: f32[B, 24]) -> f32[B, 24] {
    h = x
    for i in 0..8 {
      h = tanh(matmul(h, w))
    }
    h
  }
}
`;

test('every shape of a program is asked for once, and measured for the sizes that are given', async (t) => {
  for (const [source, keys] of [
    [NET, [KEY]],
    [LOOP, ['matmul nn Bx24x24 prepared']],
  ] as const) {
    const open = openProject(hostOf({ 'net.net': source }), 'net.net');
    const programs = [programsOf(open, open.exports[0]!, WASM, {})!];
    t.false(open.bag.hasErrors, open.bag.all[0]?.message);
    const questions = allQuestions(programs, WASM, null);
    t.deepEqual(
      questions.map((q) => q.key),
      [...keys],
    );
    t.deepEqual([...sizesFor(questions, programs, {})], [['B', 64]]);
    const sizes = sizesFor(questions, programs, { B: 3 });
    const seen: string[] = [];
    const answers = await measureAll(questions, cpuDevice(), null, {
      sizes,
      threads: 1,
      seconds: 0.01,
      progress: () => undefined,
      next: (q) => seen.push(q.key) > 0,
    });
    t.deepEqual(seen, [...keys]);
    for (const a of answers)
      t.true(a.usual > 0 && a.best > 0 && a.best <= a.usual && a.chosen < a.question.names.length);
    t.deepEqual(allQuestions(programs, WASM, 'nothing'), []);
  }
});
