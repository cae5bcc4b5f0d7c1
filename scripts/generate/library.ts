/** Writes a page per module file of the library from its doc comments: signatures, what is computed, shapes, sources; and their index. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { typeExprText } from '../../src/check/describe.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import type { Decl, FnDecl, Member, Span } from '../../src/parser/ast.ts';
import { parse } from '../../src/parser/index.ts';
import type { GeneratedFile, Generator } from './generator.ts';

const NOTE = (source: string): string =>
  `<!-- Generated from ${source} by scripts/generate.ts; edit the comments there. -->\n`;

const textOf = (source: string, span: Span): string => source.slice(span.start, span.end).replace(/\s+/g, ' ');

/** `name(x: f32[B, 4], p: float = 0.5) -> f32[B]`, a line per argument where it would be long. */
function signature(source: string, decl: Decl | FnDecl): string {
  const name = decl.name.name;
  if (decl.kind === 'constDecl') return name;
  if (decl.kind === 'type') return `type ${name} = ${typeExprText(decl.type)}`;
  const result = decl.kind === 'fn' && decl.result ? ` -> ${typeExprText(decl.result)}` : '';
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
      return [textOf(source, m.span)];
    case 'ifMember':
      return [...nested(`if ${textOf(source, m.cond.span)}`, m.then), ...nested('else', m.else)];
    case 'method':
      return [signature(source, m.fn)];
    default:
      return [];
  }
}

function entry(source: string, decl: Decl, file: string): string {
  const line = source.slice(0, decl.name.span.start).split('\n').length;
  const inside = decl.kind === 'block' ? decl.members.flatMap((m) => member(source, m)) : [];
  return [
    `## ${decl.name.name}\n`,
    fenced([decl.kind === 'type' ? signature(source, decl) : `${words[decl.kind]} ${signature(source, decl)}`]),
    `${prose(decl.doc)}\n`,
    ...(inside.length > 0 ? [fenced(inside)] : []),
    `[Source](../../${file}#L${line})\n`,
  ].join('\n');
}

async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.endsWith('.net')).sort();
}

export const library: Generator = {
  async generate(root) {
    const pages: GeneratedFile[] = [];
    const index: string[] = [];
    for (const name of await filesOf(join(root, 'stdlib'))) {
      const file = `stdlib/${name}`;
      const source = await readFile(join(root, file), 'utf8');
      const decls = parse(source, file, new DiagnosticBag()).decls.filter((d) => d.exported);
      if (decls.length === 0) continue;
      const page = `${name
        .replace(/\.net$/, '')
        .replaceAll('/', '-')
        .replaceAll('_', '-')}.md`;
      const module = `std/${name.replace(/\.net$/, '').replace(/\/.*/, '')}`;
      const head = source
        .slice(0, source.indexOf('\n\n'))
        .replace(/^\/\/ ?/gm, '')
        .replace(/\n/g, ' ');
      const title = `# ${name.replace(/\.net$/, '')}\n\n${prose(head)}\n\nModule \`${module}\`.\n`;
      pages.push({
        path: `docs/library/${page}`,
        text: [NOTE(file), title, ...decls.map((d) => entry(source, d, file))].join('\n'),
        format: true,
      });
      const links = decls.map((d) => `[${d.name.name.replaceAll('_', '\\_')}](${page}#${d.name.name.toLowerCase()})`);
      if (links.length > 0)
        index.push(`**[${name.replace(/\.net$/, '').replaceAll('_', '\\_')}](${page})** ${links.join(', ')}\n`);
    }
    const intro =
      '# The library\n\nBlocks of `std/nn` are imported; everything else is in the prelude. Each entry has its signature, what it computes ' +
      'and its source. Shapes are in the types: see [language.md](../language.md).\n';
    return [
      ...pages,
      { path: 'docs/library/README.md', text: [NOTE('stdlib/'), intro, ...index].join('\n'), format: true },
    ];
  },
};
