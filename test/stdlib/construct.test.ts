/** Tensors that a method makes of nothing, cuts and fills in, with PyTorch's arguments: its own results are the oracle. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import { tensor, type Tensor } from '../../src/runtime/index.ts';
import { check } from '../support/check.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';

const { blocks, diagnostics } = compile(`
  fn state(x: i32[B]) -> i32[B] {
    h = zeros([B, 2])
    i32(sum(h + ones([2]), dim: 1)) + x
  }
  export block Made() {
    buffer count: i32[3] ~ zeros()
    param weight: f32[3] ~ ones() * 2.0
    parts(x: f32[B, 5]) -> (f32[B, 2], f32[B, 0], f32[B, 3]) { (a, b, c) = split(x, [2, 0, 3], dim: 1); (a, b, c) }
    even(x: f32[B, 5]) -> f32[B, 5] => cat(split(x, 2, dim: -1), 1)
    placed(x: f32[B, 5], at: i32[B, 2], v: f32[B, 2]) -> f32[B, 5] => scatter(x, 1, at, v)
    loss(x: f32[B, 5], at: i32[B, 2], v: f32[B, 2], w: f32[B, 5]) -> f32[] => sum(scatter(x * weight[0], -1, at, v * weight[1]) * w)
    ranges(x: f32[B, T]) -> (i32[T], i32[T - 1], i32[3], i32[4], i32[0], i32[2]) =>
      (arange(0, T), arange(1, T), arange(10, 0, -4), arange(-3, 5, 2), arange(3, 3), arange(0, 8, step: 5))
    filled(x: i32[B]) -> i32[B] => state(x)
    draw(x: f32[B, 5]) -> (f32[B, 1], f32[2, B]) => (rand([B, 1]), randn([2, B]))
    train { loss = loss; optimizer = SGD(lr: 0.1) }
  }`);

test('the block compiles without a word', (t) => t.deepEqual(diagnostics.map((d) => d.message), [])); // prettier-ignore

const X = tensor([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]); // prettier-ignore
const AT = tensor([[1, 3], [4, 0]], { dtype: 'i32' }); // prettier-ignore
const V = tensor([[-1, -2], [-3, -4]]); // prettier-ignore
const values = async (r: unknown): Promise<unknown> =>
  Array.isArray(r) ? Promise.all(r.map(values)) : (r as Tensor).toArray();

onPyTorch()("split with a list, arange with ends and steps, scatter and its gradient are PyTorch's", async (t) => {
  const want = askPyTorch<Record<string, unknown>>(`
x = torch.arange(10.).reshape(2, 5); at = torch.tensor([[1, 3], [4, 0]]); v = torch.tensor([[-1., -2.], [-3., -4.]])
w = torch.tensor([1.5, -2.0, 0.25], requires_grad=True)
(torch.scatter(x * w[0], 1, at, v * w[1]) * (x + 1)).sum().backward()
print(json.dumps({
  'split': [p.tolist() for p in torch.split(x, [2, 0, 3], 1)],
  'ranges': [torch.arange(*a).tolist() for a in [(0, 5), (1, 5), (10, 0, -4), (-3, 5, 2), (3, 3), (0, 8, 5)]],
  'scatter': torch.scatter(x, 1, at, v).tolist(), 'grad': w.grad.tolist()}))`);
  const model = await blocks['Made']!.create();
  t.deepEqual(await values(model.call('parts', [X])), want['split']);
  t.deepEqual(await values(model.call('ranges', [X])), want['ranges']);
  t.deepEqual(await values(model.call('placed', [X, AT, V])), want['scatter']);
  const [weight] = [...model.parameters()];
  weight!.data.copy_([1.5, -2, 0.25]);
  model.backward(X, AT, V, tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])); // prettier-ignore
  // Sums of small whole numbers and halves: exact in f32.
  t.deepEqual(await weight!.grad!.toArray(), want['grad'] as number[]);
});

test('a shape that is given is taken, and f32 with it; else the place says both', async (t) => {
  const model = await blocks['Made']!.create({ seed: 3 });
  t.deepEqual(await values(model.call('filled', [tensor([1, 2], { dtype: 'i32' })])), [3, 4]);
  t.deepEqual(await values(model.call('even', [X])), await X.toArray());
  const [count] = [...model.named_buffers()].map(([, b]) => b);
  t.deepEqual([count!.dtype, await count!.data.toArray()], ['i32', [0, 0, 0]]);
  const [uniform, normal] = model.call('draw', [X]) as [Tensor, Tensor];
  t.deepEqual([[...uniform.shape], [...normal.shape]], [[2, 1], [2, 2]]); // prettier-ignore
  t.is(new Set([...(await uniform.read()), ...(await normal.read())]).size, 6);
});

test('sizes that do not add up are refused with a reason', (t) => {
  const faults = (body: string): string =>
    check(`export block A { forward(x: f32[B, 5]) -> f32[B, 5] { ${body} } }`).diagnostics.join();
  t.regex(faults('(a, b) = split(x, [2, 2], dim: 1); x'), /NW4040 the sizes of the parts must add up/);
  t.regex(faults('i = arange(0, 5, 0); x + f32(i)'), /NW4040 arange takes steps of 0 nowhere/);
  t.regex(faults('zeros([B, 4])'), /NW3002.*dim 1 must be 5, but is 4/);
});
