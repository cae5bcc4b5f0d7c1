/**
 * jax-js on its WebAssembly backend: `node bench/peers/jaxjs.mjs W5`. Its arrays are reference-counted: `.ref` is one more use.
 * Whole training steps go through `jit`; a gather cannot be differentiated there, so embeddings are products with one-hot rows.
 * Convolutions run below 0.4 GFLOP/s; the two ResNets are left out for taking ten seconds a call.
 */
import { defaultDevice, init, jit, nn, numpy as np, valueAndGrad } from '@jax-js/jax';
import { lax } from '@jax-js/jax';
import { data, factors, name, report, side, workload } from './report.mjs';

await init('wasm');
defaultDevice('wasm');

const array = (values, shape) => np.array(values).reshape(shape);
const sizes = (s) => s.reduce((a, b) => a * b, 1);

// ---------------------------------------------------------------- layers; each takes its arguments over

/** y = x wᵀ + b with PyTorch's [out, in]. */
const dense = (x, w, b) => np.matmul(x, np.matrixTranspose(w)).add(b);
const dense2 = (p, x, key) => dense(x, p[`${key}.weight`].ref, p[`${key}.bias`].ref);

function crossEntropy(logits, oneHot, rows) {
  return nn
    .logSoftmax(logits, -1)
    .mul(oneHot)
    .sum()
    .mul(-1 / rows);
}

const mlp = (p, x) => dense2(p, nn.relu(dense2(p, nn.relu(dense2(p, x, 'fc1')), 'fc2')), 'fc3');

function lenet(p, x, n) {
  const block = (y, key, pad, channels, size) => {
    const z = lax.convGeneralDilated(
      y,
      p[`${key}.weight`].ref,
      [1, 1],
      [
        [pad, pad],
        [pad, pad],
      ],
    );
    const a = nn.sigmoid(z.add(p[`${key}.bias`].ref.reshape([1, channels, 1, 1])));
    return a.reshape([n, channels, size / 2, 2, size / 2, 2]).mean([3, 5]);
  };
  const y = block(block(x, 'conv1', 2, 6, 28), 'conv2', 0, 16, 10).reshape([n, 400]);
  return dense2(p, nn.sigmoid(dense2(p, nn.sigmoid(dense2(p, y, 'fc1')), 'fc2')), 'fc3');
}

