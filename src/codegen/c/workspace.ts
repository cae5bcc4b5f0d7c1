/**
 * Programs whose sizes are arguments, in C: they check them and place their buffers in memory of the caller, once for each change of
 * sizes, by the rule of `runtime/plan.ts`. Nothing is allocated: the table of lifetimes and what is worked out of it are static.
 */
import type { Program, SizeExpr } from '../../runtime/artifact.ts';
import { ALIGN } from '../../runtime/plan.ts';
import { sizeText } from '../../runtime/sizes.ts';
import type { Names } from '../names.ts';
import type { Layout, Placing } from './layout.ts';
import { SLACK } from './layout.ts';

/** What the caller's buffer must be aligned to: what `malloc` and a static `double` are. */
const BASE_ALIGN = 8;

export const PLANNER = `/* Bytes of a buffer that are used from a step to another, from its start; where they lie once it is placed; the next ones by place. */
typedef struct { int first, last; int64_t start, end, from, to; int next; } range;
/* A buffer: its ranges (parts: how many, or 0 for one that is all of it), its bytes, where it lies. */
typedef struct { int range, parts; int64_t bytes, at; } place;

#if SIZE_MAX > 0xffffffffu
#define TOO_LARGE ((int64_t)1 << 53)
#else
#define TOO_LARGE (int64_t)(SIZE_MAX / 2)
#endif

/* What is wrong with the sizes that are being worked out. */
static const char *size_fault;
FN int64_t size_mul(int64_t a, int64_t b) {
  const double r = (double)a * (double)b;
  if (r < (double)TOO_LARGE && r > -(double)TOO_LARGE) return a * b;
  size_fault = "these sizes need more memory than there can be";
  return 0;
}
FN int64_t size_add(int64_t a, int64_t b) {
  if (a + b < TOO_LARGE && a + b > -TOO_LARGE) return a + b;
  size_fault = "these sizes need more memory than there can be";
  return 0;
}
FN int64_t size_div(int64_t a, int64_t b) {
  if (!b) size_fault = "a size is divided by zero";
  return !b ? 0 : a / b - (a % b != 0 && (a < 0) != (b < 0));
}
FN int64_t size_rem(int64_t a, int64_t b) { return a - size_div(a, b) * b; }
FN int64_t size_min(int64_t a, int64_t b) { return b < a ? b : a; }
FN int64_t size_max(int64_t a, int64_t b) { return b > a ? b : a; }
/* Kernels count in 32 bits. */
FN int64_t size_narrow(int64_t a) {
  if (a > INT32_MAX || a < INT32_MIN) size_fault = "a size does not fit into 32 bits";
  return a;
}
FN int64_t size_bytes(int64_t a) {
  if (a < 0) size_fault = "a size is negative";
  return a;
}
FN int64_t size_aligned(int64_t a) { return (a + ${ALIGN - 1}) / ${ALIGN} * ${ALIGN}; }

/* The first place where none of a buffer's ranges meets one that is taken at a time of its own. */
static int64_t place_lowest(const place *b, const range *r, int taken) {
  const int ranges = b->parts ? b->parts : 1;
  int64_t at = 0;
  for (int moved = 1; moved;) {
    moved = 0;
    for (int i = b->range; i < b->range + ranges; i++)
      for (int j = taken; j >= 0 && r[j].from < at + r[i].end; j = r[j].next) {
        if (r[j].to <= at + r[i].start || r[j].last < r[i].first || r[i].last < r[j].first) continue;
        at = size_aligned(r[j].to - r[i].start);
        moved = ranges > 1;
      }
  }
  return at;
}

/* Working memory first: larger buffers before smaller ones, each at the lowest place that is free when it is used. The others follow. */
static int64_t place_all(place *p, range *r, int temps, int all) {
  int taken = -1;
  int64_t top = 0;
  for (int i = 0; i < all; i++) p[i].at = -1;
  for (int done = 0; done < temps; done++) {
    int i = -1;
    for (int j = 0; j < temps; j++)
      if (p[j].at < 0 && (i < 0 || p[j].bytes > p[i].bytes)) i = j;
    if (!p[i].parts) r[p[i].range].end = size_aligned(p[i].bytes);
    p[i].at = place_lowest(&p[i], r, taken);
    for (int j = p[i].range; j < p[i].range + (p[i].parts ? p[i].parts : 1); j++) {
      int *link = &taken;
      r[j].from = p[i].at + r[j].start;
      r[j].to = p[i].at + r[j].end;
      while (*link >= 0 && r[*link].from <= r[j].from) link = &r[*link].next;
      r[j].next = *link;
      *link = j;
    }
    top = size_max(top, size_add(p[i].at, size_aligned(p[i].bytes)));
  }
  for (int i = temps; i < all; i++) {
    p[i].at = top;
    top = size_add(top, size_aligned(size_max(p[i].bytes, 1)));
  }
  return size_add(top, ${SLACK});
}

FN const char *workspace_fault(const void *workspace, size_t bytes, size_t wanted) {
  if (!workspace) return "there is no workspace";
  if (bytes < wanted) return "the workspace is smaller than its size function says";
  return (uintptr_t)workspace % ${BASE_ALIGN} ? "the workspace is not aligned to ${BASE_ALIGN} bytes" : 0;
}

`;

