/** The parts of a model as a user of PyTorch finds them: names and counts below every layer, as PyTorch itself lists them; values in place. */
import test from 'ava';
import { compile, zeros, UsageError, type Model, type ModuleNode, type Parameter } from '../../src/index.ts';
import { NETWORKS, reference } from '../support/networks.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';

const modelOf = async (source: string): Promise<Model> => {
  const { blocks, diagnostics } = compile(source);
  const [block] = Object.values(blocks);
  if (!block) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return block.create({ seed: 1 });
};
const names = (of: Iterable<readonly [string, unknown]>): string[] => [...of].map(([name]) => name);

interface Part {
  readonly path: string;
  readonly state: readonly string[];
  readonly parameters: readonly string[];
  readonly buffers: readonly string[];
  readonly count: number;
}

/** The classes of test/reference/networks/definitions.py by the reference network that they made. */
const CLASSES: Readonly<Record<string, string>> = {
  linreg: 'LinReg()',
  mlp_softmax: 'MLPSoftmax()',
  mlp_shared: 'MLPShared()',
  nest_mlp: 'NestMLP()',
  my_linear: 'MyLinearNet()',
  lenet: 'LeNet()',
  alexnet_mini: 'AlexNetMini()',
  vgg_mini: 'VGGMini()',
  nin_mini: 'NiNMini()',
  resnet18_w10: 'ResNet18(10, 10)',
  char_rnn: 'CharRNN("RNN")',
  char_gru: 'CharRNN("GRU")',
  char_lstm: 'CharRNN()',
  fixed_hidden_0: 'FixedHiddenMLP()',
  encoder_layer_pre_gelu: 'EncoderLayer()',
  vae: 'VAE()',
  dcgan_g: 'DCGANGenerator()',
};

const partsOf = (model: Model): Part[] =>
  [...model.named_modules()]
    .map(([path, m]) => ({
      path,
      state: [...m.state_dict().keys()],
      parameters: names(m.named_parameters()),
      buffers: names(m.named_buffers()),
      count: m.num_parameters(),
    }))
    // What has no tensors is a function here and a module there.
    .filter((p) => p.state.length > 0);

onPyTorch()('every layer of the reference networks lists what PyTorch lists below it, in its order', async (t) => {
  const theirs = askPyTorch<Record<string, Part[]>>(
    `
sys.path.insert(0, 'test/reference/networks')
import definitions
def part(path, m): return {'path': path, 'state': list(m.state_dict()), 'parameters': [n for n, _ in m.named_parameters()],
  'buffers': [n for n, _ in m.named_buffers()], 'count': sum(p.numel() for p in m.parameters())}
def parts(m): return [part(path, x) for path, x in m.named_modules() if len(x.state_dict()) > 0]
print(json.dumps({name: parts(eval('definitions.' + made)) for name, made in given.items()}))`,
    CLASSES,
  );
  for (const name of Object.keys(CLASSES))
    t.deepEqual(partsOf(await modelOf(reference(name as never).source)), theirs[name]!, name);
});

test('keys of every reference network stand in the order that PyTorch wrote them in', async (t) => {
  for (const name of NETWORKS) {
    const { source, names: keys } = reference(name);
    t.deepEqual([...(await modelOf(source)).state_dict().keys()], [...keys], name);
  }
});

const TIED = `
import { Linear, BatchNorm1d } from "std/nn"
block Cell(n: int) {
  up = Linear(n, 2 * n)
  norm = BatchNorm1d(2 * n)
  down = Linear(2 * n, n)
  forward(x: f32[B, n]) -> f32[B, n] => x + down(norm(up(x)))
}
export block Net {
  let shared = Linear(4, 4)
  cells = [for i in 0..3: Cell(4)]
  net = seq { shared; relu; shared }
  decode = Linear(4, 2, bias: false)
  encode = Linear(2, 4)
  tie decode.weight = transpose(encode.weight)
  forward(x: f32[B, 4]) -> f32[B, 4] {
    for c in cells { x = c(x) }
    encode(decode(net(x)))
  }
  loss(x: f32[B, 4]) -> f32[] => sum(forward(x))
  train { loss = loss; optimizer = SGD(lr: 0.1); freeze net.** }
}`;

