/** The steps of a linked program as statements of C. */
import type { Step } from '../../runtime/artifact.ts';
import type { KBuffer, Kernel, KVar } from '../kernel.ts';
import { Names } from '../names.ts';
import { reservedInC } from './prelude.ts';
import { pointer } from './print.ts';

/** How a step reads its slots: the address in one, the number in one, each as an expression of C. */
export interface Slots {
  readonly at: (slot: number) => string;
  readonly size: (slot: number) => string;
  /** Leaves the function: that `while` did not end. */
  readonly endless: (region: number) => string;
}

/** The steps of a program as statements. `call` gives the name of a kernel's function. */
export function stepLines(
  steps: readonly Step[],
  kernels: readonly Kernel[],
  call: (k: Kernel) => string,
  { at, size, endless }: Slots,
): readonly string[] {
  const lines: string[] = [];
  const local = new Names(reservedInC);
  const argument = (p: KBuffer | KVar, slot: number): string =>
    p.kind === 'buffer' ? `(${pointer(p)})${at(slot)}` : size(slot);
  const flag = (slot: number): string => `*(const uint32_t *)${at(slot)}`;
  const write = (list: readonly Step[], indent: string): void => {
    for (const s of list) {
      const put = (line: string): void => void lines.push(indent + line);
      const inner = (body: readonly Step[]): void => write(body, `${indent}  `);
      switch (s.kind) {
        case 'kernel': {
          const k = kernels[s.kernel]!;
          put(`${call(k)}(${s.slots.map((slot, i) => argument(k.params[i]!, slot)).join(', ')});`);
          break;
        }
        case 'copy':
          put(`memmove(${at(s.to)}, ${at(s.from)}, (size_t)${size(s.bytes)});`);
          break;
        case 'for': {
          const i = local.fresh('i');
          put(`for (int32_t ${i} = 0; ${i} < ${size(s.count)}; ${i}++) {`);
          if (s.counter !== null) put(`  *(int32_t *)${at(s.counter)} = ${i};`);
          inner(s.body);
          put('}');
          break;
        }
        case 'while': {
          const i = local.fresh('i');
          put(`for (int32_t ${i} = 0;; ${i}++) {`);
          inner(s.cond);
          put(`  if (!${flag(s.flag)}) break;`);
          put(`  if (${i} >= ${size(s.limit)}) ${endless(s.region)}`);
          inner(s.body);
          put('}');
          break;
        }
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
  return lines;
}
