/** Rows of elementwise functions of two and three tensors, and casts. */
import * as K from '../../codegen/builder.ts';
import type { KernelBuilder } from '../../codegen/builder.ts';
import type { BinOp, KExpr } from '../../codegen/kernel.ts';
import * as M from '../../codegen/math.ts';
import type { ElemType } from '../ir.ts';
import { elemAttr, isFloat } from './attrs.ts';
import type { OpDef, OperandSpec } from './def.ts';
import { defineOp } from './define.ts';
import { cast as castTo, math } from './gradients.ts';
import type { PointGrad, PointRef } from './pointwise.ts';
import { mapBroadcast, pointwise, single } from './pointwise.ts';
import { fault } from './shapes.ts';
import { toElem } from './special.ts';

type Scalar = (k: KernelBuilder, a: KExpr, b: KExpr) => KExpr;
const SAME: OperandSpec = { name: 'b', elem: 'same' };

const arithmetic = (doc: string, elem: OperandSpec['elem'], ref: PointRef, grad: PointGrad, scalar: Scalar): OpDef =>
  pointwise({
    doc,
    operands: [{ name: 'a', elem }, SAME],
    ref,
    grad,
    scalar: (k, [a, b]) => scalar(k, a!, b!),
  });

const plain =
  (op: BinOp): Scalar =>
  (_k, a, b) =>
    K.bin(op, a, b);

const compare = (doc: string, elem: 'any' | 'number', op: BinOp, ref: (a: number, b: number) => boolean): OpDef =>
  pointwise({
    doc,
    operands: [{ name: 'a', elem }, SAME],
    result: () => 'bool',
    ref: (_e, a, b) => Number(ref(a!, b!)),
    grad: { notDifferentiable: 'a truth value has no gradient' },
    scalar: (_k, [a, b]) => K.bin(op, a!, b!),
  });

const bits = (doc: string, elem: readonly ElemType[], op: BinOp, ref: (a: number, b: number) => number): OpDef =>
  pointwise({
    doc,
    operands: [{ name: 'a', elem }, SAME],
    ref: (_e, a, b) => ref(a!, b!),
    grad: { notDifferentiable: 'bits have no gradient' },
    scalar: (_k, [a, b]) => K.bin(op, a!, b!),
  });

const LOGICAL: readonly ElemType[] = ['bool', 'i32', 'u32'];
const INTS: readonly ElemType[] = ['i32', 'u32'];

/** torch: `where(a == b, dy / 2, dy)`, then 0 where the other won; a NaN sends the gradient to both. */
const extremumGrad =
  (loses: 'lt' | 'gt'): PointGrad =>
  (b, dy, op) => {
    const m = math(b);
    const [x, y] = [op.operands[0]!, op.operands[1]!];
    const shared = m.select(m.eq(x, y), m.mul(dy, 0.5), dy);
    return [m.select(m[loses](x, y), 0, shared), m.select(m[loses](y, x), 0, shared)];
  };

