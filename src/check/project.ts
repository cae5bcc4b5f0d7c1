/** The files of a program: parsed once, with the names each declares and imports. Reads only through its host. */
import { libraryDeclarations, isLibraryFile, type Declarations } from './library.ts';
import { didYouMean, type DiagnosticBag } from '../diagnostics/index.ts';
import type { Decl, File, Import, Span, TypeDecl } from '../parser/ast.ts';
import { parse } from '../parser/index.ts';
import { STDLIB } from '../stdlib.generated.ts';
import { OPS } from '../ir/ops/table.ts';
import { NO_SPAN } from '../diagnostics/span.ts';
import { BUILTINS } from './builtins.ts';
import { EINOPS } from './einops.ts';
import type { Elaborated } from './elaborated.ts';
import { INTERNAL_OPS } from './op-call.ts';
import { Scope } from './scope.ts';
import { preludeHelp } from './unknown-name.ts';
import { floatVal, POISON, type Val } from './values.ts';

/** Where source text comes from. Pure and synchronous: the command line reads disk, a browser its editor. */
export interface SourceHost {
  /** The text of a file, by its path from the project's root with `/`; null where there is none. */
  read(path: string): string | null;
  /** What this machine's processor calls itself: measurements of another (`netwright tune`) are left alone. */
  readonly processor?: string;
}

export interface ModuleFile {
  readonly path: string;
  readonly text: string;
  /** Of the library's files it holds nothing: their declarations are parsed as they are named. */
  readonly ast: File;
  readonly decls: Declarations;
  readonly scope: Scope;
  readonly imports: Map<string, { readonly decl: Decl; readonly span: Span }>;
  readonly used: Set<string>;
}

export interface Project {
  readonly entry: string;
  readonly files: Map<string, ModuleFile>;
  /** The text of every file that was read, for rendering diagnostics. */
  readonly sources: Map<string, string>;
  /** Names of the blocks that the entry file exports, in order of declaration. */
  readonly exports: string[];
  /** The names that need no import. */
  readonly prelude: Scope;
  /** Places of names that the resolver has reported. */
  readonly unknown: Set<string>;
  /** Declared types that are made of themselves; reported, and unknown to everything after. */
  readonly cyclic: Set<TypeDecl>;
  /** Blocks that checking has elaborated without fault as they stand. */
  readonly elaborated: Map<Decl, Elaborated>;
  /** Blocks that some elaboration has instantiated. */
  readonly instantiated: Set<Decl>;
  readonly bag: DiagnosticBag;
}

const PRELUDE = ['std/functional', 'std/init', 'std/metrics', 'std/optim'];

