/** The examples from papers: each learns, and with the same weights PyTorch computes the same scores and gradients. */
import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { compile } from '../../src/compile.ts';
import { tensor, type Model, type Tensor } from '../../src/runtime/index.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';

async function create(file: string, name: string, hyper: Readonly<Record<string, number | number[]>>): Promise<Model> {
  const source = readFileSync(new URL(`../../examples/${file}.net`, import.meta.url), 'utf8');
  const { blocks, diagnostics } = compile(source, { hyper });
  const Block = blocks[name];
  if (!Block || diagnostics.length > 0) throw new Error(diagnostics.map((d) => `${d.code} ${d.message}`).join('\n'));
  return Block.create({ seed: 1 });
}

const waves = (shape: readonly number[], phase = 0, size = 1): Tensor =>
  tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => size * Math.sin(12.9898 * i + phase)),
    { shape },
  );
const ints = (values: readonly number[], shape: readonly number[]): Tensor =>
  tensor(Int32Array.from(values), { shape });

/** Each row counts on by three from a number of its own. */
const song = (rows: number, steps: number, vocab: number, from = 0): Tensor =>
  ints(
    Array.from({ length: rows * steps }, (_, i) => (5 * Math.floor(i / steps) + 3 * ((i % steps) + from)) % vocab),
    [rows, steps],
  );

function learns(t: ExecutionContext, model: Model, args: readonly Tensor[], steps: number): void {
  const losses = Array.from({ length: steps }, () => model.train_step(...args).loss.readSync()[0]!);
  t.true(losses.at(-1)! < losses[0]! / 2, `from ${losses[0]} to ${losses.at(-1)}`);
}

const asked = onPyTorch();

interface Twin {
  readonly scores: number[];
  readonly grads: Readonly<Record<string, number[]>>;
}

/**
 * Both in f32, with other orders of summation: a few dozen roundings of 6e-8 through up to twenty layers, relative to the
 * largest value of each tensor.
 */
const TOLERANCE = 2e-5;

/** `net` defines `Net(nn.Module)` and `loss(out, y)`; weights are spread out, so that no part of the network is at its start of nothing. */
async function agrees(t: ExecutionContext, model: Model, x: Tensor, y: Tensor, net: string): Promise<void> {
  let phase = 0;
  for (const p of model.parameters()) p.data.copy_(waves(p.shape, phase++, 0.3));
  const state = Object.fromEntries(
    await Promise.all([...model.state_dict()].map(async ([k, v]) => [k, await v.toArray()])),
  );
  const want = askPyTorch<Twin>(
    `import torch.nn as nn, torch.nn.functional as F, math
${net}
m = Net().eval()
m.load_state_dict({k: torch.tensor(v) for k, v in given['state'].items()})
out = m(torch.tensor(given['x']))
loss(out, torch.tensor(given['y'])).backward()
scores = out[0] if isinstance(out, tuple) else out
print(json.dumps({'scores': scores.flatten().tolist(), 'grads': {k: p.grad.flatten().tolist() for k, p in m.named_parameters()}}))`,
    { state, x: await x.toArray(), y: await y.toArray() },
  );
  near(t, 'scores', (model.call('forward', [x]) as Tensor).readSync(), want.scores);
  model.backward(x, y);
  const names = [...model.named_parameters()].map(([name]) => name);
  t.deepEqual(names.sort(), Object.keys(want.grads).sort());
  for (const [name, p] of model.named_parameters()) near(t, name, p.grad!.readSync(), want.grads[name]!);
}

function near(t: ExecutionContext, what: string, found: ArrayLike<number>, want: readonly number[]): void {
  const scale = Math.max(...want.map(Math.abs));
  const worst = Math.max(...want.map((w, i) => Math.abs(w - found[i]!)));
  t.true(worst <= TOLERANCE * scale, `${what}: off by ${worst} of ${scale}`);
}

// ------------------------------------------------------------------------------------------------ ConvNeXt

