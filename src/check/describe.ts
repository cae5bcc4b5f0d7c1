/** Values and types in the words of the language, for messages, summaries and structure keys. */
import type { Expr, TypeExpr } from '../parser/ast.ts';
import type { Val } from './values.ts';
import { typeText } from '../ir/builder.ts';

/** `an int (3)`, `f32[B, 10]`, `the function relu`. */
export function describe(v: Val): string {
  switch (v.kind) {
    case 'int':
      return v.dim.value === null ? `the size ${v.dim}` : `the int ${v.dim}`;
    case 'float':
      return `the float ${floatText(v.value)}`;
    case 'uniform':
      return typeof v.expr === 'string'
        ? `\`${v.expr}\`, which may change while training runs`
        : 'a number that may change while training runs';
    case 'bool':
      return `the bool ${v.value}`;
    case 'string':
      return `the string ${JSON.stringify(v.value)}`;
    case 'none':
      return '`none`';
    case 'elem':
      return `the element type ${v.elem}`;
    case 'tuple':
      return `a tuple of ${v.items.length}`;
    case 'list':
      return `a list of ${v.items.length}`;
    case 'record':
      return v.name ? `a ${v.name}` : `a record of ${[...v.fields.keys()].join(', ')}`;
    case 'range':
      return `the range ${v.start}..${v.stop}`;
    case 'tensor':
      return typeText(v.value.type);
    case 'fn':
      return v.decl.kind === 'lambda' ? 'a function' : `the function \`${v.name}\``;
    case 'op':
      return `the function \`${v.op}\``;
    case 'builtin':
      return `the function \`${v.name}\``;
    case 'block':
    case 'optimizerDecl':
      return `the ${v.decl.kind} \`${v.decl.name.name}\` without arguments`;
    case 'blockExpr':
      return `a block ${v.decl.name.name}(...) that has no place yet`;
    case 'seq':
      return 'a seq that has no place yet';
    case 'instance':
      return `the block ${v.inst.type}`;
    case 'method':
      return `the method \`${v.decl.name.name}\``;
    case 'slot':
      return `the ${ROLES[v.slot.tensor.role]} \`${v.slot.name}\``;
    case 'optimizer':
      return `the optimizer ${v.decl.name.name}(...)`;
    case 'constant':
      return `the constant \`${v.decl.name.name}\``;
    case 'infer':
      return '`_`';
    case 'absent':
      return `\`${v.name}\`, which this block does not have here`;
    case 'poison':
      return 'something unknown';
  }
}

const ROLES = { param: 'parameter', buffer: 'buffer', const: 'constant' } as const;

export const floatText = (x: number): string => (Number.isInteger(x) && Math.abs(x) < 1e15 ? x.toFixed(1) : String(x));

/** Compile-time values as they are written; `…` for what has no short form. */
export function staticText(v: Val): string {
  switch (v.kind) {
    case 'int':
      return v.dim.key;
    case 'float':
      return floatText(v.value);
    case 'bool':
      return String(v.value);
    case 'string':
      return JSON.stringify(v.value);
    case 'none':
      return 'none';
    case 'elem':
      return v.elem;
    case 'tuple':
      return v.items.length === 1 ? `(${staticText(v.items[0]!)},)` : `(${v.items.map(staticText).join(', ')})`;
    case 'list':
      return `[${v.items.map(staticText).join(', ')}]`;
    case 'range':
      return `${v.start}..${v.stop}`;
    case 'fn':
      return v.decl.kind === 'lambda' ? 'lambda' : v.name;
    case 'op':
      return v.op;
    case 'builtin':
      return v.name;
    case 'block':
      return v.decl.name.name;
    case 'blockExpr':
    case 'optimizer':
      return `${v.decl.name.name}(${[...v.hyper].map(([k, a]) => `${k}: ${staticText(a.val)}`).join(', ')})`;
    case 'seq':
      return `seq { ${v.items.map((i) => staticText(i.val)).join('; ')} }`;
    case 'instance':
      return v.inst.type;
    case 'infer':
      return v.cell.solved ? v.cell.solved.dim.key : '_';
    default:
      return '…';
  }
}

export function typeExprText(t: TypeExpr): string {
  switch (t.kind) {
    case 'tensorType':
      return `${t.elem.name}[${t.dims.map((d) => (d.kind === 'spread' ? `...${d.name.name}` : exprText(d.value))).join(', ')}]`;
    case 'namedType':
      return t.name.name;
    case 'tupleType':
      return `(${t.items.map(typeExprText).join(', ')})`;
    case 'listType':
      return t.length ? `[${typeExprText(t.item)}; ${exprText(t.length)}]` : `[${typeExprText(t.item)}]`;
    case 'recordType':
      return `{ ${t.fields.map((f) => `${f.name.name}: ${typeExprText(f.type)}`).join(', ')} }`;
    case 'optionalType':
      return `${typeExprText(t.item)}?`;
    case 'fnType':
      return `(${t.params.map(typeExprText).join(', ')}) -> ${typeExprText(t.result)}`;
    case 'unionType':
      return [...(t.item ? [typeExprText(t.item)] : []), ...t.options.map((o) => JSON.stringify(o.value))].join(' | ');
    case 'errorType':
      return '?';
  }
}

const LEVEL: Record<string, number> = {
  or: 1,
  and: 2,
  '==': 4,
  '!=': 4,
  '<': 4,
  '<=': 4,
  '>': 4,
  '>=': 4,
  '+': 5,
  '-': 5,
  '*': 6,
  '/': 6,
  '%': 6,
  '@': 6,
};

/** An expression in one line, with the fewest parentheses. */
export function exprText(e: Expr, level = 0): string {
  switch (e.kind) {
    case 'number':
      return e.isInt ? String(e.value) : floatText(e.value);
    case 'string':
      return JSON.stringify(e.value);
    case 'bool':
      return String(e.value);
    case 'none':
      return 'none';
    case 'name':
      return e.name;
    case 'infer':
      return '_';
    case 'member':
      return `${exprText(e.object, 9)}.${e.member.name}`;
    case 'call':
      return `${exprText(e.callee, 9)}(${e.args.map((a) => (a.name ? `${a.name.name}: ` : '') + exprText(a.value)).join(', ')})`;
    case 'tuple':
      return `(${e.items.map((x) => exprText(x)).join(', ')}${e.items.length === 1 ? ',' : ''})`;
    case 'list':
      return `[${e.items.map((x) => exprText(x)).join(', ')}]`;
    case 'unary':
      return e.op === 'not' ? `not ${exprText(e.operand, 3)}` : `${e.op}${exprText(e.operand, 8)}`;
    case 'binary': {
      const own = LEVEL[e.op] ?? 0;
      const text = `${exprText(e.left, own)} ${e.op} ${exprText(e.right, own + 1)}`;
      return own < level ? `(${text})` : text;
    }
    case 'range':
      return `${exprText(e.start, 5)}..${exprText(e.stop, 5)}`;
    case 'lambda':
      return e.params.length === 1
        ? `${e.params[0]!.name.name} => …`
        : `(${e.params.map((p) => p.name.name).join(', ')}) => …`;
    default:
      return '…';
  }
}
