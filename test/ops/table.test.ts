/** What every row promises of itself: it has cases, its shape rule agrees with its reference, also with symbolic sizes. */
import test from 'ava';
import { IrBuilder, value } from '../../src/ir/builder.ts';
import type { Dim } from '../../src/ir/dim.ts';
import { dim, evaluate, same, sym } from '../../src/ir/dim.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import { hasOp, opDef, OPS } from '../../src/ir/ops/table.ts';
import type { OpCase } from '../support/op-cases.ts';
import { casesOf } from '../support/op-cases.ts';
import { opModule } from '../support/op-func.ts';

const KINDS = Object.keys(OPS).filter((kind) => {
  const { reference } = opDef(kind);
  return !('structural' in reference);
});

test('names are found, others are not', (t) => {
  t.true(hasOp('conv2d'));
  t.false(hasOp('toString'));
  t.throws(() => opDef('conv3d'), { message: 'no op is called conv3d' });
});

for (const kind of KINDS) {
  test(`${kind}: has cases, and its reference gives the shapes of its rule`, (t) => {
    const cases = [...casesOf(kind)];
    t.true(cases.length > 0, 'add cases to test/support/op-case-list.ts');
    // The interpreter throws where a result has not the promised type.
    for (const c of cases) t.notThrows(() => interpret(opModule(kind, c.attrs, c.inputs), 'main', c.inputs), c.name);
  });

  test(`${kind}: symbolic sizes give the same shapes`, (t) => {
    for (const c of casesOf(kind)) {
      const known = concreteShapes(c);
      const env = new Map<string, number>();
      const b = new IrBuilder();
      const params = c.inputs.map((x, i) =>
        value({ elem: x.elem, shape: x.shape.map((n, axis) => symbolFor(c, i, axis, n, env)) }),
      );
      const shapes = b.emit(kind, params, c.attrs).map((v) => v.type.shape.map((d) => evaluate(d, env)));
      t.deepEqual(shapes, known, c.name);
    }
  });
}

const concreteShapes = (c: OpCase): number[][] =>
  interpret(opModule(c.kind, c.attrs, c.inputs), 'main', c.inputs).map((x) => [...x.shape]);

/** Equal sizes share a symbol. A literal 1 stretches and must stay one; kernels and keys have fixed sizes. */
function symbolFor(c: OpCase, operand: number, axis: number, n: number, env: Map<string, number>): Dim {
  const fixed = (c.kind.startsWith('conv2d') && operand === 1 && axis >= 2) || c.inputs[operand]!.elem === 'u32';
  if (n === 1 || fixed) return dim(n);
  env.set(`N${n}`, n);
  return sym(`N${n}`);
}

test('faults name sizes and operands in words', (t) => {
  const shapeOf = (kind: string, shapes: readonly (readonly number[])[], attrs = {}): string => {
    // What the checker knows: nothing is taken on trust.
    const b = new IrBuilder(NO_ORIGIN, { equal: same, atLeast: (x, y) => x.value! >= y.value! });
    return (
      t.throws(() =>
        b.emit(
          kind,
          shapes.map((s) => value({ elem: 'f32', shape: s.map((n) => dim(n)) })),
          attrs,
        ),
      )?.message ?? ''
    );
  };
  t.snapshot([
    shapeOf('add', [
      [2, 3],
      [2, 4],
    ]),
    shapeOf('add', [[2]]),
    shapeOf('not', [[2]]),
    shapeOf('matmul', [
      [2, 3],
      [4, 5],
    ]),
    shapeOf('matmul', [[3], [3, 5]]),
    shapeOf('conv2d', [
      [1, 1, 5, 5],
      [6, 3, 5, 5],
    ]),
    shapeOf('conv2d', [
      [1, 3, 4, 9],
      [6, 3, 5, 5],
    ]),
    shapeOf('reshape', [[2, 3]], { shape: [dim(4)] }),
    shapeOf('sum', [[2, 3]], { axes: [2] }),
    shapeOf('max', [[2, 0]], { axes: [1] }),
    shapeOf('slice', [[4]], { start: [dim(0)], stop: [dim(5)], step: [1] }),
    shapeOf('concat', [[2, 3], [3]], { axis: 0 }),
    shapeOf('max_pool2d', [[1, 1, 4, 4]], { kernel: [2, 2], stride: [2, 2], padding: [2, 2, 0, 0] }),
    shapeOf('softmax', [[2]], {}),
  ]);
});
