/** The README's first screen is true: its network builds, its program runs on the built module, and a shape it calls wrong is. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { compile } from '../../src/compile.ts';

const README = readFileSync('README.md', 'utf8');
const block = (kind: string): string => new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(README)![1]!;

test('the network builds and the program runs', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-readme-'));
  try {
    const runtime = JSON.stringify(pathToFileURL(resolve('src/runtime/index.ts')).href);
    writeFileSync(join(folder, 'lenet.net'), block('net'));
    execFileSync(process.execPath, ['src/cli/bin.ts', 'build', join(folder, 'lenet.net')]);
    const { blocks } = compile(block('net'));
    await (await blocks['LeNet']!.create({ seed: 3 })).save(join(folder, 'lenet.safetensors'));
    for (const [name, text] of [
      ['lenet.net.ts', readFileSync(join(folder, 'lenet.net.ts'), 'utf8')],
      ['main.ts', block('ts')],
    ] as const)
      writeFileSync(join(folder, name), text.replaceAll("'netwright/runtime'", runtime));
    const printed = execFileSync(process.execPath, ['main.ts'], { cwd: folder, encoding: 'utf8' });
    t.regex(printed, /^Float32Array\(10\) \[[\s\S]*\]\n\d\.\d+ \[ 6, 1, 5, 5 \]\n$/);
    t.is(readFileSync(join(folder, 'lenet.pt')).subarray(0, 2).toString(), 'PK', 'an archive, as PyTorch writes');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the fault that it shows is what the compiler says', (t) => {
  const { diagnostics } = compile(block('net').replace('Linear(400, 120)', 'Linear(256, 120)'));
  t.deepEqual(
    diagnostics.map((d) => README.includes(`${d.severity}[${d.code}]: ${d.message}`)),
    [true],
  );
});

test("its numbers of parameters and steps are the network's", async (t) => {
  const { blocks } = compile(block('net'));
  const count = (await blocks['LeNet']!.create()).num_parameters().toLocaleString('en-US');
  t.true(README.includes(`LeNet from lenet.net: ${count} parameters`));
});
