/** Rows of elementwise functions of one tensor. */
import type { KExpr } from '../../codegen/kernel.ts';
import * as K from '../../codegen/builder.ts';
import type { KernelBuilder } from '../../codegen/builder.ts';
import * as M from '../../codegen/math.ts';
import type { OpDef, OperandSpec } from './def.ts';
import { math } from './gradients.ts';
import type { PointGrad, PointRef } from './pointwise.ts';
import { pointwise } from './pointwise.ts';
import { erf, roundEven } from './special.ts';

type Scalar = (k: KernelBuilder, x: KExpr) => KExpr;

const unary = (
  doc: string,
  elem: OperandSpec['elem'],
  ref: (x: number) => number,
  grad: PointGrad,
  scalar: Scalar,
): OpDef =>
  pointwise({
    doc,
    operands: [{ name: 'x', elem }],
    ref: (_elem, x) => ref(x!),
    grad,
    scalar: (k, [x]) => scalar(k, x!),
  });

/** Piecewise constant: PyTorch gives a gradient of zeros, which is the same as none. */
const flat: PointGrad = () => [null];

const test = (doc: string, ref: PointRef, scalar: Scalar): OpDef =>
  pointwise({
    doc,
    operands: [{ name: 'x', elem: 'float' }],
    result: () => 'bool',
    ref,
    grad: { notDifferentiable: 'a truth value has no gradient' },
    scalar: (k, [x]) => scalar(k, x!),
  });

const one = (x: KExpr): KExpr => K.coerce(1, x.type);
const zero = (x: KExpr): KExpr => K.coerce(0, x.type);