/** Words that the text above and below uses. */
export const PLANNER_WORDS =
  'place TOO_LARGE size_fault size_mul size_add size_div size_rem size_min size_max size_narrow size_bytes size_aligned place_all place_lowest range taken ' +
  'workspace_fault workspace workspace_bytes wanted p n w';

const CALLS = { '+': 'size_add', '*': 'size_mul', '/': 'size_div', '%': 'size_rem', min: 'size_min', max: 'size_max' };

/** What a program's functions and tables are called. */
export class ProgramNames {
  readonly run: string;
  readonly plan: string;
  readonly ranges: string;
  readonly places: string;
  readonly sizes: string;
  readonly dims: string;
  readonly bytes: string;

  constructor(program: string, names: Names) {
    const of = (what: string): string => names.fresh(`${what}_${program}`);
    [this.run, this.plan, this.ranges] = [of('run'), of('plan'), of('ranges')];
    [this.places, this.sizes, this.dims, this.bytes] = [of('places'), of('sizes'), of('dims'), of('bytes')];
  }
}

/** The placing of one such program. All its steps are printed before its plan, which works out the sizes that they asked for. */
export class Workspace implements Placing {
  private readonly program: Program;
  private readonly layout: Layout;
  private readonly names: ProgramNames;
  private readonly symbols: ReadonlyMap<string, string>;
  private readonly sizes = new Map<string, { readonly size: SizeExpr; readonly index: number; narrow: boolean }>();
  /** Of `temp` buffers first, then of arguments and results. */
  private readonly order: readonly number[];

  /** `symbols`: their names as arguments. */
  constructor(program: Program, layout: Layout, names: ProgramNames, symbols: ReadonlyMap<string, string>) {
    this.program = program;
    this.layout = layout;
    this.names = names;
    this.symbols = symbols;
    const of = (temp: boolean): number[] =>
      program.buffers.flatMap((b, i) => (b.kind !== 'segment' && (b.kind === 'temp') === temp ? [i] : []));
    this.order = [...of(true), ...of(false)];
  }

  number(size: SizeExpr, narrow = false): string {
    if (typeof size === 'number') return String(size);
    const key = JSON.stringify(size);
    const entry = this.sizes.get(key) ?? { size, index: this.sizes.size, narrow };
    entry.narrow ||= narrow;
    this.sizes.set(key, entry);
    return `n[${entry.index}]`;
  }

  address(buffer: number, offset: SizeExpr): string {
    const { kind, segment } = this.program.buffers[buffer]!;
    const bytes = this.number(offset);
    if (kind === 'segment') return this.layout.arena(segment!, bytes)!;
    const at = `p[${this.order.indexOf(buffer)}].at`;
    return `(void *)(w + ${bytes === '0' ? at : `${at} + ${bytes}`})`;
  }

  /** Lines of a function that finds its tables. */
  tables(): string {
    const { places, sizes } = this.names;
    return `  LET place *const p = ${places};\n  LET int64_t *const n = ${sizes};\n`;
  }

