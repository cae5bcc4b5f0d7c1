/** Rules of arithmetic that hold for floats bit by bit: signed zeros, infinities and NaN included. */
import type { Op, Value } from '../../ir.ts';
import { opDef } from '../../ops/table.ts';
import { sameShape } from '../../dim.ts';
import { is, isFloat, madeBy, sameType, uniform, type Rule, type Scope } from './rule.ts';

/** The operand, where it has the type of the result: a broadcast one must stay an op. */
const keep = (op: Op, v: Value): Value | null => (sameType(v, op.results[0]!) ? v : null);

/** [x, other] for each order of the two operands. */
const orders = (op: Op): readonly (readonly [Value, Value])[] => {
  const [a, b] = [op.operands[0]!, op.operands[1]!];
  return [
    [a, b],
    [b, a],
  ];
};

/** The first operand that the other one leaves as it is. */
function neutral(op: Op, leaves: (other: Value, x: Value) => boolean): Value | null {
  for (const [x, other] of orders(op)) {
    const kept = leaves(other, x) ? keep(op, x) : null;
    if (kept) return kept;
  }
  return null;
}

/** Can no element be -0? Then adding +0 changes nothing. */
function neverNegativeZero(at: Scope, v: Value): boolean {
  const op = at.producer(v);
  if (!op) return false;
  switch (op.kind) {
    case 'abs':
    case 'exp':
    case 'sigmoid':
    case 'size':
      return true;
    case 'constant':
      return !Object.is(op.attrs['value'], -0);
    case 'mul':
      return op.operands[0] === op.operands[1];
    case 'cast':
      return !isFloat(op.operands[0]!);
    case 'add':
      // -0 comes only from -0 + -0.
      return op.operands.some((o) => neverNegativeZero(at, o));
    default:
      return false;
  }
}

/** 1/x where both are normal powers of two, else null. */
function powerOfTwoReciprocal(x: number): number | null {
  const exponent = Math.log2(Math.abs(x));
  return Number.isInteger(exponent) && Math.abs(exponent) <= 126 && 2 ** exponent === Math.abs(x) ? 1 / x : null;
}

const ELEMENTWISE: readonly string[] = [
  ...['add', 'sub', 'mul', 'div', 'rem', 'pow', 'maximum', 'minimum', 'eq', 'ne', 'lt', 'le', 'gt', 'ge'],
  ...['and', 'or', 'xor', 'shl', 'shr', 'select'],
];

