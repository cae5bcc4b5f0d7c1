/** Source text to the programs of its (only) exported block, before any pass. Throws with the rendered diagnostics. */
import { checkSource, elaborate, exportedBlocks } from '../../src/check/index.ts';
import type { StaticValue } from '../../src/check/elaborated.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import type { Programs } from '../../src/ir/entry.ts';
import { buildPrograms } from '../../src/ir/programs.ts';

export function elaborated(source: string, hyper: Readonly<Record<string, StaticValue>> = {}): Programs {
  const bag = new DiagnosticBag();
  const project = checkSource({ read: (path) => (path === 'test.net' ? source : null) }, 'test.net', bag);
  const name = exportedBlocks(project)[0]?.name.name;
  const block = name !== undefined && !bag.hasErrors ? elaborate(project, name, hyper, bag) : null;
  if (!block || bag.hasErrors) {
    throw new Error(
      `${bag.all.map((d) => `${d.code} ${d.span.file}:${d.span.start} ${d.message}`).join('\n')}\n${source}`,
    );
  }
  return buildPrograms(block);
}