export const unaryOps = {
  neg: unary(
    '-x; integers wrap. `torch.neg`.',
    'number',
    (x) => -x,
    (b, dy) => [math(b).neg(dy)],
    (_k, x) => (x.type.elem === 'f32' ? K.neg(x) : K.sub(zero(x), x)),
  ),
  abs: unary(
    '|x|; the gradient at 0 is 0. `torch.abs`.',
    'number',
    Math.abs,
    (b, dy, op) => [math(b).mul(dy, math(b).sign(op.operands[0]!))],
    (_k, x) => {
      if (x.type.elem === 'f32') return K.un('abs', x);
      return x.type.elem === 'u32' ? x : K.select(K.lt(x, 0), K.sub(zero(x), x), x);
    },
  ),
  sign: unary(
    '-1, 0 or 1; 0 for NaN. `torch.sign`.',
    'number',
    (x) => Math.sign(x) || 0,
    flat,
    (_k, x) => {
      const positive = K.select(K.gt(x, 0), one(x), zero(x));
      return x.type.elem === 'u32' ? positive : K.select(K.lt(x, 0), K.coerce(-1, x.type), positive);
    },
  ),
  exp: unary('e to the x. `torch.exp`.', 'float', Math.exp, (b, dy, op) => [math(b).mul(dy, op.results[0]!)], M.exp),
  expm1: unary(
    'exp(x) - 1, exact near 0. `torch.expm1`.',
    'float',
    Math.expm1,
    (b, dy, op) => [math(b).mul(dy, math(b).add(op.results[0]!, 1))],
    M.expm1,
  ),
  log: unary(
    'The natural logarithm; NaN below 0, -inf at 0. `torch.log`.',
    'float',
    Math.log,
    (b, dy, op) => [math(b).div(dy, op.operands[0]!)],
    M.log,
  ),
  log1p: unary(
    'log(1 + x), exact near 0. `torch.log1p`.',
    'float',
    Math.log1p,
    (b, dy, op) => [math(b).div(dy, math(b).add(op.operands[0]!, 1))],
    M.log1p,
  ),
  sqrt: unary(
    'The square root; NaN below 0. `torch.sqrt`.',
    'float',
    Math.sqrt,
    (b, dy, op) => [math(b).div(dy, math(b).mul(op.results[0]!, 2))],
    (_k, x) => K.un('sqrt', x),
  ),
  rsqrt: unary(
    '1 / sqrt(x); inf at 0. `torch.rsqrt`.',
    'float',
    (x) => 1 / Math.sqrt(x),
    (b, dy, op) => {
      const m = math(b);
      const y = op.results[0]!;
      return [m.mul(m.mul(dy, -0.5), m.mul(y, m.mul(y, y)))];
    },
    M.rsqrt,
  ),
  sin: unary(
    'The sine of x radians. `torch.sin`.',
    'float',
    Math.sin,
    (b, dy, op) => [math(b).mul(dy, math(b).cos(op.operands[0]!))],
    M.sin,
  ),
  cos: unary(
    'The cosine of x radians. `torch.cos`.',
    'float',
    Math.cos,
    (b, dy, op) => [math(b).neg(math(b).mul(dy, math(b).sin(op.operands[0]!)))],
    M.cos,
  ),
  tanh: unary(
    'The hyperbolic tangent. `torch.tanh`.',
    'float',
    Math.tanh,
    (b, dy, op) => {
      const m = math(b);
      const y = op.results[0]!;
      return [m.mul(dy, m.sub(1, m.mul(y, y)))];
    },
    M.tanh,
  ),
  sigmoid: unary(
    '1 / (1 + exp(-x)). `torch.sigmoid`.',
    'float',
    (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
    (b, dy, op) => {
      const m = math(b);
      const y = op.results[0]!;
      return [m.mul(dy, m.mul(y, m.sub(1, y)))];
    },
    M.sigmoid,
  ),
  erf: unary(
    'The error function 2/sqrt(pi) times the integral of exp(-t*t) from 0 to x. `torch.erf`.',
    'float',
    erf,
    (b, dy, op) => {
      const m = math(b);
      const x = op.operands[0]!;
      return [m.mul(dy, m.mul(m.exp(m.neg(m.mul(x, x))), 2 / Math.sqrt(Math.PI)))];
    },
    M.erf,
  ),
  relu: unary(
    'max(x, 0), NaN stays NaN. The gradient at 0 is 0, unlike that of `maximum(x, 0.0)`, which is split at ties. `torch.relu`.',
    'number',
    (x) => (x <= 0 ? 0 : x),
    // By the result, which the next layer keeps anyway; the input need not be stored. A NaN lets the gradient through.
    (b, dy, op) => [math(b).select(math(b).le(op.results[0]!, 0), 0, dy)],
    (_k, x) => K.max(x, zero(x)),
  ),
  floor: unary('The greatest integer <= x. `torch.floor`.', 'float', Math.floor, flat, (_k, x) => K.un('floor', x)),
  ceil: unary('The least integer >= x. `torch.ceil`.', 'float', Math.ceil, flat, (_k, x) => K.un('ceil', x)),
  round: unary('To the nearest integer, ties to even. `torch.round`.', 'float', roundEven, flat, (_k, x) =>
    K.un('round', x),
  ),
  trunc: unary('Towards zero. `torch.trunc`.', 'float', Math.trunc, flat, (_k, x) => K.un('trunc', x)),
  // Bit tests: WGSL may assume that no NaN exists and fold a comparison of x with itself away.
  is_nan: test(
    'Is x not a number? `torch.isnan`.',
    (_e, x) => Number(Number.isNaN(x)),
    (_k, x) => K.gt(K.bin('and', K.bitcast(x, 'u32'), 0x7fffffff), 0x7f800000),
  ),
  is_inf: test(
    'Is x plus or minus infinity? `torch.isinf`.',
    (_e, x) => Number(x === Infinity || x === -Infinity),
    (_k, x) => K.eq(K.bin('and', K.bitcast(x, 'u32'), 0x7fffffff), 0x7f800000),
  ),
  not: pointwise({
    doc: 'Logical on bool, bitwise on integers. `torch.logical_not`, `torch.bitwise_not`.',
    operands: [{ name: 'x', elem: ['bool', 'i32', 'u32'] }],
    ref: (elem, x) => (elem === 'bool' ? Number(!x) : ~x!),
    grad: { notDifferentiable: 'bits have no gradient' },
    scalar: (_k, [x]) => K.un('not', x!),
  }),
  stop_gradient: unary(
    'x itself; no gradient flows through it. `Tensor.detach`.',
    'any',
    (x) => x,
    flat,
    (_k, x) => x,
  ),
} satisfies Record<string, OpDef>;
