/** The example of a main program: draws a model, calls each function on made-up arguments, trains for five steps. */
import type { Program, SizeExpr, TensorSpec } from '../../runtime/artifact.ts';
import { evaluateSize, type Binding } from '../../runtime/sizes.ts';
import type { Functions, UserFunction } from './functions.ts';
import { elements } from './settle.ts';
import { CTYPE } from './words.ts';

export function exampleOf(api: Functions, header: string): string {
  const { functions, prefix, fault } = api;
  const symbols = [...new Set(functions.flatMap((f) => f.program.symbols))];
  const sized = symbols.length > 0;
  const some = sampleSize(functions.map((f) => f.program));
  const blocks = functions.map((f) => (f.sizing === null ? fixedCall(f) : sizedCall(f, f.sizing.name, symbols, fault)));
  return `#include "${header}"
#include <stdio.h>
${sized ? '#include <stdlib.h>\n' : ''}${sized ? sizesFromArguments(symbols, some) : '\nint main(void) {\n'}  ${prefix}_init(0);
${blocks.join('')}  return 0;
}
`;
}

const sizesFromArguments = (symbols: readonly string[], some: number): string => `
/* Sizes (${symbols.join(', ')}) are given on the command line, or ${some}. */
int main(int argc, char **argv) {
  int64_t size[${symbols.length}];
  for (int i = 0; i < ${symbols.length}; i++) size[i] = i + 1 < argc ? atoll(argv[i + 1]) : ${some};
`;

/** A size that may be every one of a file's sizes. */
function sampleSize(programs: readonly Program[]): number {
  const fits = (n: number): boolean =>
    programs.every((p) => {
      const dims = new Map(p.symbols.map((s) => [s, n]));
      return p.checks.every((c) => holds(c, dims));
    });
  return [2, 4, 8, 16, 32, 64, 128, 224, 256, 1].find(fits) ?? 2;
}

function holds({ kind, left, right }: Program['checks'][number], dims: Binding): boolean {
  const [l, r] = [evaluateSize(left, dims), evaluateSize(right, dims)];
  return kind === 'equal' ? l === r : l >= r;
}

const rounds = ({ program }: UserFunction): number => (program.name.startsWith('train_step') ? 5 : 1);

/** `i * 37 % 101` over a power of two: exact in every precision. */
const filled = ({ name, spec }: { name: string; spec: TensorSpec }, count: string): string =>
  `for (long i = 0; i < ${count}; i++) ${name}[i] = ${spec.elem === 'f32' ? '(float)(i * 37 % 101) / 128.0f' : `(${CTYPE[spec.elem]})(i % 2)`};`;

const block = (lines: readonly string[]): string => `  {\n${lines.map((l) => `    ${l}\n`).join('')}  }\n`;

function fixedCall(f: UserFunction): string {
  const count = (s: TensorSpec): number => evaluateSize(elements(s), new Map());
  const all = [...f.args, ...f.results];
  return block([
    ...all.map(({ name, spec }) => `static ${CTYPE[spec.elem]} ${name}[${Math.max(1, count(spec))}];`),
    ...f.args.map((a) => filled(a, String(count(a.spec)))),
    `for (int n = 0; n < ${rounds(f)}; n++) {`,
    `  ${f.name}(${all.map((x) => x.name).join(', ')});`,
    `  printf("${f.name}");`,
    ...f.results.map(
      ({ name, spec }) =>
        `  for (int i = 0; i < ${Math.min(3, count(spec))}; i++) printf(" %.9g", (double)${name}[i]);`,
    ),
    '  printf("\\n");',
    '}',
  ]);
}

function sizedCall(f: UserFunction, sizing: string, symbols: readonly string[], fault: string): string {
  const count = (s: TensorSpec): string => text(elements(s), f.sizes);
  const all = [...f.args, ...f.results];
  const sizes = [...f.sizes.values()];
  return block([
    `const int64_t ${[...f.sizes].map(([s, name]) => `${name} = size[${symbols.indexOf(s)}]`).join(', ')};`,
    `const size_t workspace_bytes = ${sizing}(${sizes.join(', ')});`,
    `if (!workspace_bytes) return fprintf(stderr, "%s\\n", ${fault}), 1;`,
    'void *const workspace = malloc(workspace_bytes);',
    ...all.map(
      ({ name, spec }) =>
        `${CTYPE[spec.elem]} *const ${name} = malloc((size_t)(${count(spec)} + 1) * sizeof *${name});`,
    ),
    `if (${['workspace', ...all.map((x) => x.name)].map((x) => `!${x}`).join(' || ')}) return 1;`,
    ...f.args.map((a) => filled(a, count(a.spec))),
    `for (int n = 0; n < ${rounds(f)}; n++) {`,
    `  if (${f.name}(${[...sizes, ...all.map((x) => x.name), 'workspace', 'workspace_bytes'].join(', ')})) return fprintf(stderr, "%s\\n", ${fault}), 1;`,
    `  printf("${f.name}");`,
    ...f.results.map(
      ({ name, spec }) => `  for (int i = 0; i < 3 && i < ${count(spec)}; i++) printf(" %.9g", (double)${name}[i]);`,
    ),
    '  printf("\\n");',
    '}',
    ...['workspace', ...all.map((x) => x.name)].map((x) => `free(${x});`),
  ]);
}

/** Sizes that have been checked: they are not negative, and neither are their parts that are divided. */
function text(e: SizeExpr, names: ReadonlyMap<string, string>): string {
  if (typeof e === 'number') return String(e);
  if (typeof e === 'string') return names.get(e)!;
  const [a, b] = [text(e[1], names), text(e[2], names)];
  if (e[0] === 'min') return `(${a} < ${b} ? ${a} : ${b})`;
  return e[0] === 'max' ? `(${a} > ${b} ? ${a} : ${b})` : `(${a} ${e[0]} ${b})`;
}
