/** `inspect`, `convert` and `diff` on files of weights, and models that start from them. */
import test from 'ava';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTensors } from '../../src/runtime/index.ts';
import { writeSafetensors } from '../../src/runtime/safetensors.ts';
import { folder, netwright, ROOT, type Run } from '../support/cli.ts';

const GOOD = join(ROOT, 'test/reference/checkpoints/good');
const BAD = join(ROOT, 'test/reference/checkpoints/bad');

const ok = (t: { is(a: unknown, b: unknown, message?: string): boolean }, r: Run): string => {
  t.is(r.code, 0, r.err);
  return r.out;
};

test('inspect lists tensors with types, shapes, bytes and numbers', async (t) => {
  const out = ok(t, await netwright(['inspect', join(GOOD, 'pt_state_dict.pth'), '--stats']));
  t.regex(out, /fc1\.weight\s+│ F32\s+│ \[3, 4\]\s+│ 48/);
  t.regex(out, /bn\.running_var\s+│ F32\s+│ \[3\]\s+│ 12\s+│ 1\s+│ 1\s+│ 1\s+│ 0/);
  t.regex(out, /torch: 8 tensors, 34 values/);
  const json = JSON.parse(ok(t, await netwright(['inspect', join(GOOD, 'gguf_quant.gguf'), '--json']))) as {
    format: string;
    tensors: { name: string; stored?: string; shape: number[] }[];
    metadata: [string, string][];
  };
  t.is(json.format, 'gguf');
  t.deepEqual(
    json.tensors.map((x) => x.stored),
    ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0'],
  );
  t.deepEqual(
    json.metadata.find(([k]) => k === 'general.architecture'),
    ['general.architecture', 'tiny'],
  );
});