export const ARITHMETIC: readonly Rule[] = [
  {
    name: 'mul-one',
    why: 'x * 1 is x, for every x',
    kinds: ['mul'],
    rewrite: (op, at) => neutral(op, (other) => is(at, other, 1)),
  },
  {
    name: 'div-one',
    why: 'x / 1 is x, for every x',
    kinds: ['div'],
    rewrite: (op, at) => (is(at, op.operands[1]!, 1) ? keep(op, op.operands[0]!) : null),
  },
  {
    name: 'mul-minus-one',
    why: 'x * -1 only turns the sign, as neg does',
    kinds: ['mul'],
    rewrite: (op, at) => {
      const x = neutral(op, (other) => is(at, other, -1));
      return x && isFloat(x) ? at.emit('neg', [x]) : null;
    },
  },
  {
    name: 'div-power-of-two',
    why: 'the reciprocal of a power of two is exact, so quotient and product round the same number',
    kinds: ['div'],
    rewrite: (op, at) => {
      const [x, y] = [op.operands[0]!, op.operands[1]!];
      const d = x.type.elem === 'f32' ? uniform(at, y) : null;
      const r = d === null ? null : powerOfTwoReciprocal(d);
      if (r === null) return null;
      return at.emit('mul', [x, at.emit('constant', [], { value: r, elem: 'f32', shape: y.type.shape })]);
    },
  },
  {
    name: 'add-zero',
    why: 'x + -0 is x; x + 0 is x unless x is -0, and integers have no -0',
    kinds: ['add'],
    rewrite: (op, at) =>
      neutral(op, (other, x) => is(at, other, -0) || (is(at, other, 0) && (!isFloat(x) || neverNegativeZero(at, x)))),
  },
  {
    name: 'sub-zero',
    why: 'x - 0 is x, -0 included',
    kinds: ['sub'],
    rewrite: (op, at) => (is(at, op.operands[1]!, 0) ? keep(op, op.operands[0]!) : null),
  },
  {
    name: 'add-neg',
    why: 'a + -b is how a - b is defined',
    kinds: ['add'],
    rewrite: (op, at) => {
      for (const [x, other] of orders(op)) {
        const n = madeBy(at, other, 'neg');
        if (n) return at.emit('sub', [x, n.operands[0]!]);
      }
      return null;
    },
  },
  {
    name: 'sub-neg',
    why: 'a - -b is a + b: turning a sign is exact',
    kinds: ['sub'],
    rewrite: (op, at) => {
      const n = madeBy(at, op.operands[1], 'neg');
      return n ? at.emit('add', [op.operands[0]!, n.operands[0]!]) : null;
    },
  },
  {
    name: 'twice',
    why: 'neg and not undo themselves: they turn one bit, or all',
    kinds: ['neg', 'not'],
    rewrite: (op, at) => madeBy(at, op.operands[0], op.kind)?.operands[0] ?? null,
  },
  {
    name: 'again',
    why: 'these change nothing that they have changed before',
    kinds: ['abs', 'relu', 'floor', 'ceil', 'round', 'trunc'],
    rewrite: (op, at) => (madeBy(at, op.operands[0], op.kind) ? op.operands[0]! : null),
  },
  {
    name: 'abs-neg',
    why: 'abs drops the sign that neg turned',
    kinds: ['abs'],
    rewrite: (op, at) => {
      const n = madeBy(at, op.operands[0], 'neg');
      return n && isFloat(op.operands[0]!) ? at.emit('abs', [n.operands[0]!]) : null;
    },
  },
  {
    name: 'pow-small',
    why: 'x^1 is x, and x * x is x^2 rounded once, which no algorithm for pow can better',
    kinds: ['pow'],
    rewrite: (op, at) => {
      const [x, y] = [op.operands[0]!, op.operands[1]!];
      if (!keep(op, x)) return null;
      if (is(at, y, 1)) return x;
      return is(at, y, 2) ? at.emit('mul', [x, x]) : null;
    },
  },
  {
    name: 'extremum-chain',
    why: 'max(max(x, a), b) is max(x, max(a, b)): one of the three, or NaN, either way',
    kinds: ['maximum', 'minimum'],
    rewrite: (op, at) => {
      for (const [x, other] of orders(op)) {
        const b = uniform(at, other);
        const inner = b === null ? null : madeBy(at, x, op.kind);
        if (!inner || Object.is(b, -0)) continue;
        for (const [y, second] of orders(inner)) {
          const a = uniform(at, second);
          if (a === null || Object.is(a, -0) || !sameType(y, inner.results[0]!)) continue;
          return at.emit(op.kind, [y, at.emit(op.kind, [second, other])]);
        }
      }
      return null;
    },
  },
  {
    name: 'extremum-self',
    why: 'the greater of x and x is x',
    kinds: ['maximum', 'minimum', 'and', 'or'],
    rewrite: (op) => (op.operands[0] === op.operands[1] ? op.operands[0]! : null),
  },
  {
    name: 'logic-constant',
    why: 'true and false decide, or leave the other as it is',
    kinds: ['and', 'or'],
    rewrite: (op, at) => {
      if (op.results[0]!.type.elem !== 'bool') return null;
      const decides = op.kind === 'and' ? 0 : 1;
      const left = neutral(op, (other) => is(at, other, 1 - decides));
      if (left) return left;
      return orders(op).some(([, other]) => is(at, other, decides))
        ? at.emit('constant', [], { value: decides, elem: 'bool', shape: op.results[0]!.type.shape })
        : null;
    },
  },
  {
    name: 'select-known',
    why: 'the condition is known, or both sides are the same value',
    kinds: ['select'],
    rewrite: (op, at) => {
      const [c, a, b] = op.operands as readonly [Value, Value, Value];
      if (a === b) return keep(op, a);
      const known = uniform(at, c);
      return known === null ? null : keep(op, known !== 0 ? a : b);
    },
  },
  {
    name: 'select-not',
    why: 'turning the condition swaps the sides',
    kinds: ['select'],
    rewrite: (op, at) => {
      const [c, a, b] = op.operands as readonly [Value, Value, Value];
      const n = madeBy(at, c, 'not');
      return n ? at.emit('select', [n.operands[0]!, b, a]) : null;
    },
  },
  {
    name: 'select-again',
    why: 'inside a side of a select its condition is known',
    kinds: ['select'],
    rewrite: (op, at) => {
      const [c, a, b] = op.operands as readonly [Value, Value, Value];
      const [x, y] = [madeBy(at, a, 'select'), madeBy(at, b, 'select')];
      const whole = (v: Value): boolean => sameShape(v.type.shape, op.results[0]!.type.shape);
      if (x && x.operands[0] === c && whole(x.operands[1]!)) return at.emit('select', [c, x.operands[1]!, b]);
      if (y && y.operands[0] === c && whole(y.operands[2]!)) return at.emit('select', [c, a, y.operands[2]!]);
      return null;
    },
  },
  {
    name: 'cast-same',
    why: 'a cast to the type that a value has does nothing',
    kinds: ['cast'],
    rewrite: (op) => keep(op, op.operands[0]!),
  },
  {
    name: 'stop-gradient',
    why: 'its value is its operand, and gradients have been taken',
    kinds: ['stop_gradient'],
    late: true,
    rewrite: (op) => op.operands[0]!,
  },
  {
    name: 'broadcast-operand',
    why: 'elementwise ops broadcast themselves: where another operand gives the shape, the source of a broadcast will do',
    kinds: ELEMENTWISE,
    rewrite: (op, at) => {
      for (let i = 0; i < op.operands.length; i++) {
        const source = narrower(at, op.operands[i]!);
        if (!source) continue;
        const operands = op.operands.with(i, source());
        const types = opDef(op.kind).shape(
          operands.map((v) => v.type),
          op.attrs,
          { equal: (a, b) => a.key === b.key, atLeast: () => true },
        );
        if (!('fault' in types) && sameShape(types[0]!.shape, op.results[0]!.type.shape)) {
          return at.emit(op.kind, operands, op.attrs);
        }
      }
      return null;
    },
  },
];

/** What a broadcast value is made from: the operand of broadcast_to, or one number for a constant of any shape. */
function narrower(at: Scope, v: Value): (() => Value) | null {
  const op = at.producer(v);
  if (op?.kind === 'broadcast_to') return () => op.operands[0]!;
  if (op?.kind !== 'constant' || v.type.shape.length === 0) return null;
  return () => at.emit('constant', [], { ...op.attrs, shape: [] });
}