interface Layer extends ModuleNode {
  readonly weight: Parameter;
  readonly bias: Parameter;
}
type Net = Model & {
  readonly cells: readonly (ModuleNode & { readonly up: Layer; readonly down: Layer })[];
  readonly net: readonly Layer[] & ModuleNode;
  readonly encode: Layer;
  readonly decode: Layer;
};

test('a parameter at any depth has data, grad, shape, dtype, device and whether it learns', async (t) => {
  const model = (await modelOf(TIED)) as Net;
  const { weight } = model.cells[2]!.up;
  t.deepEqual(
    [weight.shape, weight.dtype, weight.device, weight.requires_grad, weight.grad],
    [[8, 4], 'f32', 'cpu', true, null],
  );
  t.false(model.net[0]!.weight.requires_grad);
  model.backward(zeros([2, 4]));
  t.deepEqual(weight.grad!.shape, [8, 4]);
  t.is(model.net[0]!.weight.grad, null);
  t.is(model.num_parameters() - model.num_parameters({ only_trainable: true }), model.net.num_parameters());
  t.is(model.cells[0]!.num_parameters(), 2 * 32 + 8 + 4 + 16);
});

test('a value that is set in place is seen through every name: tied, transposed, of a layer, of the model', async (t) => {
  const model = (await modelOf(TIED)) as Net;
  const at = (state: Map<string, { readSync(): ArrayLike<number> }>, name: string, i: number): number =>
    state.get(name)!.readSync()[i]!;
  model.net[0]!.weight.data.set([0, 0], 42);
  t.is(model.net[0], model.net[2]);
  t.is(at(model.state_dict(), 'net.2.weight', 0), 42);
  t.is(at(model.net.state_dict(), '2.weight', 0), 42);
  model.encode.weight.data.set([3, 1], 7); // [4, 2]; the other name is [2, 4]
  t.is(at(model.decode.state_dict(), 'weight', 1 * 4 + 3), 7);
  model.decode.weight.data.set([0, 2], 9);
  t.is(at(model.state_dict(), 'encode.weight', 2 * 2 + 0), 9);
});

test('a layer loads what another one saved: all or nothing, with what is missing and unexpected', async (t) => {
  const [a, b] = [(await modelOf(TIED)) as Net, (await modelOf(TIED)) as Net];
  a.cells[1]!.up.weight.data.set([0, 0], 42);
  t.deepEqual(b.cells[0]!.load_state_dict(a.cells[1]!.state_dict()), { missing_keys: [], unexpected_keys: [] });
  t.is(b.cells[0]!.up.weight.data.readSync()[0], 42);
  t.not(b.cells[1]!.up.weight.data.readSync()[0], 42);
  const part = { 'up.weight': zeros([8, 4]), other: zeros([1]) };
  t.throws(() => b.cells[0]!.load_state_dict(part), {
    instanceOf: UsageError,
    message: /does not fit cells\.0: missing: up\.bias, .*; unexpected: other$/,
  });
  t.is(b.cells[0]!.up.weight.data.readSync()[0], 42);
  const report = b.cells[0]!.load_state_dict(part, { strict: false });
  t.deepEqual(report.unexpected_keys, ['other']);
  t.deepEqual(report.missing_keys.slice(0, 2), ['up.bias', 'norm.weight']);
  t.is(b.cells[0]!.up.weight.data.readSync()[0], 0);
  t.throws(() => b.cells[0]!.load_state_dict({ 'up.weight': zeros([4, 8]) }, { strict: false }), {
    message: /up\.weight is \[4, 8\] and must be \[8, 4\]/,
  });
});

test('a message about keys names eight of them and counts the rest', async (t) => {
  const model = await modelOf(TIED);
  const { message } = t.throws(() => model.load_state_dict({}))!;
  const all = [...model.state_dict().keys()];
  t.true(message.endsWith(`missing: ${all.slice(0, 8).join(', ')}, and ${all.length - 8} more`), message);
  const wrong = Object.fromEntries(all.map((name) => [name, zeros([1, 1, 1])]));
  t.regex(t.throws(() => model.load_state_dict(wrong))!.message, new RegExp(`; and ${all.length - 8} more$`));
});
