/** Compiles a file for a command: picks the block, prints warnings, stops at errors. */
import type { StaticValue } from '../check/elaborated.ts';
import type { TrainSettings } from '../check/index.ts';
import { compileProject, openProject, type Compiled, type CompileOptions, type OpenProject } from '../compile.ts';
import { Fault, fault, printDiagnostics } from './fault.ts';
import { diskHost, locate } from './host.ts';

export interface ProgramOptions {
  readonly block?: string | undefined;
  readonly set?: Readonly<Record<string, StaticValue>>;
  readonly train?: TrainSettings;
  readonly json?: boolean | undefined;
}

export interface CompiledFile {
  readonly root: string;
  readonly path: string;
  readonly blocks: readonly Compiled[];
}

/** Parses and checks the file that the user named, with all it imports. Throws a Fault where it cannot be read. */
export function openFile(file: string): { root: string; path: string; project: OpenProject } {
  const { root, path } = locate(file);
  const host = diskHost(root, path);
  if (host.read(path) === null) throw fault('file_not_found', { path: file });
  return { root, path, project: openProject(host, path) };
}

/** Every exported block of the file, or the one that `--block` names. Throws a Fault with all diagnostics where there are errors. */
export function compileFile(
  file: string,
  options: ProgramOptions,
  hooks: Pick<CompileOptions, 'onPass' | 'verify' | 'targets' | 'machine' | 'gpuLimits'> = {},
): CompiledFile {
  const { root, path, project } = openFile(file);
  if (project.bag.hasErrors) throw new Fault(project.bag.all, project.sources);
  if (project.exports.length === 0) throw fault('nothing_exported', { file: path });
  if (options.block !== undefined && !project.exports.includes(options.block)) {
    throw fault('no_such_export', { file: path, name: options.block, exports: names(project.exports) });
  }
  const wanted = options.block === undefined ? project.exports : [options.block];
  const given = { hyper: options.set ?? {}, train: options.train ?? {} };
  const blocks = wanted.map((name) => compileProject(project, name, { ...given, ...hooks }));
  if (project.bag.hasErrors) throw new Fault(project.bag.all, project.sources);
  printDiagnostics(project.bag.all, project.sources, options.json ?? false);
  return { root, path, blocks: blocks.filter((b) => b !== null) };
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