function gpt(p, oneHot, batch) {
  const [T, d, heads] = [64, 128, 4];
  const norm = (x, key) => {
    const centred = x.ref.sub(x.mean(-1, { keepdims: true }));
    const variance = np.square(centred.ref).mean(-1, { keepdims: true });
    return centred
      .div(np.sqrt(variance.add(1e-5)))
      .mul(p[`${key}.weight`].ref)
      .add(p[`${key}.bias`].ref);
  };
  const gelu = (x) => {
    const inner = x.ref.add(x.ref.mul(x.ref).mul(x.ref).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
    return x.mul(0.5).mul(np.tanh(inner).add(1));
  };
  const mask = np
    .tril(np.ones([T, T]))
    .sub(1)
    .mul(1e9);
  let x = np
    .matmul(oneHot, p['wte.weight'].ref)
    .reshape([batch, T, d])
    .add(p['wpe.weight'].ref)
    .reshape([batch * T, d]);
  for (let i = 0; i < 4; i++) {
    const qkv = dense2(p, norm(x.ref, `h.${i}.ln_1`), `h.${i}.attn.c_attn`);
    const [q, k, v] = np
      .split(qkv, 3, 1)
      .map((t) => np.transpose(t.reshape([batch, T, heads, d / heads]), [0, 2, 1, 3]));
    const scores = np
      .matmul(q, np.matrixTranspose(k))
      .mul(Math.sqrt(heads / d))
      .add(mask.ref);
    const y = np.transpose(np.matmul(nn.softmax(scores, -1), v), [0, 2, 1, 3]).reshape([batch * T, d]);
    x = x.add(dense2(p, y, `h.${i}.attn.c_proj`));
    const inner = gelu(dense2(p, norm(x.ref, `h.${i}.ln_2`), `h.${i}.mlp.c_fc`));
    x = x.add(dense2(p, inner, `h.${i}.mlp.c_proj`));
  }
  mask.dispose();
  return np.matmul(norm(x, 'ln_f'), np.matrixTranspose(p['wte.weight'].ref));
}

/** Rows in order of time. */
function lstm(p, oneHot) {
  const [T, hidden] = [32, 128];
  const x = np.matmul(oneHot, p['emb.weight'].ref);
  const bias = p['lstm.bias_ih_l0'].ref.add(p['lstm.bias_hh_l0'].ref);
  const inputs = np.split(dense(x, p['lstm.weight_ih_l0'].ref, bias), T, 0);
  let [h, c] = [np.zeros([32, hidden]), np.zeros([32, hidden])];
  const outputs = inputs.map((u) => {
    const gates = u.add(np.matmul(h, np.matrixTranspose(p['lstm.weight_hh_l0'].ref)));
    const [i, f, g, o] = np.split(gates, 4, 1);
    c = nn
      .sigmoid(f)
      .mul(c)
      .add(nn.sigmoid(i).mul(np.tanh(g)));
    h = nn.sigmoid(o).mul(np.tanh(c.ref));
    return h.ref;
  });
  h.dispose();
  c.dispose();
  return dense2(p, np.concatenate(outputs, 0), 'head');
}

// ---------------------------------------------------------------- training

const initial = () => Object.fromEntries([...data.params].map(([key, v]) => [key, array(v.data, v.shape)]));
const map = (f, ...trees) =>
  Object.fromEntries(Object.keys(trees[0]).map((key) => [key, f(...trees.map((t) => t[key]))]));

function sgd(lr) {
  return { start: () => ({}), update: (p, g, s) => [map((v, d) => v.sub(d.mul(lr)), p, g), s] };
}

function adamw(lr, decay) {
  const zeros = () => map((v) => np.zeros(v.shape), initial());
  return {
    start: () => ({ m: zeros(), v: zeros(), t: np.array([0]) }),
    update(p, g, { m, v, t }) {
      const step = t.add(1);
      const m2 = map((a, d) => a.mul(0.9).add(d.ref.mul(0.1)), m, g);
      const v2 = map((a, d) => a.mul(0.999).add(np.square(d).mul(0.001)), v, g);
      const power = (base) =>
        np
          .exp(step.ref.mul(Math.log(base)))
          .mul(-1)
          .add(1);
      const [c1, c2] = [power(0.9), np.sqrt(power(0.999))];
      const p2 = map(
        (w, a, b) => w.mul(1 - lr * decay).sub(a.ref.div(c1.ref).mul(lr).div(np.sqrt(b.ref).div(c2.ref).add(1e-8))),
        p,
        m2,
        v2,
      );
      c1.dispose();
      c2.dispose();
      return [p2, { m: m2, v: v2, t: step }];
    },
  };
}

function trainer(loss, optimizer) {
  const step = jit((p, s, x, y) => {
    const [value, g] = valueAndGrad(loss)(
      map((v) => v.ref, p),
      x,
      y,
    );
    const [p2, s2] = optimizer.update(p, g, s);
    return [value, p2, s2];
  });
  let [p, s] = [initial(), optimizer.start()];
  return (x, y) => {
    const [value, p2, s2] = step(p, s, x.ref, y.ref);
    [p, s] = [p2, s2];
    return value.item();
  };
}

const oneHot = (values, n) => nn.oneHot(np.array(Int32Array.from(values), { dtype: np.int32 }), n);
const byTime = (values, batch, T) => Int32Array.from(values, (_, i) => values[(i % batch) * T + Math.floor(i / batch)]);

if (side !== null) {
  const [a, b] = factors.map((v) => array(v, [side, side]));
  const call = () => np.matmul(a.ref, b.ref);
  await report(
    () => call().dataSync(),
    () => {
      const c = call();
      c.dataSync();
    },
  );
} else if (name === 'W3i' || name === 'W5i') {
  const p = initial();
  const forward = name === 'W3i' ? jit((q, x) => lenet(q, x, 1)) : jit((q, x) => gpt(q, x, 1));
  const input = () => (name === 'W3i' ? array(data.x, workload.input.shape) : oneHot(data.x, 65).astype(np.float32));
  await report(() =>
    forward(
      map((v) => v.ref, p),
      input(),
    ).dataSync(),
  );
} else {
  const rows = sizes(workload.target.shape);
  const make = {
    W2: () => [(p, x, y) => crossEntropy(mlp(p, x), y, rows), sgd(0.1)],
    W3: () => [(p, x, y) => crossEntropy(lenet(p, x, 256), y, rows), sgd(0.1)],
    W5: () => [(p, x, y) => crossEntropy(gpt(p, x, 8), y, rows), adamw(1e-3, 0.01)],
    W6: () => [(p, x, y) => crossEntropy(lstm(p, x), y, rows), adamw(1e-3, 0)],
  }[name]();
  const labels = name === 'W6' ? byTime(data.y, 32, 32) : data.y;
  const tokens = name === 'W6' ? byTime(data.x, 32, 32) : data.x;
  const x =
    workload.input.kind === 'images' ? array(data.x, workload.input.shape) : oneHot(tokens, 65).astype(np.float32);
  const y = oneHot(labels, workload.target.classes).astype(np.float32);
  const step = trainer(...make);
  await report(() => step(x, y));
}
