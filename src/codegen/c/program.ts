/**
 * Prints kernels and programs as C: one function per kernel, one exported function per program that calls them in order with
 * arguments from its frame. The frame holds a double for each slot: a size, or an absolute address (exact up to 2^53).
 */
import type { Step } from '../../runtime/artifact.ts';
import type { Kernel, KBuffer, KVar } from '../kernel.ts';
import { Names } from '../names.ts';
import { reservedInC } from './prelude.ts';
import { pointer, preludeFor, printFunction, prototype, type COptions } from './print.ts';

export interface CInput {
  readonly kernels: readonly Kernel[];
  /** `kernel` of a step is an index of `kernels`. */
  readonly programs: readonly { readonly name: string; readonly steps: readonly Step[] }[];
}

/** Characters of kernels in a unit: units are compiled side by side, and a compiler reads the prelude for each. */
const UNIT = 150_000;

/** Units that are compiled on their own and linked; the first has the programs. */
export function printUnits(
  { kernels, programs }: CInput,
  options: COptions,
): { units: readonly string[]; functions: readonly string[]; declarations: readonly string[] } {
  const names = new Names(reservedInC);
  const functions = programs.map((p) => names.fresh(`run_${p.name}`));
  const bodies = kernels.map((k) => printFunction(k, names.of(k), options));
  const prototypes = kernels.map((k) => prototype(k, names.of(k)));
  const declarations = kernels.map(
    (k) => `void ${names.of(k)}(${k.params.map((p) => (p.kind === 'buffer' ? 'intptr_t' : 'int32_t')).join(', ')})`,
  );
  const drivers = programs.map((p, i) => driver(functions[i]!, p.steps, kernels, names));
  const units = groups(bodies).map(
    (group) => `${preludeFor(group.map((i) => kernels[i]!))}${group.map((i) => prototypes[i]! + bodies[i]!).join('')}`,
  );
  return { units: [[DRIVERS, ...prototypes, ...drivers].join(''), ...units], functions, declarations };
}

const DRIVERS = `#include <stdint.h>
#include <string.h>
#define EXPORT __attribute__((visibility("default")))
#define AT(i) ((void *)(intptr_t)frame[i])
#define SIZE(i) ((int32_t)frame[i])
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

function driver(name: string, steps: readonly Step[], kernels: readonly Kernel[], names: Names): string {
  const lines: string[] = [];
  const local = new Names(reservedInC);
  const argument = (p: KBuffer | KVar, slot: number): string =>
    p.kind === 'buffer' ? `(${pointer(p)})AT(${slot})` : `SIZE(${slot})`;
  const flag = (slot: number): string => `*(const uint32_t *)AT(${slot})`;
  const write = (list: readonly Step[], indent: string): void => {
    for (const s of list) {
      const put = (line: string): void => void lines.push(indent + line);
      const inner = (body: readonly Step[]): void => write(body, `${indent}  `);
      switch (s.kind) {
        case 'kernel': {
          const k = kernels[s.kernel]!;
          put(`${names.of(k)}(${s.slots.map((slot, i) => argument(k.params[i]!, slot)).join(', ')});`);
          break;
        }
        case 'copy':
          put(`memmove(AT(${s.to}), AT(${s.from}), (size_t)frame[${s.bytes}]);`);
          break;
        case 'for': {
          const i = local.fresh('i');
          put(`for (int32_t ${i} = 0; ${i} < SIZE(${s.count}); ${i}++) {`);
          if (s.counter !== null) put(`  *(int32_t *)AT(${s.counter}) = ${i};`);
          inner(s.body);
          put('}');
          break;
        }
        case 'while':
          put('for (;;) {');
          inner(s.cond);
          put(`  if (!${flag(s.flag)}) break;`);
          inner(s.body);
          put('}');
          break;
        case 'if':
          put(`if (${flag(s.flag)}) {`);
          inner(s.then);
          if (s.else.length > 0) {
            put('} else {');
            inner(s.else);
          }
          put('}');
      }
    }
  };
  write(steps, '  ');
  return `EXPORT void ${name}(const double *frame) {\n  (void)frame;\n${lines.map((l) => `${l}\n`).join('')}}\n`;
}
