/** `netwright breaking`: its verdict is what loading an old file does, and the migration that it prints makes the file load. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type Model } from '../../src/index.ts';
import { folder, netwright } from '../support/cli.ts';

const net = (members: string, body: string): string => `import { Linear } from "std/nn"
export block Net {
  ${members}
  forward(x: f32[B, 4]) -> f32[B, 4] => ${body}
}
`;
const OLD = net(
  'first = Linear(4, 4); second = Linear(4, 4); head = Linear(4, 4, bias: false)',
  'head(second(first(x)))',
);

const create = async (source: string, seed: number): Promise<Model> => {
  const { blocks, diagnostics } = compile(source);
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'].create({ seed });
};

const CASES: readonly { what: string; now: string; breaking: boolean; says: RegExp; migrates?: boolean }[] = [
  { what: 'nothing', now: OLD, breaking: false, says: /compatible Net: files of weights fit/ },
  {
    what: 'the order of calls',
    now: OLD.replace('head(second(first(x)))', 'head(first(second(x)))'),
    breaking: false,
    says: /compatible/,
  },
  {
    what: 'names',
    now: OLD.replaceAll('first', 'begin').replaceAll('second', 'middle'),
    breaking: true,
    migrates: true,
    says: /renamed.*first\.weight.*is now begin\.weight[^]*--rename '\^first\\\.=begin\.' --rename '\^second\\\.=middle\.'/,
  },
  {
    what: 'names that move into each other',
    now: OLD.replaceAll('second', 'third').replaceAll('first', 'zeroth'),
    breaking: true,
    migrates: true,
    says: /is now third\.weight/,
  },
  {
    what: 'a layer more',
    now: OLD.replace('head = ', 'extra = Linear(4, 4); head = '),
    breaking: true,
    says: /added.*extra\.weight.*f32\[4, 4\] is new[^]*strict: false/,
  },
  {
    what: 'a layer less',
    now: OLD.replace('second = Linear(4, 4); ', '').replace('second(first(x))', 'first(x)'),
    breaking: true,
    says: /removed.*second\.bias/,
  },
  {
    what: 'a tie',
    now: OLD.replace('bias: false)', 'bias: false); tie head.weight = first.weight'),
    breaking: true,
    says: /tied.*head\.weight.*is tied to first\.weight: old files have two values/,
  },
];

for (const { what, now, breaking, says, migrates } of CASES) {
  test(`an edit of ${what}`, async (t) => {
    const dir = folder(t);
    writeFileSync(join(dir, 'old.net'), OLD);
    writeFileSync(join(dir, 'new.net'), now);
    const r = await netwright(['breaking', 'old.net', 'new.net'], { cwd: dir });
    t.is(r.err, '');
    t.regex(r.out, says);
    t.is(r.code, breaking ? 1 : 0);
    const model = await create(OLD, 1);
    await model.save(join(dir, 'old.safetensors'));
    const after = await create(now, 2);
    if (!breaking) await t.notThrowsAsync(after.load(join(dir, 'old.safetensors')));
    if (!migrates) return;
    await t.throwsAsync(after.load(join(dir, 'old.safetensors')));
    const command = /netwright convert (.*)/.exec(r.out)![1]!;
    // As a shell takes it apart.
    const args = execFileSync('bash', ['-c', `printf '%s\\n' ${command}`], { encoding: 'utf8' })
      .trim()
      .split('\n');
    t.is((await netwright(['convert', ...args], { cwd: dir })).code, 0);
    await t.notThrowsAsync(after.load(join(dir, 'new.safetensors')));
  });
}

test('a shape that is turned is transposed; --json says the same', async (t) => {
  const dir = folder(t);
  const turned = (n: string): string => `export block Net {
  param w: f32[${n}] ~ zeros()
  forward(x: f32[B, 2]) -> f32[B, 2] => x
}`;
  writeFileSync(join(dir, 'old.net'), turned('2, 3'));
  writeFileSync(join(dir, 'new.net'), turned('3, 2'));
  const r = await netwright(['breaking', 'old.net', 'new.net', '--json'], { cwd: dir });
  t.deepEqual(JSON.parse(r.out), {
    block: 'Net',
    breaking: true,
    changes: [{ kind: 'shape', name: 'w', what: 'was [2, 3] and is [3, 2], its transpose', breaking: true }],
    migration: ["--transpose '^w$'"],
  });
  t.is(r.code, 1);
});