  /** The function that plans: the bytes that a call needs; 0 where the sizes will not do, and then `fault` says why. */
  plan(title: string, fault: string, literal: (text: string) => string): string {
    const { buffers, checks, symbols } = this.program;
    const { ranges, places, sizes, dims, bytes } = this.names;
    const temps = this.order.filter((i) => buffers[i]!.kind === 'temp').length;
    const names = symbols.map((s) => this.symbols.get(s)!);
    const refuse = (text: string): string => `return ${fault} = ${literal(`${title}: ${text}`)}, 0;\n`;
    const same = names.map((s, i) => `${dims}[${i}] == ${s}`).join(' && ');
    const lines = [
      ...names.map(
        (s, i) => `  if (${s} < 0 || ${s} > INT32_MAX) ${refuse(`${symbols[i]!} is not from 0 to 2^31 - 1`)}`,
      ),
      `  if (${same}) return ${bytes};\n`,
      `  ${dims}[0] = -1;\n`,
      '  size_fault = 0;\n',
      ...checks.map((c) => {
        const sign = c.kind === 'equal' ? '!=' : '<';
        return `  if (${this.text(c.left)} ${sign} ${this.text(c.right)}) ${refuse(`${demand(c)}; ${c.message}`)}`;
      }),
      ...[...this.sizes.values()].map(({ size, index, narrow }) => {
        const value = this.text(size);
        return `  n[${index}] = ${narrow ? `size_narrow(${value})` : value};\n`;
      }),
      ...this.order.map((buffer, i) => `  p[${i}].bytes = ${this.bytes(buffers[buffer]!.bytes)};\n`),
      `  if (!size_fault) ${bytes} = (size_t)place_all(p, ${ranges}, ${temps}, ${this.order.length});\n`,
      `  if (size_fault) { ${fault} = size_fault; return 0; }\n`,
      ...names.map((s, i) => `  ${dims}[${i}] = ${s};\n`),
      `  return ${bytes};\n`,
    ];
    return `static size_t ${this.names.plan}(${names.map((s) => `int64_t ${s}`).join(', ')}) {
  place *const p = ${places};
  int64_t *const n = ${sizes};
  (void)p;
  (void)n;
  ${fault} = 0;
${lines.join('')}}

`;
  }

  /** What `tables` finds. */
  declarations(): string {
    const { places, sizes, dims, bytes } = this.names;
    const ranges: string[] = [];
    const list = this.order.map((i) => {
      const { live, parts } = this.program.buffers[i]!;
      const at = ranges.length;
      for (const r of parts ?? [{ live, offset: 0, bytes: 0 }])
        ranges.push(`{${r.live.join(', ')}, ${r.offset}, ${r.offset + r.bytes}, 0, 0, 0}`);
      return `{${at}, ${parts?.length ?? 0}, 0, 0}`;
    });
    return `static range ${this.names.ranges}[${Math.max(1, ranges.length)}] = {${ranges.join(', ') || '{0, 0, 0, 0, 0, 0, 0}'}};
static place ${places}[${Math.max(1, list.length)}] = {${list.join(', ') || '{0, 0, 0, 0}'}};
static int64_t ${sizes}[${Math.max(1, this.sizes.size)}], ${dims}[${this.program.symbols.length}] = {-1};
static size_t ${bytes};

`;
  }

  private bytes(e: SizeExpr): string {
    return typeof e === 'number' ? String(e) : `size_bytes(${this.text(e)})`;
  }

  private text(e: SizeExpr): string {
    if (typeof e === 'number') return String(e);
    if (typeof e === 'string') return this.symbols.get(e)!;
    return `${CALLS[e[0]]}(${this.text(e[1])}, ${this.text(e[2])})`;
  }
}

/** `H must be at least 7`. */
function demand({ kind, left, right }: Program['checks'][number]): string {
  const [l, r] = [sizeText(left), sizeText(right)];
  if (kind === 'equal') return typeof left === 'number' ? `${r} must be ${l}` : `${l} must be ${r}`;
  return typeof left === 'number' ? `${r} must be at most ${l}` : `${l} must be at least ${r}`;
}