test('convnext learns; in training its branches are left out at random', async (t) => {
  const model = await create('convnext', 'ConvNeXt', { depths: [1, 1], dims: [8, 16], drop_path_rate: 0.5 });
  const x = waves([16, 3, 16, 16]);
  const scores = (training: boolean, seed: number): number[] => [
    ...(model.call('forward', [x], { training, seed }) as Tensor).readSync(),
  ];
  t.deepEqual(scores(false, 1), scores(false, 2));
  // What is left out shows once the branches are more than nothing.
  for (const [name, p] of model.named_parameters()) if (name.endsWith('gamma')) p.data.copy_(waves(p.shape, 0, 1));
  t.notDeepEqual(scores(true, 1), scores(true, 2));
  const plain = await create('convnext', 'ConvNeXt', { depths: [1, 1], dims: [8, 16], drop_path_rate: 0 });
  // The smoothed loss of ten classes has a floor of about 0.5: half of log(10) is above it.
  const classes = Array.from({ length: 16 }, (_, i) => i % 10);
  learns(t, plain, [x, ints(classes, [16])], 120);
});

asked("convnext is PyTorch's", async (t) => {
  const model = await create('convnext', 'ConvNeXt', { depths: [1, 2], dims: [4, 8], drop_path_rate: 0 });
  await agrees(
    t,
    model,
    waves([2, 3, 16, 12]),
    ints([3, 7], [2]),
    `
class LN(nn.Module):
    def __init__(s, c): super().__init__(); s.norm = nn.LayerNorm(c, eps=1e-6)
    def forward(s, x): return s.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
class Block(nn.Module):
    def __init__(s, d):
        super().__init__()
        s.dwconv = nn.Conv2d(d, d, 7, padding=3, groups=d); s.norm = nn.LayerNorm(d, eps=1e-6)
        s.pwconv1 = nn.Linear(d, 4 * d); s.pwconv2 = nn.Linear(4 * d, d); s.gamma = nn.Parameter(torch.ones(d))
    def forward(s, x):
        h = s.gamma * s.pwconv2(F.gelu(s.pwconv1(s.norm(s.dwconv(x).permute(0, 2, 3, 1)))))
        return x + h.permute(0, 3, 1, 2)
class Net(nn.Module):
    def __init__(s, depths=[1, 2], dims=[4, 8]):
        super().__init__()
        s.downsample_layers = nn.ModuleList([nn.Sequential(nn.Conv2d(3, dims[0], 2, 2), LN(dims[0])),
            nn.Sequential(LN(dims[0]), nn.Conv2d(dims[0], dims[1], 2, 2))])
        s.stages = nn.ModuleList([nn.Sequential(*[Block(d) for _ in range(n)]) for n, d in zip(depths, dims)])
        s.norm = nn.LayerNorm(dims[-1], eps=1e-6); s.head = nn.Linear(dims[-1], 10)
    def forward(s, x):
        for d, stage in zip(s.downsample_layers, s.stages): x = stage(d(x))
        return s.head(s.norm(x.mean([-2, -1])))
loss = lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1)`,
  );
});

// ------------------------------------------------------------------------------------------------ Mamba

test('mamba learns, and sees nothing of what comes later', async (t) => {
  const model = await create('mamba', 'Mamba', { vocab: 16, d_model: 16 });
  learns(t, model, [song(4, 12, 16), song(4, 12, 16, 1)], 60);
  const scores = (last: number): number[] => {
    const x = song(1, 8, 16);
    x.set([0, 7], last);
    return [...(model.call('forward', [x]) as Tensor).readSync()].slice(0, 7 * 16);
  };
  t.deepEqual(scores(1), scores(9));
});

