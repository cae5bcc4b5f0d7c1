/** Compiles a file for a command: picks the block, prints warnings, stops at errors. */
import { existsSync, readFileSync } from 'node:fs';
import pc from 'picocolors';
import type { StaticValue } from '../check/elaborated.ts';
import type { SourceHost, TrainSettings } from '../check/index.ts';
import { readTuning, tuningBeside, tuningPath, type Tuning } from '../codegen/tuning.ts';
import type { DiagnosticBag } from '../diagnostics/index.ts';
import { count } from '../diagnostics/words.ts';
import { compileProject, openProject, type Compiled, type CompileOptions, type OpenProject } from '../compile.ts';
import { Fault, fault, printDiagnostics } from './fault.ts';
import { diskHost, locate } from './host.ts';

export interface ProgramOptions {
  readonly block?: string | undefined;
  readonly set?: Readonly<Record<string, StaticValue>>;
  readonly train?: TrainSettings;
  readonly json?: boolean | undefined;
  /** `--tune FILE`, `--no-tune`; what lies beside the source otherwise. */
  readonly tune?: string | boolean | undefined;
}

export interface CompiledFile {
  readonly root: string;
  readonly path: string;
  readonly blocks: readonly Compiled[];
}

/** Parses and checks the file that the user named, with all it imports. Throws a Fault where it cannot be read. */
export function openFile(file: string): { root: string; path: string; host: SourceHost; project: OpenProject } {
  const { root, path } = locate(file);
  const host = diskHost(root, path);
  if (host.read(path) === null) throw fault('file_not_found', { path: file });
  return { root, path, host, project: openProject(host, path) };
}

/** Every exported block of the file, or the one that `--block` names. Throws a Fault with all diagnostics where there are errors. */
export function compileFile(
  file: string,
  options: ProgramOptions,
  hooks: Pick<CompileOptions, 'onPass' | 'verify' | 'targets' | 'machine' | 'gpuLimits'> = {},
): CompiledFile {
  const { root, path, host, project } = openFile(file);
  if (project.bag.hasErrors) throw new Fault(project.bag.all, project.sources);
  const wanted = exportedNames(project, path, options.block);
  const tuning = tuningFor(host, path, options.tune, project.bag);
  const given = { hyper: options.set ?? {}, train: options.train ?? {}, tuning };
  const blocks = wanted.map((name) => compileProject(project, name, { ...given, ...hooks }));
  if (project.bag.hasErrors) throw new Fault(project.bag.all, project.sources);
  printDiagnostics(project.bag.all, project.sources, options.json ?? false);
  const taken = new Set(blocks.flatMap((b) => b?.tuned ?? []));
  if (taken.size > 0) {
    const from = typeof options.tune === 'string' ? options.tune : tuningPath(path);
    process.stderr.write(`${pc.dim(`tuned: ${count(taken.size, 'choice')} of ${from} (--no-tune leaves it out)`)}\n`);
  }
  return { root, path, blocks: blocks.filter((b) => b !== null) };
}

/** The exported blocks that a command is about: all, or the one that is named. */
export function exportedNames({ exports }: OpenProject, file: string, block: string | undefined): readonly string[] {
  if (exports.length === 0) throw fault('nothing_exported', { file });
  if (block === undefined) return exports;
  if (!exports.includes(block)) throw fault('no_such_export', { file, name: block, exports: names(exports) });
  return [block];
}

/** A file that the user names must be there. */
function tuningFor(host: SourceHost, path: string, tune: ProgramOptions['tune'], bag: DiagnosticBag): Tuning | null {
  if (tune === false) return null;
  if (typeof tune !== 'string') return tuningBeside(host, path, bag);
  if (!existsSync(tune)) throw fault('file_not_found', { path: tune });
  return readTuning(() => readFileSync(tune, 'utf8'), tune, host, bag);
}

/** The one block that a command works on. */
export function compileBlock(
  file: string,
  options: ProgramOptions,
  hooks: Pick<CompileOptions, 'targets' | 'machine'>,
): CompiledFile & { block: Compiled } {
  const compiled = compileFile(file, options, hooks);
  const [block] = compiled.blocks;
  if (compiled.blocks.length !== 1 || !block) {
    throw fault('which_block', { file: compiled.path, exports: names(compiled.blocks.map((b) => b.artifact.name)) });
  }
  return { ...compiled, block };
}

const names = (list: readonly string[]): string => list.map((n) => `\`${n}\``).join(', ');
