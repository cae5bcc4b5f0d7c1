/** Class targets and row numbers that name nothing are refused, wherever in the program they are used; the rest is left alone. */
import test from 'ava';
import { compile, IndexError, tensor, zeros, type Model, type Tensor } from '../../src/index.ts';

const SOURCE = `
import { Embedding, Linear } from "std/nn"
fn picked(x: f32[N, C, ...S], y: i32[N, ...S]) -> f32[] => cross_entropy(x, y, ignore_index: 7)
export block Net(rows: int = 5) {
  table = Embedding(rows, 4)
  head = Linear(4, 3)
  rows_of(ids: i32[B, T]) -> f32[B, T, 4] => table(ids)
  turned(ids: i32[B, T]) -> f32[T * B, 4] => table(reshape(transpose(ids, 0, 1), [T * B]))
  loss(ids: i32[B], y: i32[B]) -> f32[] => picked(head(table(ids)), y)
  free(x: f32[B, C], y: i32[B]) -> f32[] => cross_entropy(x, y)
  computed(x: f32[B, C], y: i32[B]) -> f32[B] => nll_loss(x, y, reduction: "none")
  clamped(ids: i32[B]) -> f32[B, 4] => table(minimum(ids, 4))
  maybe(ids: i32[B], ok: bool[]) -> f32[B, 4] => if ok { table(ids) } else { zeros_like(table(ids * 0)) }
  train { loss = loss; optimizer = SGD(lr: 0.1) }
}`;

const { blocks, diagnostics } = compile(SOURCE);
const make = (): Promise<Model> => {
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'].create();
};
const ids = (values: number[], shape?: number[]) => tensor(new Int32Array(values), shape ? { shape } : {});

test('rows of a table', async (t) => {
  const m = await make();
  t.notThrows(() => m.call('rows_of', [ids([0, 4, 3, 1, 2, 2], [2, 3])]));
  t.notThrows(() => m.call('rows_of', [ids([], [2, 0])]));
  const e = t.throws(() => m.call('rows_of', [ids([0, 1, 2, 3, 4, 5], [2, 3])]), { instanceOf: IndexError });
  t.is(e?.message, 'Net.rows_of: ids[1, 2] is 5; the rows are 0 to 4');
  t.is((e as IndexError).code, 'index');
  t.throws(() => m.call('rows_of', [ids([-1], [1, 1])]), { message: /ids\[0, 0\] is -1/ });
  t.throws(() => m.call('turned', [ids([0, 9], [2, 1])]), { message: /ids\[1, 0\] is 9/ });
});

test('classes, in methods, steps and gradients; the ignored one is no fault', async (t) => {
  const m = await make();
  const x = ids([0, 1]);
  for (const f of ['loss', 'train_step', 'backward'] as const) {
    const run = (y: number[]): unknown => (f === 'loss' ? m.call(f, [x, ids(y)]) : m[f](x, ids(y)));
    t.notThrows(() => run([2, 7]), f);
    t.throws(() => run([0, 3]), {
      instanceOf: IndexError,
      message: 'Net.loss: y[1] is 3; the classes are 0 to 2 (7 is ignored)',
    });
    t.throws(() => run([-100, 0]), { message: /y\[0\] is -100/ });
  }
  t.is(m.step, 1, 'a refused step is no step');
});

test('the number of classes may be known at run time only', async (t) => {
  const m = await make();
  t.notThrows(() => m.call('free', [zeros([1, 6]), ids([5])]));
  t.throws(() => m.call('free', [zeros([1, 5]), ids([5])]), { message: /y\[0\] is 5; the classes are 0 to 4/ });
  t.throws(() => m.call('free', [zeros([1, 0]), ids([0])]), { message: /there is no class/ });
});

test('what the program mends itself, or may not reach, is not refused', async (t) => {
  const m = await make();
  t.notThrows(() => m.call('clamped', [ids([9, 0])]));
  t.notThrows(() => m.call('maybe', [ids([9]), tensor([false], { dtype: 'bool', shape: [] })]));
});

test('a loss that compares classes says NaN where there is none, and nothing where it is ignored', async (t) => {
  const m = await make();
  const loss = m.call('computed', [
    tensor([
      [-1, -2],
      [-3, -4],
      [-5, -6],
      [-7, -8],
    ]),
    ids([1, 2, -1, -100]),
  ]) as Tensor;
  t.deepEqual([...(await loss.read())], [2, NaN, NaN, 0]);
});
