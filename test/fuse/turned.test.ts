/** Transposed operands: blocks turned in registers, and what is left over at their edges, at known and unknown sizes. */
import test from 'ava';
import { IrBuilder, tensor, value } from '../../src/ir/builder.ts';
import { dim, sym, type Dim } from '../../src/ir/dim.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { ndarray, sizeOf } from '../../src/ir/ndarray.ts';
import { expectSameBits } from '../support/compare.ts';
import { func, moduleOf } from '../support/op-func.ts';
import { runCompiled } from '../support/run-lowered.ts';

const CASES: readonly (readonly [shape: readonly number[], perm: readonly number[]])[] = [
  [
    [17, 65],
    [1, 0],
  ],
  [
    [8, 8],
    [1, 0],
  ],
  [
    [3, 5],
    [1, 0],
  ],
  [
    [0, 9],
    [1, 0],
  ],
  [
    [9, 12, 10],
    [2, 0, 1],
  ],
  [
    [9, 12, 10],
    [1, 0, 2],
  ],
  [
    [2, 33, 3, 18],
    [0, 3, 1, 2],
  ],
];

for (const [shape, perm] of CASES)
  for (const known of [true, false])
    test(`[${shape.join(', ')}] by (${perm.join(', ')}), sizes ${known ? 'known' : 'unknown'}`, (t) => {
      const sizes: Dim[] = shape.map((n, i) => (known ? dim(n) : sym(`S${i}`)));
      const b = new IrBuilder();
      const x = value(tensor('f32', sizes));
      const turned = b.one('transpose', [x], { perm });
      const y = value(tensor('f32', turned.type.shape));
      // One operand as it lies, one turned, one turned and seen twice.
      const sum = b.one('sub', [b.one('add', [turned, y]), b.one('neg', [turned])]);
      const module = moduleOf(func('main', [x, y], b.ops, [sum]));
      const inputs = [shape, perm.map((p) => shape[p]!)].map((s, k) =>
        ndarray(
          'f32',
          s,
          Array.from({ length: sizeOf(s) }, (_, i) => i + k / 2),
        ),
      );
      expectSameBits(runCompiled(module, 'main', inputs), interpret(module, 'main', inputs));
      t.pass();
    });
