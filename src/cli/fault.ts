/** Faults of a command: every one ends as a coded diagnostic on stderr and an exit code, never as a stack trace. */
import pc from 'picocolors';
import {
  makeDiagnostic,
  NO_SPAN,
  renderAll,
  toJson,
  type Diagnostic,
  type DiagnosticArgs,
  type DiagnosticName,
} from '../diagnostics/index.ts';
import { CheckpointError, FileError, NetwrightError } from '../runtime/errors.ts';
import { DataError } from './data/dataset.ts';

/** Documented in docs/diagnostics/README.md. */
export const EXIT = {
  ok: 0,
  fault: 1,
  usage: 2,
  internal: 70,
  interrupted: 130,
  reader: 141,
  terminated: 143,
} as const;

/** Ends a command with diagnostics. */
export class Fault extends Error {
  readonly diagnostics: readonly Diagnostic[];
  /** Texts of the files that the diagnostics point into. */
  readonly sources: ReadonlyMap<string, string>;
  constructor(diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string> = new Map()) {
    super(diagnostics[0]?.message ?? '');
    this.diagnostics = diagnostics;
    this.sources = sources;
  }

  get isInternal(): boolean {
    return this.diagnostics.some((d) => d.code.startsWith('NW9'));
  }
}

/** A fault of the command line or its input, from the catalogue. */
export function fault<N extends DiagnosticName>(name: N, args: DiagnosticArgs<N>, help?: string | null): Fault {
  return new Fault([makeDiagnostic(name, args, NO_SPAN, help === undefined || help === null ? {} : { help })]);
}

/** Prints warnings and errors to stderr (JSON: one object per line to stdout). */
export function printDiagnostics(
  all: readonly Diagnostic[],
  sources: ReadonlyMap<string, string>,
  json: boolean,
): void {
  if (json) for (const d of toJson(all, sources)) process.stdout.write(`${JSON.stringify(d)}\n`);
  else if (all.length > 0)
    process.stderr.write(
      `${renderAll(all, sources, { color: pc.isColorSupported, width: process.stderr.columns ?? 100 })}\n`,
    );
}

/** The exit code for whatever a command threw; tells the user what it was. */
export function reportFault(e: unknown, json: boolean): number {
  const found = toFault(e);
  printDiagnostics(found.diagnostics, found.sources, json);
  if (found.isInternal && process.env['NETWRIGHT_DEBUG'] && e instanceof Error) process.stderr.write(`${e.stack}\n`);
  if (found.isInternal) return EXIT.internal;
  return found.diagnostics.some((d) => d.name === 'wrong_usage') ? EXIT.usage : EXIT.fault;
}

export function toFault(e: unknown): Fault {
  if (e instanceof Fault) return e;
  if (e instanceof DataError) return fault('bad_data', { source: e.source, problem: e.message }, e.help);
  if (e instanceof CheckpointError) {
    const problem = e.file === '' ? e.message : e.message.replace(`${e.file}: `, '');
    return fault('bad_checkpoint', { path: e.file, problem });
  }
  if (e instanceof FileError) {
    const args = { path: e.file, reason: e.reason };
    if (e.doing === 'write') return fault('cannot_write', args);
    return e.kind === 'ENOENT' ? fault('file_not_found', args) : fault('cannot_read', args);
  }
  if (e instanceof NetwrightError) return fault('runtime_fault', { problem: e.message });
  if (isSystemError(e)) {
    const args = { path: e.path ?? '?', reason: SYSTEM[e.code] ?? e.code };
    return e.code === 'ENOENT' ? fault('file_not_found', args) : fault('cannot_read', args);
  }
  return fault('internal_error', { problem: e instanceof Error ? e.message : String(e) });
}

const SYSTEM: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EISDIR: 'it is a folder',
  ENOTDIR: 'part of the path is a file',
  ELOOP: 'its links lead in a circle',
  EMFILE: 'too many open files',
};

const isSystemError = (e: unknown): e is { code: string; path?: string } =>
  e instanceof Error && 'code' in e && typeof e.code === 'string' && /^E[A-Z]+$/.test(e.code) && 'syscall' in e;
