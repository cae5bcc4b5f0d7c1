/** Writes the reference page of primitive operations from the op table. */
import type { AttrSpec, OpDef, OperandSpec } from '../../src/ir/ops/def.ts';
import { OP_GROUPS } from '../../src/ir/ops/table.ts';
import type { Generator } from './generator.ts';

const INTRO = `<!-- Generated from src/ir/ops by scripts/generate.ts; edit the rows there. -->

# Primitive operations

Each is one row of the op table: its shape rule, gradient, kernel and float64 reference stand together in \`src/ir/ops/\`. In
\`.net\` source \`op.NAME\` always means the primitive, whatever the library calls by that name. Elementwise operations broadcast over
missing leading dims and dims that are the literal 1. An operand written \`x?\` may be left out, \`parts...\` stands for any number.
A pair is (height, width), padding is (top, bottom, left, right).
`;

function operand(o: OperandSpec): string {
  const mark = o.variadic ? '...' : o.optional ? '?' : '';
  const elem = typeof o.elem === 'string' ? o.elem : o.elem.join(' or ');
  return elem === 'same' ? `${o.name}${mark}` : `${o.name}${mark}: ${elem}`;
}

function attribute([name, spec]: readonly [string, AttrSpec]): string {
  const type = spec.length === undefined ? spec.type : `${spec.type}(${spec.length})`;
  return spec.default === undefined ? `${name}: ${type}` : `${name}: ${type} = ${literal(spec.default)}`;
}

const literal = (value: NonNullable<AttrSpec['default']> | null): string =>
  value === null
    ? 'none'
    : Array.isArray(value)
      ? `(${value.join(', ')})`
      : typeof value === 'string'
        ? `"${value}"`
        : String(value);

function entry(name: string, row: OpDef): string {
  const parts = [...row.operands.map(operand), ...Object.entries(row.attrs).map(attribute)];
  const reason = 'notDifferentiable' in row.grad ? ` _No gradient: ${row.grad.notDifferentiable}._` : '';
  return `### ${name}\n\n\`${name}(${parts.join(', ')})\`\n\n${row.doc}${reason}\n`;
}

export const ops: Generator = {
  generate() {
    const groups = OP_GROUPS.map(
      ([title, rows]) =>
        `## ${title}\n\n${Object.entries(rows)
          .map(([name, row]) => entry(name, row))
          .join('\n')}`,
    );
    return Promise.resolve([{ path: 'docs/ops.md', text: [INTRO, ...groups].join('\n'), format: true }]);
  },
};
