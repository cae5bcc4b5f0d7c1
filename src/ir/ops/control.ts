/** Rows of structure: calls, regions, fusions. Their meaning is in their regions, so most columns say who knows it. */
import type { OpDef, OperandSpec, ShapeFault } from './def.ts';
import { num } from './attrs.ts';
import { fault } from './shapes.ts';

const ANY: OperandSpec = { name: 'inputs', elem: 'any', optional: true };
const MANY: readonly OperandSpec[] = [{ ...ANY, variadic: true }];

const structural = {
  lower: { kind: 'control' },
  grad: { structural: 'autodiff differentiates regions and callees (passes/autodiff.ts)' },
  reference: { structural: 'the interpreter runs regions and callees (interpret.ts)' },
} as const satisfies Partial<OpDef>;

const typedByRegions = (): ShapeFault => fault('has the types of its regions or callee: it is built with emitTyped');

export const controlOps = {
  call: {
    doc: 'Calls a function of the module; the symbols of its parameters are bound by the operands. With `checkpoint` the backward computes the inside of it again.',
    operands: MANY,
    attrs: { callee: { type: 'string' }, checkpoint: { type: 'bool', default: false } },
    shape: typedByRegions,
    ...structural,
  },
  if: {
    doc: 'Runs one of two regions by a condition; both give the same types.',
    operands: [{ name: 'cond', elem: ['bool'] }],
    attrs: {},
    shape: typedByRegions,
    ...structural,
  },
  while: {
    doc: 'Runs its body while its condition holds, carrying values of fixed types.',
    operands: MANY,
    attrs: {},
    shape: (carries) => carries,
    ...structural,
  },
  for: {
    doc: 'Runs its body `count` times with the position as first parameter, carrying values of fixed types.',
    operands: MANY,
    attrs: { count: { type: 'dim' } },
    shape: (carries) => carries,
    ...structural,
  },
  with_gradient: {
    doc: 'Its first operands as they are. Their gradient is what its region makes of the cotangents: one value for each of the other operands.',
    operands: MANY,
    attrs: { results: { type: 'int' } },
    shape: (operands, attrs) => operands.slice(0, num(attrs, 'results')),
    ...structural,
  },
  again: {
    doc: 'x under another name. What is made of it is computed again: it is not taken from what was made of x.',
    operands: [{ name: 'x', elem: 'any' }],
    attrs: {},
    shape: ([x]) => [x!],
    lower: { kind: 'control' },
    grad: (_b, _op, dys) => dys,
    reference: ([x]) => [x!],
  },
  fusion: {
    doc: 'A closed region that one kernel family computes; made by the fusion pass.',
    operands: MANY,
    attrs: {
      family: { type: 'string' },
      label: { type: 'string', default: '' },
      space: { type: 'dims', default: [] },
    },
    shape: typedByRegions,
    ...structural,
  },
} satisfies Record<string, OpDef>;
