/** Turns a diagnostic into text for people: a headline, the lines of source it is about, and what to try. */
import type { Diagnostic } from './diagnostic.ts';
import { renderFrame } from './frame.ts';
import type { Label } from './frame.ts';
import { Lines } from './lines.ts';
import type { Span } from './span.ts';
import { COLOR, PLAIN } from './style.ts';
import { printable } from './width.ts';

/** The texts of the files that diagnostics point into. A `Map` from file to text will do. */
export interface Sources {
  get(file: string): string | undefined;
}

export interface RenderOptions {
  readonly color?: boolean;
  /** Columns of the terminal; longer source lines are cut around what matters. */
  readonly width?: number;
}

/** All of them, with a blank line between. Reads each source once. */
export function renderAll(diagnostics: readonly Diagnostic[], sources: Sources, options: RenderOptions = {}): string {
  const cache = lineCache(sources);
  return diagnostics.map((diagnostic) => renderOne(diagnostic, cache, options)).join('\n');
}

export function render(diagnostic: Diagnostic, sources: Sources, options: RenderOptions = {}): string {
  return renderOne(diagnostic, lineCache(sources), options);
}

type LineCache = (file: string) => Lines | null;

export function lineCache(sources: Sources): LineCache {
  const cache = new Map<string, Lines | null>();
  return (file) => {
    let lines = cache.get(file);
    if (lines === undefined) {
      const text = sources.get(file);
      lines = text === undefined ? null : new Lines(text);
      cache.set(file, lines);
    }
    return lines;
  };
}

function renderOne(diagnostic: Diagnostic, cache: LineCache, options: RenderOptions): string {
  const style = options.color ? COLOR : PLAIN;
  const width = options.width ?? 120;
  const tint = style[diagnostic.severity];
  const out = [
    `${tint(`${diagnostic.severity}[${diagnostic.code}]`)}${style.strong(`: ${printable(diagnostic.message)}`)}`,
  ];

  const files = labelsByFile(diagnostic);
  const gutter = Math.max(1, ...files.map(([file, labels]) => lastLine(cache(file), labels)).map((n) => `${n}`.length));
  files.forEach(([file, labels], i) => {
    const lines = cache(file);
    const first = labels[0];
    if (!first) return;
    const at = lines?.position(first.span.start);
    const place = at ? `${file}:${at.line}:${at.column}` : file;
    const arrow = style.quiet(i === 0 ? '┌─' : '├─');
    const unseen = lines ? [] : labels.map((label) => label.message).filter((message) => message !== '');
    out.push(`${' '.repeat(gutter)} ${arrow} ${printable([place, ...unseen].join(': '))}`);
    if (lines) out.push(...renderFrame(lines, labels, { gutter, width, style, tint }));
  });

  const note = (text: string): void => {
    out.push(`${' '.repeat(gutter)} ${style.quiet('=')} ${text}`);
  };
  for (const { span, message } of diagnostic.related) if (span.file === '') note(printable(message));
  if (diagnostic.path) note(`in ${shortPath(printable(diagnostic.path))}`);
  if (diagnostic.help !== null) {
    note(`${style.help('help')}: ${wrap(printable(diagnostic.help), width - gutter - 9, ' '.repeat(gutter + 9))}`);
  }
  return `${out.join('\n')}\n`;
}

/** A deep path by its ends: a block that contains itself has one without end. */
function shortPath(path: string): string {
  const steps = path.split('.');
  return steps.length <= 10 ? path : [...steps.slice(0, 4), '…', ...steps.slice(-2)].join('.');
}

/** The primary file first; in each, the primary label before the others. */
function labelsByFile(diagnostic: Diagnostic): (readonly [string, Label[]])[] {
  const files = new Map<string, Label[]>();
  const add = (span: Span, message: string, primary: boolean): void => {
    if (span.file === '') return;
    const labels = files.get(span.file) ?? [];
    labels.push({ span, message, primary });
    files.set(span.file, labels);
  };
  add(diagnostic.span, '', true);
  for (const { span, message } of diagnostic.related) add(span, message, false);
  return [...files];
}

function lastLine(lines: Lines | null, labels: readonly Label[]): number {
  return lines ? Math.max(...labels.map(({ span }) => lines.position(span.start).line)) : 1;
}

/** Breaks at spaces; a word longer than the line stays whole. */
function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > Math.max(width, 20)) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.join(`\n${indent}`);
}