export const binaryOps = {
  add: arithmetic(
    'a + b; integers wrap. `torch.add`.',
    'number',
    (_e, a, b) => a! + b!,
    (_b, dy) => [dy, dy],
    plain('add'),
  ),
  sub: arithmetic(
    'a - b; integers wrap. `torch.sub`.',
    'number',
    (_e, a, b) => a! - b!,
    (b, dy) => [dy, math(b).neg(dy)],
    plain('sub'),
  ),
  mul: arithmetic(
    'a * b; integers wrap. `torch.mul`.',
    'number',
    (e, a, b) => (isFloat(e) ? a! * b! : Math.imul(a!, b!)),
    (b, dy, op) => [math(b).mul(dy, op.operands[1]!), math(b).mul(dy, op.operands[0]!)],
    plain('mul'),
  ),
  div: arithmetic(
    'a / b; integers floor, and give 0 where b is 0. `torch.div`.',
    'number',
    (e, a, b) => (isFloat(e) ? a! / b! : b === 0 ? 0 : Math.floor(a! / b!)),
    (b, dy, op) => {
      const m = math(b);
      const da = m.div(dy, op.operands[1]!);
      return [da, m.neg(m.mul(da, op.results[0]!))];
    },
    M.floorDiv,
  ),
  rem: arithmetic(
    'The remainder of the floored quotient: it has the sign of b; integers give 0 where b is 0. `torch.remainder`.',
    'number',
    (e, a, b) => {
      if (!isFloat(e) && b === 0) return 0;
      const r = a! % b!;
      return r !== 0 && r < 0 !== b! < 0 ? r + b! : r;
    },
    (b, dy, op) => {
      const m = math(b);
      return [dy, m.neg(m.mul(dy, m.floor(m.div(op.operands[0]!, op.operands[1]!))))];
    },
    M.floorRem,
  ),
  pow: arithmetic(
    'a to the b; NaN for a negative base with a fractional exponent. `torch.pow`.',
    'float',
    // C and PyTorch: 1 to anything is 1, NaN and infinities included; JavaScript says NaN.
    (_e, a, b) => (a === 1 || (a === -1 && Math.abs(b!) === Infinity) ? 1 : Math.pow(a!, b!)),
    (b, dy, op) => {
      const m = math(b);
      const [x, y] = [op.operands[0]!, op.operands[1]!];
      const none = m.eq(y, 0);
      const dx = m.select(none, 0, m.mul(dy, m.mul(y, m.pow(x, m.sub(y, 1)))));
      // 0 to the y is constantly 0 for y >= 0: torch gives 0 there, not 0 * log(0).
      const still = m.and(m.eq(x, 0), m.ge(y, 0));
      const dyy = m.select(still, 0, m.mul(dy, m.mul(op.results[0]!, m.log(x))));
      return [dx, dyy];
    },
    M.pow,
  ),
  maximum: arithmetic(
    'The greater; NaN if either is. At a tie each side gets half of the gradient. `torch.maximum`. For a one-sided bound see `relu` and `select`.',
    'number',
    (_e, a, b) => Math.max(a!, b!),
    extremumGrad('lt'),
    plain('max'),
  ),
  minimum: arithmetic(
    'The smaller; NaN if either is. At a tie each side gets half of the gradient. `torch.minimum`.',
    'number',
    (_e, a, b) => Math.min(a!, b!),
    extremumGrad('gt'),
    plain('min'),
  ),
  eq: compare('a == b; NaN equals nothing. `torch.eq`.', 'any', 'eq', (a, b) => a === b),
  ne: compare('a != b. `torch.ne`.', 'any', 'ne', (a, b) => a !== b),
  lt: compare('a < b. `torch.lt`.', 'number', 'lt', (a, b) => a < b),
  le: compare('a <= b. `torch.le`.', 'number', 'le', (a, b) => a <= b),
  gt: compare('a > b. `torch.gt`.', 'number', 'gt', (a, b) => a > b),
  ge: compare('a >= b. `torch.ge`.', 'number', 'ge', (a, b) => a >= b),
  and: bits('Logical on bool, bitwise on integers. `torch.logical_and`.', LOGICAL, 'and', (a, b) => a & b),
  or: bits('Logical on bool, bitwise on integers. `torch.logical_or`.', LOGICAL, 'or', (a, b) => a | b),
  xor: bits('Logical on bool, bitwise on integers. `torch.logical_xor`.', LOGICAL, 'xor', (a, b) => a ^ b),
  shl: bits('a shifted left by b modulo 32 bits.', INTS, 'shl', (a, b) => a << b),
  shr: pointwise({
    doc: 'a shifted right by b modulo 32 bits; i32 keeps its sign.',
    operands: [{ name: 'a', elem: INTS }, SAME],
    ref: (e, a, b) => (e === 'u32' ? a! >>> b! : a! >> b!),
    grad: { notDifferentiable: 'bits have no gradient' },
    scalar: (_k, [a, b]) => K.bin('shr', a!, b!),
  }),
  select: pointwise({
    doc: "a where cond is true, else b. The gradient goes to the chosen side only, so `select(x < lo, lo, x)` is a bound with PyTorch's gradient of `clamp`. `torch.where`.",
    operands: [
      { name: 'cond', elem: ['bool'] },
      { name: 'a', elem: 'any' },
      { name: 'b', elem: 'any' },
    ],
    result: (types) => types[1]!.elem,
    check: ([, a, b]) =>
      a!.elem === b!.elem ? null : fault(`the branches are ${a!.elem} and ${b!.elem}: cast one of them`, 2),
    ref: (_e, c, a, b) => (c ? a! : b!),
    grad: (b, dy, op) => {
      const c = op.operands[0]!;
      return [null, math(b).select(c, dy, 0), math(b).select(c, 0, dy)];
    },
    scalar: (_k, [c, a, b]) => K.select(c!, a!, b!),
  }),
  cast: defineOp({
    doc: 'x as another element type: floats to integers truncate and saturate (NaN is 0), anything to bool is `x != 0`. `Tensor.to`.',
    operands: [{ name: 'x', elem: 'any' }],
    attrs: { elem: { type: 'elem' } },
    shape: ([x], attrs) => [{ elem: elemAttr(attrs, 'elem'), shape: x!.shape }],
    grad: (b, op, [dy]) => {
      const from = op.operands[0]!.type.elem;
      return [dy && isFloat(from) && isFloat(op.results[0]!.type.elem) ? castTo(b, dy, from) : null];
    },
    lower: {
      kind: 'elementwise',
      scalar: (k, [x], op) => M.castTo(k, x!, elemAttr(op.attrs, 'elem')),
    },
    // Rounding to f16 or bf16 happens in memory; the reference stays in float64.
    reference: single(([x], _op, type) =>
      mapBroadcast(type.elem, type.shape, [x!], (v) => (isFloat(x!.elem) ? toElem(type.elem, v) : v)),
    ),
  }),
} satisfies Record<string, OpDef>;