/** Loads a file and everything it imports. Null where the entry itself cannot be read. */
export function loadProject(host: SourceHost, entry: string, bag: DiagnosticBag): Project {
  const primitives = new Scope(null);
  for (const name of [...BUILTINS, 'einsum', ...EINOPS]) primitives.bind(name, 'primitive', { kind: 'builtin', name });
  // These are of numbers and lists, which shapes need all the time; the reductions are `op.prod`, `amin`, `amax`.
  const compileTime = ['prod', 'min', 'max'];
  for (const op of Object.keys(OPS))
    if (!INTERNAL_OPS.includes(op) && !compileTime.includes(op)) primitives.bind(op, 'primitive', { kind: 'op', op });
  for (const elem of ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'] as const)
    primitives.bind(elem, 'primitive', { kind: 'elem', elem });
  // PyTorch's name; the two values may be numbers, which no signature could say.
  primitives.bind('where', 'primitive', { kind: 'op', op: 'select' });
  primitives.bind('pi', 'primitive', floatVal(Math.PI));
  primitives.bind('inf', 'primitive', floatVal(Infinity));
  primitives.bind('nan', 'primitive', floatVal(NaN));
  primitives.bind('op', 'primitive', {
    kind: 'record',
    name: 'op',
    fields: new Map(
      Object.keys(OPS)
        .filter((k) => !INTERNAL_OPS.includes(k))
        .map((k) => [k, { kind: 'op', op: k }]),
    ),
  });
  const project: Project = {
    entry,
    files: new Map(),
    sources: new Map(),
    exports: [],
    prelude: new Scope(primitives),
    unknown: new Set(),
    cyclic: new Set(),
    elaborated: new Map(),
    instantiated: new Set(),
    bag,
  };
  for (const path of PRELUDE) {
    const file = load(project, host, path, []);
    for (const { name, span, exported } of file?.decls.all ?? []) {
      if (exported) project.prelude.bindLazily(name, 'prelude', span, () => file!.scope.names.get(name)!.val);
    }
  }
  const main = load(project, host, entry, []);
  for (const d of main?.ast.decls ?? []) if (d.kind === 'block' && d.exported) project.exports.push(d.name.name);
  return project;
}

/** What a declaration is as a value. Constants are evaluated when first named; types have no value. */
function declVal(file: ModuleFile, d: Decl): Val {
  switch (d.kind) {
    case 'block':
      return { kind: 'block', decl: d, scope: file.scope };
    case 'fn':
      return { kind: 'fn', name: d.name.name, decl: d, scope: file.scope };
    case 'optimizer':
      return { kind: 'optimizerDecl', decl: d, scope: file.scope };
    case 'constDecl':
      return { kind: 'constant', decl: d, scope: file.scope, cell: { value: null, busy: false } };
    case 'type':
      return POISON;
  }
}

function load(project: Project, host: SourceHost, path: string, above: readonly string[]): ModuleFile | null {
  const known = project.files.get(path);
  if (known) return known;
  const text = isLibraryFile(path) ? (STDLIB[path] ?? null) : host.read(path);
  if (text === null) {
    if (above.length === 0 && !isLibraryFile(path))
      project.bag.report('file_not_found', { path }, { file: path, start: 0, end: 0 });
    return null;
  }
  project.sources.set(path, text);
  const library = isLibraryFile(path);
  const ast = library ? NO_FILE : parse(text, path, project.bag);
  const decls = library ? libraryDeclarations(path, text) : declared(ast, project.bag);
  const file: ModuleFile = {
    ...{ path, text, ast, decls },
    scope: new Scope(project.prelude),
    imports: new Map(),
    used: new Set(),
  };
  project.files.set(path, file);
  for (const { name, span } of decls.all)
    file.scope.bindLazily(name, 'decl', span, () => declVal(file, decls.get(name)!));
  for (const i of ast.imports) addImport(project, host, file, i, [...above, path]);
  return file;
}

const NO_FILE: File = { kind: 'file', imports: [], decls: [], span: NO_SPAN };

/** What a parsed file declares. Of two of one name the first counts. */
function declared(ast: File, bag: DiagnosticBag): Declarations {
  const byName = new Map<string, Decl>();
  for (const d of ast.decls) {
    const old = byName.get(d.name.name);
    if (!old) byName.set(d.name.name, d);
    else {
      bag.report('duplicate_name', { name: d.name.name }, d.name.span, {
        related: [{ span: old.name.span, message: 'declared first here' }],
      });
    }
  }
  const all = [...byName.values()].map(({ name, kind, exported }) => ({
    name: name.name,
    span: name.span,
    kind,
    exported,
  }));
  return { all, get: (name) => byName.get(name) };
}

function addImport(project: Project, host: SourceHost, file: ModuleFile, i: Import, above: readonly string[]): void {
  const { bag } = project;
  const target = resolvePath(project, file.path, i);
  const from =
    target === null
      ? null
      : above.includes(target)
        ? cycle(project, i, target, above)
        : load(project, host, target, above);
  if (target !== null && !from && !above.includes(target)) {
    const help = isLibraryFile(target)
      ? (didYouMean(target, Object.keys(STDLIB)) ?? `there are ${Object.keys(STDLIB).join(', ')}`)
      : null;
    bag.report('import_not_found', { path: i.from.path }, i.from.span, { help });
  }
  for (const n of i.names) {
    const local = (n.as ?? n.name).name;
    const clash = file.decls.get(local)?.name.span ?? file.imports.get(local)?.span;
    if (clash) {
      bag.report('duplicate_name', { name: local }, (n.as ?? n.name).span, {
        related: [{ span: clash, message: 'declared first here' }],
      });
      continue;
    }
    const found = from?.decls.get(n.name.name) ?? null;
    if (from && !found) {
      const names = from.decls.all.filter((d) => d.exported).map((d) => d.name);
      bag.report('unknown_import', { path: i.from.path, name: n.name.name }, n.name.span, {
        help: preludeHelp(n.name.name) ?? didYouMean(n.name.name, names),
      });
    } else if (found && !found.exported) {
      bag.report('not_exported', { path: i.from.path, name: n.name.name }, n.name.span, {
        related: [{ span: found.name.span, message: 'declared here, without `export`' }],
      });
    }
    const binding = found && from ? from.scope.names.get(found.name.name) : null;
    file.scope.bind(local, 'import', binding?.val ?? POISON, n.name.span);
    if (found) file.imports.set(local, { decl: found, span: (n.as ?? n.name).span });
    else file.used.add(local);
  }
}

function cycle(project: Project, i: Import, target: string, above: readonly string[]): null {
  const loop = [...above.slice(above.indexOf(target)), target].join(' -> ');
  project.bag.report('import_cycle', { cycle: loop }, i.from.span);
  return null;
}

/** A path from the project's root, or null after a report. */
function resolvePath(project: Project, from: string, i: Import): string | null {
  const { path, span } = i.from;
  if (isLibraryFile(path)) return path;
  if (!path.startsWith('./') && !path.startsWith('../')) {
    project.bag.report('bad_import_path', { path }, span);
    return null;
  }
  const parts = from.split('/').slice(0, -1);
  for (const p of path.split('/')) {
    if (p === '.' || p === '') continue;
    if (p !== '..') parts.push(p);
    else if (parts.length === 0) {
      project.bag.report('import_outside', { path }, span);
      return null;
    } else parts.pop();
  }
  return parts.join('/');
}

/** A declared type by the name it has in a file: its own, an import, or one of the library's. */
export function typeNamed(project: Project, name: string, path: string): TypeDecl | null {
  const file = project.files.get(path);
  const own = file?.decls.get(name) ?? file?.imports.get(name)?.decl;
  if (own) return own.kind === 'type' && !project.cyclic.has(own) ? own : null;
  for (const p of PRELUDE) {
    const d = project.files.get(p)?.decls.get(name);
    if (d?.kind === 'type' && d.exported) return d;
  }
  return null;
}

/** The place of a name as a key of `unknown`. */
export const placeKey = (s: Span): string => `${s.file}:${s.start}`;
