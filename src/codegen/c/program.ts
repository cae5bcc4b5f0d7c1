/**
 * Prints kernels and programs as C: one function per kernel, one exported function per program that calls them in order with
 * arguments from its frame. The frame holds a double for each slot: a size, or an absolute address (exact up to 2^53). A program
 * gives 0, or 1 and the number of the `while` that did not end.
 */
import type { Step } from '../../runtime/artifact.ts';
import type { Kernel } from '../kernel.ts';
import { Names } from '../names.ts';
import { WORTH_SHARING } from '../threads.ts';
import { POOL, POOL_HEADER } from './pool.ts';
import { reservedInC } from './prelude.ts';
import { preludeFor, printFunction, prototype, type COptions } from './print.ts';
import { stepLines, type Slots } from './steps.ts';

export interface CInput {
  readonly kernels: readonly Kernel[];
  /** `kernel` of a step is an index of `kernels`. */
  readonly programs: readonly { readonly name: string; readonly steps: readonly Step[] }[];
}

/** Characters of kernels in a unit: units are compiled side by side, and a compiler reads the prelude for each. */
const UNIT = 150_000;

/** A word alone may be a function of some library of the process, whose symbol would be taken in place of ours: `select` is. */
const reservedSymbol = (name: string): boolean => reservedInC(name) || !name.includes('_');

/** Units that are compiled on their own and linked; the first has the programs. */
export function printUnits(
  { kernels, programs }: CInput,
  options: COptions,
): { units: readonly string[]; functions: readonly string[]; declarations: readonly string[] } {
  const names = new Names(reservedSymbol);
  const functions = programs.map((p) => names.fresh(`run_${p.name}`));
  const bodies = kernels.map((k) => printFunction(k, names.of(k), { sharedFrom: WORTH_SHARING, ...options }));
  const prototypes = kernels.map((k) => prototype(k, names.of(k)));
  const declarations = kernels.map(
    (k) => `void ${names.of(k)}(${k.params.map((p) => (p.kind === 'buffer' ? 'intptr_t' : 'int32_t')).join(', ')})`,
  );
  const drivers = programs.map((p, i) =>
    driver(
      functions[i]!,
      stepLines(p.steps, kernels, (k) => names.of(k), FRAME),
    ),
  );
  const units = groups(bodies).map(
    (group) =>
      `${preludeFor(group.map((i) => kernels[i]!))}${POOL_HEADER}${group.map((i) => prototypes[i]! + bodies[i]!).join('')}`,
  );
  return { units: [[DRIVERS, POOL, ...prototypes, ...drivers].join(''), ...units], functions, declarations };
}

const DRIVERS = `#include <stddef.h>
#include <stdint.h>
#include <string.h>
#define EXPORT __attribute__((visibility("default")))
#define AT(i) ((void *)(intptr_t)frame[i])
#define SIZE(i) ((ptrdiff_t)frame[i])
`;

/** Neighbours together, as many as fit. */
function groups(bodies: readonly string[]): number[][] {
  const out: number[][] = [];
  let size = Infinity;
  bodies.forEach((b, i) => {
    if (size + b.length > UNIT) {
      out.push([]);
      size = 0;
    }
    out.at(-1)!.push(i);
    size += b.length;
  });
  return out;
}

const FRAME: Slots = {
  at: (slot) => `AT(${slot})`,
  size: (slot) => `SIZE(${slot})`,
  endless: (region) => `return ${region + 1};`,
};

const driver = (name: string, lines: readonly string[]): string =>
  `EXPORT int ${name}(const double *frame, int threads) {\n  (void)frame;\n  netwright_use(threads);\n${lines.map((l) => `${l}\n`).join('')}  return 0;\n}\n`;