asked("mamba is PyTorch's", async (t) => {
  const model = await create('mamba', 'Mamba', { vocab: 12, d_model: 20, n_layer: 1 });
  await agrees(
    t,
    model,
    song(2, 7, 12),
    song(2, 7, 12, 1),
    `
class Mixer(nn.Module):
    def __init__(s, d, N=16, k=4):
        super().__init__(); s.di = 2 * d; s.r = math.ceil(d / 16); s.N = N
        s.in_proj = nn.Linear(d, 2 * s.di, bias=False); s.conv1d = nn.Conv1d(s.di, s.di, k, groups=s.di, padding=k - 1)
        s.x_proj = nn.Linear(s.di, s.r + 2 * N, bias=False); s.dt_proj = nn.Linear(s.r, s.di)
        s.A_log = nn.Parameter(torch.zeros(s.di, N)); s.D = nn.Parameter(torch.ones(s.di))
        s.out_proj = nn.Linear(s.di, d, bias=False)
    def forward(s, x):
        T = x.shape[1]; u, z = s.in_proj(x).chunk(2, -1)
        u = F.silu(s.conv1d(u.transpose(1, 2))[:, :, :T].transpose(1, 2))
        d, B, C = s.x_proj(u).split([s.r, s.N, s.N], -1); d = F.softplus(s.dt_proj(d))
        A = -torch.exp(s.A_log); h = 0; ys = []
        for t in range(T):
            h = torch.exp(d[:, t, :, None] * A) * h + (d * u)[:, t, :, None] * B[:, t, None]
            ys.append((h * C[:, t, None]).sum(-1))
        return s.out_proj((torch.stack(ys, 1) + u * s.D) * F.silu(z))
class Net(nn.Module):
    def __init__(s, V=12, d=20, n=1):
        super().__init__(); s.embedding = nn.Embedding(V, d)
        s.norms = nn.ModuleList([nn.RMSNorm(d) for _ in range(n)]); s.mixers = nn.ModuleList([Mixer(d) for _ in range(n)])
        s.norm_f = nn.RMSNorm(d); s.lm_head = nn.Linear(d, V, bias=False); s.lm_head.weight = s.embedding.weight
    def forward(s, x):
        h = s.embedding(x)
        for norm, mixer in zip(s.norms, s.mixers): h = h + mixer(norm(h))
        return s.lm_head(s.norm_f(h))
loss = lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten().long())`,
  );
});

// ------------------------------------------------------------------------------------------------ mixture of experts

test('moe learns, and each token goes to k experts', async (t) => {
  const model = await create('moe', 'MoE', { vocab: 16, d: 16, heads: 2, d_ff: 16, context: 12, p: 0 });
  const x = song(4, 12, 16);
  const [, before] = model.call('run', [x]) as [Tensor, Tensor];
  t.true((await before.item()) >= 1 - 1e-4, 'no share is more even than equal ones');
  learns(t, model, [x, song(4, 12, 16, 1)], 150);
});

asked("moe is PyTorch's", async (t) => {
  const model = await create('moe', 'MoE', { vocab: 12, d: 8, heads: 2, d_ff: 16, layers: 1, context: 9, p: 0 });
  await agrees(
    t,
    model,
    song(2, 7, 12),
    song(2, 7, 12, 1),
    `
class Expert(nn.Module):
    def __init__(s, d, f): super().__init__(); s.w1 = nn.Linear(d, f); s.w2 = nn.Linear(f, d)
    def forward(s, x): return s.w2(F.gelu(s.w1(x)))
class Mixture(nn.Module):
    def __init__(s, d, f, n=4, k=2):
        super().__init__(); s.n, s.k = n, k
        s.router = nn.Linear(d, n, bias=False); s.experts = nn.ModuleList([Expert(d, f) for _ in range(n)])
    def forward(s, x):
        p = F.softmax(s.router(x), -1); best, i = p.topk(s.k, -1)
        g = torch.zeros_like(p).scatter(-1, i, best / best.sum(-1, keepdim=True))
        y = sum(g[..., e, None] * expert(x) for e, expert in enumerate(s.experts))
        return y, s.n * ((g > 0).float().mean([0, 1]) / s.k * p.mean([0, 1])).sum()
class Layer(nn.Module):
    def __init__(s, d, h, f):
        super().__init__(); s.ln1 = nn.LayerNorm(d); s.attn = nn.MultiheadAttention(d, h, batch_first=True)
        s.ln2 = nn.LayerNorm(d); s.moe = Mixture(d, f)
    def forward(s, x):
        T = x.shape[1]; h = s.ln1(x); mask = torch.full((T, T), -math.inf).triu(1)
        x = x + s.attn(h, h, h, attn_mask=mask, need_weights=False)[0]
        h, a = s.moe(s.ln2(x)); return x + h, a
class Net(nn.Module):
    def __init__(s, V=12, d=8):
        super().__init__(); s.tok = nn.Embedding(V, d); s.pos = nn.Embedding(9, d)
        s.stack = nn.ModuleList([Layer(d, 2, 16)]); s.ln = nn.LayerNorm(d); s.head = nn.Linear(d, V, bias=False)
    def forward(s, x):
        h, a = s.stack[0](s.tok(x) + s.pos(torch.arange(x.shape[1])))
        return s.head(s.ln(h)), a
loss = lambda out, y: F.cross_entropy(out[0].flatten(0, 1), y.flatten().long()) + 0.01 * out[1]`,
  );
});
