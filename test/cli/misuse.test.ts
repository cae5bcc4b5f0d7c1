/** Wrong paths, options and leftovers: what each command refuses before it has read, written or trained anything. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { folder, netwright, ROOT } from '../support/cli.ts';

const LINE = `import { Linear } from "std/nn"

export block Line() {
  net = Linear(2, 1)
  forward(x: f32[B, 2]) -> f32[B, 1] => net(x)
  loss(x: f32[B, 2], y: f32[B, 1]) -> f32[] => mse_loss(forward(x), y)
  train { loss = loss; optimizer = SGD(lr: 0.1, momentum: 0.9); epochs = 3; batch_size = 4 }
}
`;
const POINTS = `a,b,y\n${Array.from({ length: 10 }, (_, i) => `${i},${i % 3},${i / 2}`).join('\n')}\n`;

function project(t: { teardown(fn: () => void): void }): string {
  const dir = folder(t);
  writeFileSync(join(dir, 'line.net'), LINE);
  writeFileSync(join(dir, 'points.csv'), POINTS);
  return dir;
}

test('a source that is no text file is refused, and the files after it are checked', async (t) => {
  const dir = project(t);
  mkdirSync(join(dir, 'folder.net'));
  writeFileSync(join(dir, 'latin.net'), Buffer.from(`// one\n// caf\u00e9\n${LINE}`, 'latin1'));
  symlinkSync('circle.net', join(dir, 'circle.net'));
  const r = await netwright(['check', 'gone.net', 'folder.net', 'latin.net', 'circle.net', 'line.net'], { cwd: dir });
  t.is(r.code, 1);
  t.regex(r.err, /NW5001.*gone\.net/);
  t.regex(r.err, /NW5012.*folder\.net.*it is a folder/);
  t.regex(r.err, /NW5012.*latin\.net.*line 2 is not UTF-8/);
  t.regex(r.err, /NW5012.*circle\.net.*circle/);
  t.is(r.out, 'ok line.net\n');
});

test('an import does not leave the project through a link; the file that was named may be one', async (t) => {
  const dir = project(t);
  const elsewhere = folder(t);
  writeFileSync(join(elsewhere, 'secret.net'), 'export fn twice(x: f32[...S]) -> f32[...S] => x * 2.0\n');
  symlinkSync(join(elsewhere, 'secret.net'), join(dir, 'linked.net'));
  writeFileSync(
    join(dir, 'uses.net'),
    'import { twice } from "./linked.net"\nexport block A() { forward(x: f32[N]) -> f32[N] => twice(x) }\n',
  );
  const r = await netwright(['check', 'linked.net', 'uses.net'], { cwd: dir });
  t.is(r.out, 'ok linked.net\n');
  t.regex(r.err, /NW5012.*linked\.net.*leads out of the project/);
});

test('results never replace what the command reads, and places are tried before the work', async (t) => {
  const dir = project(t);
  mkdirSync(join(dir, 'folder'));
  const cases: [string[], number, RegExp][] = [
    [['train', 'line.net', '--data', 'points.csv', '--out', 'points.csv'], 1, /NW5008.*points\.csv.*reads it/],
    [['train', 'line.net', '--data', 'points.csv', '--out', 'folder'], 1, /NW5008.*it is a folder/],
    [['train', 'line.net', '--data', 'points.csv', '--out', 'folder/'], 1, /NW5008.*it is a folder/],
    [['predict', 'line.net', '--data', 'points.csv', '--out', './line.net'], 1, /NW5008.*reads it/],
    [['build', 'line.net', '--out', 'line.net'], 2, /NW5013.*must end in \.ts/],
    [['build', 'line.net', '--out', 'line.js'], 2, /NW5013.*must end in \.ts/],
    [['build', 'line.net', '--js', '--out', 'line.ts'], 2, /NW5013.*must end in \.js/],
    [['build', 'line.net', '--emit', 'ir', '--check'], 2, /NW5013.*--emit.*--check/],
    [['build', 'line.net', '--out', 'gone/line.ts'], 1, /NW5008.*no such folder/],
  ];
  for (const [args, code, expected] of cases) {
    const r = await netwright(args, { cwd: dir });
    t.is(r.code, code, `${args.join(' ')}\n${r.err}`);
    t.regex(r.err, expected);
    t.is(r.out, '', args.join(' '));
  }
  t.is(readFileSync(join(dir, 'points.csv'), 'utf8'), POINTS);
  t.is(readFileSync(join(dir, 'line.net'), 'utf8'), LINE);
});

test('--js writes declarations beside the module, also for .mjs', async (t) => {
  const dir = project(t);
  t.is((await netwright(['build', 'line.net', '--js', '--out', 'line.mjs'], { cwd: dir })).code, 0);
  t.regex(readFileSync(join(dir, 'line.mjs'), 'utf8'), /textToBytes/);
  t.regex(readFileSync(join(dir, 'line.d.mts'), 'utf8'), /export declare class Line|class Line/);
});

test('a file without exported blocks, a size that is none, data without rows: faults', async (t) => {
  const dir = project(t);
  writeFileSync(join(dir, 'functions.net'), 'export fn twice(x: f32[...S]) -> f32[...S] => x * 2.0\n');
  writeFileSync(join(dir, 'header.csv'), 'a,b,y\n');
  writeFileSync(join(dir, 'none-idx1-ubyte'), Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 0));
  writeFileSync(join(dir, 'junk.safetensors'), 'not one at all');
  const data = ['--data', 'points.csv'];
  const cases: [string[], number, RegExp][] = [
    [['build', 'functions.net'], 1, /NW5014/],
    [['summary', 'functions.net'], 1, /NW5014/],
    [['train', 'functions.net', ...data], 1, /NW5014/],
    [['summary', 'line.net', '--dim', 'Q=3'], 2, /NW5013.*no size Q; there is `B`/],
    [['train', 'line.net', '--data', 'header.csv'], 1, /NW5002/],
    [['predict', 'line.net', '--data', 'none-idx1-ubyte'], 1, /NW5002.*no rows/],
    [['train', 'line.net', '--data', 'junk.safetensors'], 1, /NW5002/],
    [['predict', 'line.net', ...data, '--holdout', '0.01'], 1, /NW5002.*none is held out/],
    [['predict', 'line.net', ...data, '--weights', '.'], 1, /NW5012.*it is a folder/],
    [['train', 'line.net', ...data, '--out', 'line.onnx'], 1, /NW6001.*line\.onnx: weights are written as/],
    [['train', 'line.net', ...data, '--epoch', '3'], 2, /NW5013.*--epoch'\n.*help: did you mean --epochs\?/],
  ];
  for (const [args, code, expected] of cases) {
    const r = await netwright(args, { cwd: dir });
    t.is(r.code, code, `${args.join(' ')}\n${r.err}`);
    t.regex(r.err, expected);
  }
  t.false(existsSync(join(dir, 'functions.net.ts')));
  t.false(existsSync(join(dir, 'line.safetensors')));
});

test('--holdout keeps that part apart', async (t) => {
  const dir = project(t);
  const r = await netwright(['train', 'line.net', '--data', 'points.csv', '--holdout', '0.7', '--lr', '1e-4'], {
    cwd: dir,
  });
  t.regex(r.out, /3 samples of points\.csv, 7 held out; 3 epochs of 1 step, batch 4, seed 0/);
});

test('a run goes on as it was, or says why not', async (t) => {
  const dir = project(t);
  const train = (...args: string[]): ReturnType<typeof netwright> =>
    netwright(['train', 'line.net', '--data', 'points.csv', '--lr', '1e-3', ...args], { cwd: dir });
  t.is((await train()).code, 0);
  const beyond = await train('--resume', '--epochs', '2');
  t.is(beyond.code, 0, beyond.err);
  t.regex(beyond.out, /nothing left to train: the run has done 3 epochs/);
  const seed = await train('--resume', '--seed', '9');
  t.is(seed.code, 1);
  t.regex(seed.err, /NW5006.*seed 0, not 9/);

  const stopped = await netwright(['train', 'line.net', '--data', 'points.csv', '--epochs', '90000', '--lr', '1e-4'], {
    cwd: dir,
    interrupt: { after: 'epoch 5/', signal: 'SIGTERM' },
  });
  t.is(stopped.code, 143, stopped.err);
  t.regex(stopped.out, /go on with: netwright train line\.net --data points\.csv --epochs 90000 --lr 1e-4 --resume\n/);
  const other = await train('--resume', '--batch', '3');
  t.is(other.code, 1, other.out);
  t.regex(other.err, /NW5006.*in batches of 4, and here are 9 in batches of 3/);
});

test('a reader that goes away ends the command quietly', async (t) => {
  const err = await new Promise<string>((done) => {
    const main = join(ROOT, 'src', 'cli', 'bin.ts');
    execFile(
      'sh',
      ['-c', `"$0" "$1" build examples/lenet.net --emit wat | head -1`, process.execPath, main],
      {
        cwd: ROOT,
      },
      (_e, _out, stderr) => done(stderr),
    );
  });
  t.is(err, '');
});
