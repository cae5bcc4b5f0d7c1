/** Every network of the tests and examples: legal after every pass, and the same text each time. */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { checkSource, elaborate, exportedBlocks } from '../../src/check/index.ts';
import { WASM } from '../../src/codegen/targets.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { prepareMethods, runPipeline } from '../../src/ir/pipeline.ts';
import { printModule } from '../../src/ir/print.ts';
import { buildPrograms } from '../../src/ir/programs.ts';

const ROOT = new URL('../../', import.meta.url);
const FILES = ['test/networks/', 'examples/'].flatMap((dir) =>
  readdirSync(new URL(dir, ROOT))
    .filter((f) => f.endsWith('.net'))
    .map((f) => dir + f),
);

/** The text of all programs, each pass verified. */
function passed(file: string): string {
  const source = readFileSync(new URL(file, ROOT), 'utf8');
  const bag = new DiagnosticBag();
  const project = checkSource({ read: (p) => (p === file ? source : null) }, file, bag);
  let text = '';
  for (const { name } of exportedBlocks(project)) {
    const block = elaborate(project, name.name, {}, bag);
    if (!block) throw new Error(bag.all.map((d) => d.message).join('\n'));
    const programs = buildPrograms(prepareMethods(block, WASM, { verify: true }));
    text += printModule(runPipeline(programs, WASM, { verify: true }).module);
  }
  return text;
}

for (const file of FILES) {
  test(file, (t) => {
    const text = passed(file);
    t.true(text.includes('func @program.forward('));
    t.true(passed(file) === text, 'the second run gives another text');
  });
}
