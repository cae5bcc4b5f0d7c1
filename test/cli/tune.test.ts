/** `netwright tune` as a user runs it, and what the other commands then take of its file. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { processorName } from '../../src/cli/host.ts';
import { nativeTarget, PAIRED_WASM, WASM } from '../../src/codegen/targets.ts';
import { parseTuning, printTuning, targetName, type Tuning } from '../../src/codegen/tuning.ts';
import { thisMachine } from '../../src/runtime/index.ts';
import { folder, netwright } from '../support/cli.ts';

const NET = `import { Linear } from "std/nn"

export block Net() {
  net = Linear(40, 1)
  forward(x: f32[B, 40]) -> f32[B, 1] => net(x)
  loss(x: f32[B, 40], y: f32[B, 1]) -> f32[] => mse_loss(forward(x), y)
  train { loss = loss; optimizer = SGD(lr: 0.01); epochs = 2; batch_size = 8 }
}
`;
const KEY = 'matmul nt Bx1x40';
const machine = await thisMachine();

/** 40 columns of inputs, one of targets. */
function project(t: { teardown(fn: () => void): void }): string {
  const dir = folder(t);
  writeFileSync(join(dir, 'net.net'), NET);
  const row = (value: (column: number) => string): string => Array.from({ length: 41 }, (_, c) => value(c)).join();
  const rows = Array.from({ length: 16 }, (_, r) => row((c) => String(((r * 41 + c * 7) % 11) / 11)));
  writeFileSync(join(dir, 'points.csv'), `${row((c) => `c${c}`)}\n${rows.join('\n')}\n`);
  return dir;
}

/** The tile of both kinds of WebAssembly: paired vectors make it twice as wide. */
const table = (rows: number, vectors: number, processor = processorName()): string =>
  printTuning({
    processor,
    choices: new Map([
      [targetName(WASM), new Map([[KEY, `${rows}x${vectors}`]])],
      [targetName(PAIRED_WASM), new Map([[KEY, `${rows}x${2 * vectors}`]])],
    ]),
  });

test.serial('it measures what a file computes, and writes its choices beside it', async (t) => {
  const dir = project(t);
  const run = await netwright(['tune', 'net.net', '--device', 'cpu', '--seconds', '0.01'], { cwd: dir });
  t.is(run.code, 0, run.err);
  t.regex(run.out, /^WebAssembly: 2 shapes, \d+ ways to compute them \(B = 8\), 1 thread/m);
  // As a step computes it, and as it is with the weights packed before.
  t.regex(run.out, /matmul nt Bx1x40 +│ 6x2 +│ +\d/);
  t.regex(run.out, /matmul nt Bx1x40 prepared +│ 6x2 +│ +\d/);
  t.regex(run.out, /wrote net\.net\.tune\.json: \d shapes? of 2 faster another way/);
  const read = parseTuning(readFileSync(join(dir, 'net.net.tune.json'), 'utf8'));
  t.is(typeof read === 'string' ? read : read.processor, processorName());
});

test.serial('commands say what they took, and leave it out when told', async (t) => {
  const dir = project(t);
  const file = join(dir, 'net.net.tune.json');
  const build = async (...args: string[]) => {
    const { code, err } = await netwright(['build', 'net.net', ...args], { cwd: dir });
    t.is(code, 0, err);
    return { err, text: readFileSync(join(dir, 'net.net.ts'), 'utf8') };
  };
  const plain = await build();
  writeFileSync(file, table(3, 3));
  const tuned = await build();
  t.regex(tuned.err, /^tuned: 1 choice of net\.net\.tune\.json \(--no-tune leaves it out\)/);
  t.not(tuned.text, plain.text);
  t.is((await build()).text, tuned.text);
  t.deepEqual(await build('--no-tune'), plain);
  writeFileSync(join(dir, 'other.json'), table(2, 4));
  t.regex((await build('--tune', 'other.json')).err, /^tuned: 1 choice of other\.json/);
  t.regex((await netwright(['build', 'net.net', '--tune', 'gone.json'], { cwd: dir })).err, /NW5001.*gone\.json/);
  for (const [text, problem] of [
    [table(3, 3, 'Another'), /NW5080.*net\.net\.tune\.json.*measured on "Another"/],
    [table(3, 3).slice(0, 50), /NW5080.*it is no JSON/],
    ['\u0000\ufffd', /NW5080.*it is no JSON/],
  ] as const) {
    writeFileSync(file, text);
    const ignored = await build();
    t.regex(ignored.err, problem);
    t.is(ignored.text, plain.text);
    const kept = await netwright(['tune', 'net.net', '--device', 'cpu', '--seconds', '0.01'], { cwd: dir });
    t.is(kept.code, 1);
    t.regex(kept.err, /NW5081.*net\.net\.tune\.json/);
    t.is(readFileSync(file, 'utf8'), text);
  }
});

test.serial('a run that goes on with other choices is told that bits differ', async (t) => {
  const dir = project(t);
  const train = (...args: string[]) =>
    netwright(['train', 'net.net', '--data', 'points.csv', '--device', 'cpu', ...args], { cwd: dir });
  t.is((await train()).code, 0);
  t.notRegex((await train('--resume', '--epochs', '3')).err, /bit-identical/);
  writeFileSync(join(dir, 'net.net.tune.json'), table(3, 3));
  const other = await train('--resume', '--epochs', '4');
  t.regex(other.err, /tuned: 1 choice of net\.net\.tune\.json/);
  t.regex(other.err, /the numbers will not be bit-identical/);
  t.regex((await train('--resume', '--epochs', '5', '--no-tune')).err, /the numbers will not be bit-identical/);
});

test.serial('wrong usage is refused before anything is measured', async (t) => {
  const dir = project(t);
  for (const [args, problem] of [
    [['tune', 'gone.net'], /NW5001.*gone\.net/],
    [['tune', 'net.net', '--block', 'Other'], /`Net`/],
    [['tune', 'net.net', '--device', 'cpu', '--dim', 'Q=3'], /no size Q; there is `B`/],
    [['tune', 'net.net', '--device', 'cpu', '--method', 'backwards'], /`forward`.*`train_step`/],
    [['tune', 'net.net', '--out', 'net.net'], /NW5008.*reads it/],
    [['tune', 'net.net', '--seconds', '0'], /above 0/],
  ] as const) {
    const { code, err } = await netwright(args, { cwd: dir });
    t.true(code === 1 || code === 2, args.join(' '));
    t.regex(err, problem);
  }
  t.false(existsSync(join(dir, 'net.net.tune.json')));
});

(machine ? test.serial : test.skip)('native code is measured, and built with its choices for auto', async (t) => {
  t.timeout(300_000); // a C compiler at work
  const dir = project(t);
  const args = ['tune', 'net.net', '--device', 'native', '--seconds', '0.01', '--method', 'forward'];
  const run = await netwright(args, { cwd: dir });
  t.is(run.code, 0, run.err);
  t.regex(run.out, /^C for this processor by .*: 1 shape, \d+ ways to compute them/m);
  t.regex(run.out, /^compiled Net for C for this processor/m);
  const read = parseTuning(readFileSync(join(dir, 'net.net.tune.json'), 'utf8')) as Tuning;
  t.deepEqual([...read.choices.keys()], [targetName(nativeTarget(machine!))]);
});
