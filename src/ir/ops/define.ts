/** What every row has in common: its signature is checked before its own shape rule runs, and attributes get their defaults. */
import { Dim, dim } from '../dim.ts';
import type { Attr, Attrs, ElemType, TensorType } from '../ir.ts';
import type { AttrSpec, OpDef, OperandSpec, ShapeFault } from './def.ts';

/** Completes a row: arity and element types are checked from `operands`, presence of attributes from `attrs`. */
export function defineOp(row: OpDef): OpDef {
  return {
    ...row,
    shape: (operands, attrs, ctx) =>
      signatureFault(row, operands) ?? attrFault(row, attrs) ?? row.shape(operands, attrs, ctx),
  };
}

/** The attributes in the order of the row, defaults filled in and numbers made dims where sizes are meant. */
export function withDefaults(row: OpDef, attrs: Attrs): Attrs {
  const full: Record<string, Attr> = {};
  for (const [name, spec] of Object.entries(row.attrs)) {
    const given = attrs[name] ?? spec.default;
    if (given !== undefined) full[name] = normalAttr(spec, given);
  }
  // Passes may keep marks of their own on an op; they survive.
  for (const [name, given] of Object.entries(attrs)) if (!(name in full)) full[name] = given;
  return full;
}

function normalAttr(spec: AttrSpec, given: Attr): Attr {
  if (spec.type === 'dim' && typeof given === 'number') return dim(given);
  if (spec.type === 'dims' && Array.isArray(given)) return given.map((d: unknown) => toDim(d));
  return given;
}

function toDim(d: unknown): Dim {
  if (d instanceof Dim || typeof d === 'number') return dim(d);
  throw new TypeError('a size must be a number or a Dim');
}

const CLASSES: Record<'float' | 'int' | 'number' | 'any', readonly ElemType[]> = {
  float: ['f32', 'f16', 'bf16'],
  int: ['i32', 'u32'],
  number: ['f32', 'f16', 'bf16', 'i32', 'u32'],
  any: ['f32', 'f16', 'bf16', 'i32', 'u32', 'bool'],
};

/** The element types that an operand takes, given the operands before it. */
export function elemsOf(spec: OperandSpec, first: ElemType | undefined): readonly ElemType[] {
  if (spec.elem === 'same') return first === undefined ? CLASSES.any : [first];
  return typeof spec.elem === 'string' ? CLASSES[spec.elem] : spec.elem;
}

const WORDS: Record<string, string> = {
  float: 'floats (f32, f16 or bf16)',
  int: 'integers (i32 or u32)',
  number: 'numbers',
};

function signatureFault(row: OpDef, operands: readonly TensorType[]): ShapeFault | null {
  const specs = row.operands;
  const last = specs.at(-1);
  const least = specs.filter((s) => !s.optional && !s.variadic).length + (last?.variadic ? 1 : 0);
  const most = last?.variadic ? Infinity : specs.length;
  if (operands.length < least || operands.length > most) {
    const wanted = least === most ? `${least}` : most === Infinity ? `at least ${least}` : `${least} to ${most}`;
    return { fault: `takes ${wanted} tensor${wanted === '1' ? '' : 's'}, not ${operands.length}`, operand: null };
  }
  for (let i = 0; i < operands.length; i++) {
    const spec = specs[Math.min(i, specs.length - 1)]!;
    const elem = operands[i]!.elem;
    if (elemsOf(spec, operands[0]!.elem).includes(elem)) continue;
    const what = spec.variadic ? `tensor ${i + 1}` : `\`${spec.name}\``;
    if (spec.elem === 'same' || (spec.variadic && i > 0)) {
      return {
        fault: `${what} is ${elem}, but \`${specs[0]!.name}\` is ${operands[0]!.elem}: cast one of them`,
        operand: i,
      };
    }
    const wanted = typeof spec.elem === 'string' ? WORDS[spec.elem] : spec.elem.join(' or ');
    return { fault: `${what} must hold ${wanted}, not ${elem}`, operand: i };
  }
  return null;
}

function attrFault(row: OpDef, attrs: Attrs): ShapeFault | null {
  for (const [name, spec] of Object.entries(row.attrs)) {
    const given = attrs[name];
    if (given === undefined && spec.default === undefined) return { fault: `needs \`${name}\``, operand: null };
    if (spec.length !== undefined && Array.isArray(given) && given.length !== spec.length) {
      return { fault: `\`${name}\` takes ${spec.length} numbers, not ${given.length}`, operand: null };
    }
  }
  return null;
}
