/**
 * Writes the library's pages from its doc comments, signatures, formulas, shapes and sources: one per block, one per file
 * of functions; and their index.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { typeExprText } from '../../src/check/describe.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import type { Decl, FnDecl, Member, Span } from '../../src/parser/ast.ts';
import { parse } from '../../src/parser/index.ts';
import type { GeneratedFile, Generator } from './generator.ts';

const NOTE = (source: string): string =>
  `<!-- Generated from ${source} by scripts/generate.ts; edit the comments there. -->\n`;

const textOf = (source: string, span: Span): string =>
  source
    .slice(span.start, span.end)
    .replace(/\s+/g, ' ')
    .replace(/(?<=[[(]) | (?=[\])])/g, '');

/** `name(x: f32[B, 4], p: float = 0.5) -> f32[B]`, a line per argument where it would be long. */
function signature(source: string, decl: Decl | FnDecl): string {
  const name = decl.name.name;
  if (decl.kind === 'constDecl') return name;
  if (decl.kind === 'type') return `type ${name} = ${typeExprText(decl.type)}`;
  const result = decl.kind === 'fn' && decl.result ? ` -> ${textOf(source, decl.result.span)}` : '';
  const params = decl.params.map((p) => textOf(source, p.span));
  const line = `${name}(${params.join(', ')})${result}`;
  return line.length <= 100 ? line : `${name}(\n${params.map((p) => `  ${p}`).join(',\n')}\n)${result}`;
}

const fenced = (lines: readonly string[]): string => `\`\`\`text\n${lines.join('\n')}\n\`\`\`\n`;

/** Bare addresses become links; outside of code, what Markdown would read as markup is escaped. */
const prose = (doc: string): string =>
  doc
    .trim()
    .split(/(`[^`]*`|https:\S+?(?=[.,;]?(?:\s|$)))/)
    .map((part, i) =>
      i % 2 === 0 ? part.replace(/[\\*_<>|[\]]/g, (sign) => `\\${sign}`) : part.startsWith('`') ? part : `<${part}>`,
    )
    .join('');

const words: Readonly<Record<Decl['kind'], string>> = {
  block: 'block',
  fn: 'fn',
  optimizer: 'optimizer',
  type: 'type',
  constDecl: 'const',
};

/** The tensors of a block, with the conditions they are under, and its methods. */
function member(source: string, m: Member): string[] {
  const nested = (head: string, members: readonly Member[]): string[] => {
    const lines = members.flatMap((inner) => member(source, inner));
    return lines.length > 0 ? [head, ...lines.map((line) => `  ${line}`)] : [];
  };
  switch (m.kind) {
    case 'param':
    case 'buffer':
    case 'sub':
      return [textOf(source, m.span)];
    case 'ifMember':
      return [...nested(`if ${textOf(source, m.cond.span)}`, m.then), ...nested('else', m.else)];
    case 'forMember':
      return nested(`for ${textOf(source, m.pattern.span)} in ${textOf(source, m.iter.span)}`, m.body);
    case 'method':
      return [signature(source, m.fn)];
    default:
      return [];
  }
}

const declared = (source: string, decl: Decl): string =>
  fenced([decl.kind === 'type' ? signature(source, decl) : `${words[decl.kind]} ${signature(source, decl)}`]);

function sourceLink(source: string, decl: Decl, file: string): string {
  const line = source.slice(0, decl.name.span.start).split('\n').length;
  return `[${file}](../../${file}#L${line})`;
}

/** What a page of functions says about one. */
const entry = (source: string, decl: Decl, file: string): string[] => [
  declared(source, decl),
  `${prose(decl.doc)}\n`,
  `Defined in ${sourceLink(source, decl, file)}.\n`,
];

/** The paragraphs of a block's doc comment that begin with a label. */
const PARTS = ['Formula', 'Shapes', 'Source'] as const;

/** The block that a constructor of the file makes: `LSTM` makes a `Recurrent`. */
function madeBy(decl: Decl, file: readonly Decl[]): Decl | undefined {
  if (decl.kind !== 'fn') return decl;
  const call = decl.body.result;
  const callee = call?.kind === 'call' && call.callee.kind === 'name' ? call.callee.name : null;
  return file.find((d) => d.name.name === callee);
}

