/** The public face of the checker: load and check a project, elaborate one block of it. */
import { isLibraryFile } from './library.ts';
import { didYouMean, type DiagnosticBag } from '../diagnostics/index.ts';
import { listOf } from '../diagnostics/words.ts';
import type { BlockDecl } from '../parser/ast.ts';
import { elaborateBlock } from './elaborate.ts';
import type { Elaborated, StaticValue } from './elaborated.ts';
import { readOutside, type TrainSettings } from './outside.ts';
import { loadProject, type ModuleFile, type Project, type SourceHost } from './project.ts';
import { resolveFile, resolveSettings } from './resolve.ts';

export type { Elaborated, StaticValue } from './elaborated.ts';
export type { TrainSettings } from './outside.ts';
export type { Project, SourceHost } from './project.ts';

/**
 * Parses and resolves the entry file and all it imports, and elaborates every exported block that can be compiled as it
 * stands, so that one run shows all errors of all files.
 */
export function checkSource(host: SourceHost, entry: string, bag: DiagnosticBag): Project {
  const project = loadProject(host, entry, bag);
  const own = [...project.files.values()].filter((f) => !isLibraryFile(f.path));
  for (const file of own) resolveFile(project, file, bag);
  for (const file of own) {
    for (const d of file.ast.decls) {
      if (d.kind !== 'block' || !d.exported || !hasDefaults(d)) continue;
      const made = elaborateBlock(project, file, d, {}, bag);
      if (made) project.elaborated.set(d, made);
    }
  }
  // Where something is wrong, a block may be unused for that reason alone.
  if (!bag.hasErrors)
    for (const file of own) for (const d of file.ast.decls) if (d.kind === 'block') warnUnused(project, d, bag);
  return project;
}

/** Blocks of the entry file that can be compiled, in order of declaration. */
export function exportedBlocks(project: Project): readonly BlockDecl[] {
  const file = project.files.get(project.entry);
  return file ? file.ast.decls.filter((d): d is BlockDecl => d.kind === 'block' && d.exported) : [];
}

/**
 * One exported block of the entry file with the given hyper-parameters and settings of its `train` block; null where something
 * is wrong, which the bag says.
 */
export function elaborate(
  project: Project,
  block: string,
  hyper: Readonly<Record<string, StaticValue>>,
  bag: DiagnosticBag,
  train: TrainSettings = {},
): Elaborated | null {
  const file = project.files.get(project.entry);
  if (!file) return null;
  const decl = exportedBlocks(project).find((d) => d.name.name === block);
  if (!decl) {
    const names = exportedBlocks(project).map((d) => d.name.name);
    const args = { file: project.entry, name: block, exports: names.length > 0 ? listOf(names, 'and') : 'none' };
    bag.report('no_such_export', args, file.ast.span, { help: didYouMean(block, names) });
    return null;
  }
  const asWritten = Object.keys(hyper).length === 0 && Object.keys(train).length === 0;
  const known = asWritten ? project.elaborated.get(decl) : undefined;
  if (known) return known;
  const settings = readOutside(train, project.sources, bag);
  if (!settings) return null;
  resolveSettings(project, file, decl, settings, bag);
  return elaborateBlock(project, file, decl, hyper, bag, settings);
}

/** Whether a block can be compiled without being told anything. */
export const hasDefaults = (d: BlockDecl): boolean =>
  d.params.every((p) => p.default !== null || p.type?.kind === 'optionalType');

/** Bodies are checked per instance: what nothing instantiates has only had its names looked up. */
function warnUnused(project: Project, d: BlockDecl, bag: DiagnosticBag): void {
  if (project.instantiated.has(d)) return;
  const open = d.params.filter((p) => p.default === null && p.type?.kind !== 'optionalType').map((p) => p.name.name);
  const why = d.exported && open.length > 0 ? `it needs ${listOf(open, 'and')}` : 'nothing uses it';
  bag.report('never_instantiated', { name: d.name.name, why }, d.name.span);
}

export type { ModuleFile };