test('names in a file do not speak to the terminal', async (t) => {
  const dir = folder(t);
  const header = '{"\\u001b[31mred":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(join(dir, 'a.safetensors'), Buffer.concat([head, Buffer.from(header), Buffer.of(1)]));
  const out = ok(t, await netwright(['inspect', 'a.safetensors'], { cwd: dir }));
  t.false(out.includes('\u001b'));
  t.regex(out, /\\u001b\[31mred/);
});

test('a hostile file is refused with file, place and reason', async (t) => {
  const r = await netwright(['inspect', join(BAD, 'pt_reduce_os_system.pt')]);
  t.is(r.code, 1);
  t.regex(r.err, /NW5006.*pt_reduce_os_system\.pt.*at byte 48.*posix\.system/s);
});

test('convert goes between all formats and loses nothing; diff agrees', async (t) => {
  const dir = folder(t);
  const run = (...args: string[]): Promise<Run> => netwright(args, { cwd: dir });
  copyFileSync(join(GOOD, 'pt_state_dict.pth'), join(dir, 'a.pth'));
  const path = ['a.pth', 'b.safetensors', 'c.npz', 'd.pt', 'model.safetensors.index.json', 'e.safetensors'];
  for (let i = 1; i < path.length; i++) ok(t, await run('convert', path[i - 1]!, path[i]!, '--shard', '60'));
  t.true(readdirSync(dir).filter((n) => /^model-0000\d-of/.test(n)).length > 1);
  t.is(ok(t, await run('diff', 'a.pth', 'e.safetensors')), 'equal: 8 tensors\n');
  t.deepEqual(readFileSync(join(dir, 'b.safetensors')), readFileSync(join(dir, 'e.safetensors')));
});

test('convert casts, renames, transposes and picks; diff says what is different', async (t) => {
  const dir = folder(t);
  const run = (...args: string[]): Promise<Run> => netwright(args, { cwd: dir });
  copyFileSync(join(GOOD, 'pt_state_dict.pth'), join(dir, 'a.pth'));
  ok(
    t,
    await run(
      'convert',
      'a.pth',
      'b.npz',
      '--cast',
      'f16',
      '--rename',
      '^fc=linear',
      '--transpose',
      'fc2',
      '--only',
      'fc',
    ),
  );
  const { tensors } = JSON.parse(ok(t, await run('inspect', 'b.npz', '--json'))) as {
    tensors: { name: string; dtype: string; shape: number[] }[];
  };
  t.deepEqual(
    tensors.map((x) => [x.name, x.dtype, x.shape.join('x')]),
    [
      ['linear1.weight', 'F16', '3x4'],
      ['linear1.bias', 'F16', '3'],
      ['linear2.weight', 'F16', '3x2'],
    ],
  );
  ok(
    t,
    await run('convert', 'b.npz', 'c.safetensors', '--cast', 'f32', '--rename', '^linear=fc', '--transpose', 'linear2'),
  );
  const r = await run('diff', 'a.pth', 'c.safetensors');
  t.is(r.code, 1);
  t.regex(r.out, /fc1\.weight\s+│ values, F32/);
  t.regex(r.out, /bn\.weight\s+│ only in a\.pth/);
  const near = await run('diff', 'a.pth', 'c.safetensors', '--tolerance', '1e-3', '--json');
  t.true(
    near.out
      .trim()
      .split('\n')
      .every((line) => (JSON.parse(line) as { what: string }).what === 'only in a.pth'),
  );
});

test('convert refuses what it cannot do, and leaves nothing behind', async (t) => {
  const dir = folder(t);
  const run = (...args: string[]): Promise<Run> => netwright(args, { cwd: dir });
  copyFileSync(join(GOOD, 'pt_all_dtypes.pt'), join(dir, 'a.pt'));
  const wrong: [string[], RegExp][] = [
    [['a.pt', 'b.txt'], /no ending that says a format/],
    [['a.pt', 'b.npz'], /BF16/],
    [['a.pt', 'b.npy'], /holds one array/],
    [['a.pt', 'a.pt'], /the command reads it/],
    [['a.pt', 'b.pt', '--rename', '^.*$=x'], /two tensors would be called x/],
    [['a.pt', 'b.pt', '--rename', '(=x'], /regular expression/],
    [['a.pt', 'b.pt', '--cast', 'i8'], /one of f64, f32, f16, bf16/],
    [['gone.pt', 'b.pt'], /gone\.pt/],
  ];
  for (const [args, message] of wrong) {
    const r = await run('convert', ...args);
    t.not(r.code, 0);
    t.regex(r.err, message);
  }
  t.deepEqual(readdirSync(dir), ['a.pt']);
});

test('tied tensors stay one in every format', async (t) => {
  const dir = folder(t);
  const run = (...args: string[]): Promise<Run> => netwright(args, { cwd: dir });
  copyFileSync(join(GOOD, 'pt_tied.pt'), join(dir, 'a.pt'));
  ok(t, await run('convert', 'a.pt', 'b.safetensors', '--rename', 'lm_head=head'));
  t.regex(ok(t, await run('inspect', 'b.safetensors')), /head +│ F32 +│ \[5, 4\] │ is wte/);
  ok(t, await run('convert', 'b.safetensors', 'c.pt', '--rename', 'head=lm_head'));
  t.is(ok(t, await run('diff', 'a.pt', 'c.pt')), 'equal: 3 tensors\n');
});

test('predict starts from weights of PyTorch', async (t) => {
  const dir = folder(t);
  writeFileSync(
    join(dir, 'net.net'),
    `import { Linear, BatchNorm1d } from "std/nn"
export block Net {
  fc1 = Linear(4, 3)
  bn = BatchNorm1d(3)
  fc2 = Linear(3, 2, bias: false)
  forward(x: f32[B, 4]) -> f32[B, 2] => fc2(bn(fc1(x)))
}`,
  );
  writeFileSync(join(dir, 'x.csv'), 'a,b,c,d,y\n1,2,3,4,0\n');
  const args = ['predict', 'net.net', '--data', 'x.csv', '--weights'];
  const zip = ok(t, await netwright([...args, join(GOOD, 'pt_state_dict.pth')], { cwd: dir }));
  t.regex(zip, /result \[1, 2\]/);
  // The same weights, in the format before.
  t.is(ok(t, await netwright([...args, join(GOOD, 'pt_state_dict_legacy.pth')], { cwd: dir })), zip);
});

test('train starts from weights, lists what is on one side only, and refuses what has nothing in common', async (t) => {
  const dir = folder(t);
  const lora = join(ROOT, 'examples/lora.net');
  const run = (...args: string[]): Promise<Run> => netwright(args, { cwd: dir });
  const short = ['--set', 'hidden=8', '--epochs', '1', '--batch', '3000'];
  ok(t, await run('train', lora, '--block', 'Classifier', ...short, '-o', 'plain.safetensors'));
  ok(t, await run('convert', 'plain.safetensors', 'base.safetensors', '--rename', 'net.(\\d+).=net.$1.base.'));
  const adapt = ['train', lora, '--block', 'Adapted', ...short, '-o', 'adapted.safetensors', '--weights'];
  const out = ok(t, await run(...adapt, 'base.safetensors'));
  t.regex(out, /6 of 12 tensors\n {2}not in the file, initial values: net\.0\.A, net\.0\.B/);
  // What is frozen is in the new file as it was in the old one.
  const diff = await run('diff', 'base.safetensors', 'adapted.safetensors');
  t.regex(diff.out, /net\.0\.A/);
  t.notRegex(diff.out, /base\./);
  const wrong = await run(...adapt, 'plain.safetensors');
  t.is(wrong.code, 1);
  t.regex(wrong.err, /NW5006.*none of its names is one of Adapted's/s);
});

test("a training run is weights too, which is said; its optimizer is not the network's", async (t) => {
  const dir = folder(t);
  const run = (...args: string[]): Promise<Run> => netwright(args, { cwd: dir });
  writeFileSync(
    join(dir, 'net.net'),
    `import { Linear } from "std/nn"
export block Net {
  fc = Linear(4, 4)
  decode = Linear(4, 4, bias: false)
  tie decode.weight = fc.weight
  forward(x: f32[B, 4]) -> f32[B, 4] => decode(fc(x))
  loss(x: f32[B, 4], y: i32[B]) -> f32[] => cross_entropy(forward(x), y)
  train { loss = loss; optimizer = Adam(lr: 0.1); ema = 0.9; epochs = 2 }
}`,
  );
  writeFileSync(join(dir, 'x.csv'), 'a,b,c,d,y\n1,2,3,4,0\n4,3,2,1,1\n');
  ok(t, await run('train', 'net.net', '--data', 'x.csv', '-o', 'net.safetensors'));
  const predict = (file: string): Promise<Run> => run('predict', 'net.net', '--data', 'x.csv', '--weights', file);
  const [plain, whole] = [await predict('net.safetensors'), await predict('net.run.safetensors')];
  t.is(ok(t, whole), ok(t, plain));
  t.notRegex(plain.err, /training run/);
  t.regex(whole.err, /note.* net\.run\.safetensors is a training run: its weights are read/);
  const again = await run(
    'train',
    'net.net',
    '--data',
    'x.csv',
    '--weights',
    'net.run.safetensors',
    '-o',
    'b.safetensors',
  );
  t.regex(ok(t, again), /weights of net\.run\.safetensors: 3 of 3 tensors\n(?! {2}(in|not in) the file)/);
  t.regex(again.err, /training run/);
});

test('small floats are widened, copied where nobody says where their bits lie; notes go along', async (t) => {
  const dir = folder(t);
  const run = (...args: string[]): Promise<Run> => netwright(args, { cwd: dir });
  const values = async (file: string): Promise<number[]> => {
    const [x] = (await readTensors(join(dir, file))).values();
    return [...x!.readSync()];
  };
  // All 16 of E2M1 in order, two to a byte; https://www.opencompute.org, Microscaling Formats 1.0, table 5.
  const fours = Uint8Array.from({ length: 8 }, (_, i) => (2 * i) | ((2 * i + 1) << 4));
  const parts = writeSafetensors(
    new Map([['w', { dtype: 'F4', shape: [4, 4], bytes: fours }]]),
    new Map([['by', 'hand']]),
  );
  writeFileSync(join(dir, 'f4.safetensors'), Buffer.concat(parts));
  ok(t, await run('convert', 'f4.safetensors', 'wide.safetensors', '--cast', 'f32'));
  const eight = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
  t.deepEqual(await values('wide.safetensors'), [...eight, ...eight.map((v) => -v)]);
  t.regex(ok(t, await run('inspect', 'wide.safetensors')), /by: hand/);
  const left = await run('convert', 'f4.safetensors', 'wide.npz', '--cast', 'f32');
  t.regex(left.err, /note.* 1 note of f4\.safetensors left out/);

  copyFileSync(join(GOOD, 'st_one_f6.safetensors'), join(dir, 'f6.safetensors'));
  ok(t, await run('convert', 'f6.safetensors', 'same.safetensors'));
  t.is(ok(t, await run('diff', 'f6.safetensors', 'same.safetensors')), 'equal: 2 tensors\n');
  t.regex(
    (await run('convert', 'f6.safetensors', 'no.safetensors', '--cast', 'f32')).err,
    /F6_\w+, whose bits no standard/,
  );

  copyFileSync(join(GOOD, 'gguf_quant.gguf'), join(dir, 'a.gguf'));
  ok(t, await run('convert', 'a.gguf', 'b.safetensors'));
  t.regex(ok(t, await run('inspect', 'b.safetensors')), /general\.architecture: tiny/);
});