/** What the page of a block says: its doc comment with a heading over each labelled paragraph, its tensors and methods. */
function page(source: string, decl: Decl, all: readonly Decl[], file: string, module: string): string[] {
  const block = madeBy(decl, all);
  const paragraphs = decl.doc.trim().split(/\n\s*\n/);
  const labelled = (label: string): string | undefined => paragraphs.find((p) => p.startsWith(`${label}: `));
  const part = (label: (typeof PARTS)[number]): string => prose(labelled(label)?.slice(label.length + 2) ?? '');
  const [first = '', ...notes] = paragraphs.filter((p) => !PARTS.some((label) => p === labelled(label)));
  return [
    `# ${decl.name.name}\n`,
    declared(source, decl),
    `${prose(first)}\n`,
    `## Formula\n\n${part('Formula')}\n`,
    `## Shapes\n\n${part('Shapes')}\n`,
    ...(notes.length > 0 ? ['## Notes\n', ...notes.map((note) => `${prose(note)}\n`)] : []),
    ...(block?.kind === 'block' ? members(source, block.members) : []),
    `## Source\n\n${part('Source')}\n\nDefined in ${sourceLink(source, decl, file)}, module \`${module}\`.\n`,
  ];
}

function members(source: string, all: readonly Member[]): string[] {
  const methods = all.filter((m) => m.kind === 'method');
  const state = all.filter((m) => m.kind !== 'method').flatMap((m) => member(source, m));
  return [
    ...(state.length > 0 ? ['## Parameters, buffers and blocks\n', fenced(state)] : []),
    ...(methods.length > 0 ? ['## Methods\n', fenced(methods.flatMap((m) => member(source, m)))] : []),
  ];
}

/** Functions that are named like blocks make one: `LSTM`. */
const isBlock = (decl: Decl): boolean => decl.kind === 'block' || (decl.kind === 'fn' && /^[A-Z]/.test(decl.name.name));

const slug = (name: string): string => name.replace(/[/_]/g, '-');
const escaped = (name: string): string => name.replaceAll('_', '\\_');

async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.endsWith('.net')).sort();
}

export const library: Generator = {
  folder: 'docs/library',
  async generate(root) {
    const pages: GeneratedFile[] = [];
    const index: string[] = [];
    const write = (name: string, file: string, lines: readonly string[]): void => {
      pages.push({ path: `docs/library/${name}.md`, text: [NOTE(file), ...lines].join('\n'), format: true });
    };
    for (const name of await filesOf(join(root, 'stdlib'))) {
      const file = `stdlib/${name}`;
      const source = await readFile(join(root, file), 'utf8');
      const all = parse(source, file, new DiagnosticBag()).decls;
      const decls = all.filter((d) => d.exported);
      if (decls.length === 0) continue;
      const stem = name.replace(/\.net$/, '');
      const module = `std/${stem.replace(/\/.*/, '')}`;
      const head = prose(
        source
          .slice(0, source.indexOf('\n\n'))
          .replace(/^\/\/ ?/gm, '')
          .replace(/\n/g, ' '),
      );
      const blocks = decls.filter(isBlock);
      const others = decls.filter((d) => !isBlock(d));
      for (const block of blocks) write(block.name.name, file, page(source, block, all, file, module));
      if (others.length > 0)
        write(slug(stem), file, [
          `# ${escaped(stem)}\n\n${head}\n\nModule \`${module}\`.\n`,
          ...others.flatMap((d) => [`## ${escaped(d.name.name)}\n`, ...entry(source, d, file)]),
        ]);
      const links = decls.map((decl) => {
        const { name } = decl.name;
        return isBlock(decl) ? `[${name}](${name}.md)` : `[${escaped(name)}](${slug(stem)}.md#${name.toLowerCase()})`;
      });
      const title = others.length > 0 ? `[${escaped(stem)}](${slug(stem)}.md)` : escaped(stem);
      index.push(`**${title}** ${head}\n\n${links.join(', ')}\n`);
    }
    const intro =
      '# The library\n\nBlocks of `std/nn` are imported; everything else is in the prelude. A block has a page: its signature, its ' +
      'formula, its shapes, its parameters and its source; functions have one per file. What the types say of shapes: see ' +
      '[language.md](../language.md).\n';
    return [
      ...pages,
      { path: 'docs/library/README.md', text: [NOTE('stdlib/'), intro, ...index].join('\n'), format: true },
    ];
  },
};
