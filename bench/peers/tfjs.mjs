/**
 * TensorFlow.js on its WebAssembly backend: `node bench/peers/tfjs.mjs W3`. The backend has no gradient of a convolution's filter and none of
 * `gather`, and its fast product takes no transposes: as a user would, we write the first as a convolution, embeddings as
 * products with one-hot rows, and transposes explicitly.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { data, factors, name, report, side, workload } from './report.mjs';

setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`);
await tf.setBackend('wasm');
await tf.ready();

// ---------------------------------------------------------------- what the backend lacks

/** [m, k] x [k, n] with explicit transposes in the gradient. */
const product = tf.customGrad((a, b, save) => {
  save([a, b]);
  return {
    value: tf.matMul(a, b),
    gradFunc: (dy, [x, w]) => [tf.matMul(dy, tf.transpose(w)), tf.matMul(tf.transpose(x), dy)],
  };
});

/** NHWC by HWIO; the filter's gradient is the convolution of the image with the result's gradient, batch and channels exchanged. */
function conv(x, w, stride, pad) {
  const around = [
    [0, 0],
    [pad, pad],
    [pad, pad],
    [0, 0],
  ];
  const made = tf.customGrad((image, filter, save) => {
    save([image, filter]);
    const padded = pad === 0 ? 'valid' : around;
    return {
      value: tf.conv2d(image, filter, stride, padded),
      gradFunc: (dy, [u, f]) => [
        tf.conv2dTranspose(dy, f, u.shape, stride, padded),
        tf.tidy(() => {
          const [kh, kw, ci, co] = f.shape;
          const channels = tf.transpose(pad === 0 ? u : tf.pad(u, around), [3, 1, 2, 0]);
          const all = tf.conv2d(channels, tf.transpose(dy, [1, 2, 0, 3]), 1, 'valid', 'NHWC', stride);
          return tf.transpose(tf.slice(all, [0, 0, 0, 0], [ci, kh, kw, co]), [1, 2, 0, 3]);
        }),
      ],
    };
  });
  return made(x, w);
}

// ---------------------------------------------------------------- parameters and layers

const params = new Map();
for (const [key, p] of data?.params ?? []) {
  let value = tf.tensor(p.data, p.shape);
  // PyTorch's [out, in] and OIHW become [in, out] and HWIO. Embeddings stay: they are rows to choose.
  if (p.shape.length === 4) value = tf.transpose(value, [2, 3, 1, 0]);
  else if (p.shape.length === 2 && !/^(wte|wpe|emb)\./.test(key)) value = tf.transpose(value);
  params.set(key, /running/.test(key) ? value : tf.variable(value));
}
const get = (key) => params.get(key);
const dense = (x, key) => tf.add(product(x, get(`${key}.weight`)), get(`${key}.bias`));
const crossEntropy = (logits, labels) => tf.losses.softmaxCrossEntropy(labels, logits);

function lenet(x) {
  const block = (y, key, pad) =>
    tf.avgPool(tf.sigmoid(tf.add(conv(y, get(`${key}.weight`), 1, pad), get(`${key}.bias`))), 2, 2, 'valid');
  const y = block(block(x, 'conv1', 2), 'conv2', 0);
  // PyTorch flattens channels first.
  const flat = tf.reshape(tf.transpose(y, [0, 3, 1, 2]), [-1, 400]);
  return dense(tf.sigmoid(dense(tf.sigmoid(dense(flat, 'fc1')), 'fc2')), 'fc3');
}

const mlp = (x) => dense(tf.relu(dense(tf.relu(dense(x, 'fc1')), 'fc2')), 'fc3');

function resnet(x, training) {
  const running = [];
  const normalised = (y, weight, stride, pad, key) => {
    const [w, b] = [get(`${key}.weight`), get(`${key}.bias`)];
    if (!training) {
      // Folded into the convolution.
      const scale = tf.div(w, tf.sqrt(tf.add(get(`${key}.running_var`), 1e-5)));
      const shift = tf.sub(b, tf.mul(get(`${key}.running_mean`), scale));
      return [folded(key, tf.mul(get(weight), scale)), folded(`${key}+`, shift), stride, pad, y];
    }
    const z = conv(y, get(weight), stride, pad);
    const { mean, variance } = tf.moments(z, [0, 1, 2]);
    const n = z.size / z.shape[3];
    running.push([key, mean, variance, n / (n - 1)]);
    return tf.add(tf.mul(tf.sub(z, mean), tf.mul(tf.rsqrt(tf.add(variance, 1e-5)), w)), b);
  };
  const layer = (y, weight, stride, pad, key, activation) => {
    const made = normalised(y, weight, stride, pad, key);
    if (training) return activation ? tf.relu(made) : made;
    const [filter, bias] = made;
    return tf.fused.conv2d({
      x: y,
      filter,
      strides: stride,
      pad: pad
        ? [
            [0, 0],
            [pad, pad],
            [pad, pad],
            [0, 0],
          ]
        : 'valid',
      bias,
      activation: activation ? 'relu' : 'linear',
    });
  };
  let y = training ? layer(x, 'conv1.weight', 1, 1, 'bn1', true) : layer(x, 'conv1.weight', 2, 3, 'bn1', true);
  if (!training)
    y = tf.maxPool(
      tf.pad(y, [
        [0, 0],
        [1, 1],
        [1, 1],
        [0, 0],
      ]),
      3,
      2,
      'valid',
    );
  for (let stage = 1; stage <= 4; stage++)
    for (let i = 0; i < 2; i++) {
      const key = `layer${stage}.${i}`;
      const stride = stage > 1 && i === 0 ? 2 : 1;
      const skip = stride === 2 ? layer(y, `${key}.downsample.0.weight`, 2, 0, `${key}.downsample.1`, false) : y;
      const inner = layer(y, `${key}.conv1.weight`, stride, 1, `${key}.bn1`, true);
      y = tf.relu(tf.add(layer(inner, `${key}.conv2.weight`, 1, 1, `${key}.bn2`, false), skip));
    }
  return { logits: dense(tf.mean(y, [1, 2]), 'fc'), running };
}

const folds = new Map();
const folded = (key, value) => {
  if (!folds.has(key)) folds.set(key, tf.keep(value));
  return folds.get(key);
};

function gpt(oneHot, batch) {
  const [T, d, heads] = [64, 128, 4];
  const norm = (x, key) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return tf.add(
      tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), get(`${key}.weight`)),
      get(`${key}.bias`),
    );
  };
  const gelu = (x) =>
    tf.mul(
      tf.mul(x, 0.5),
      tf.add(tf.tanh(tf.mul(tf.add(x, tf.mul(tf.pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI))), 1),
    );
  const mask = tf.mul(tf.sub(1, tf.linalg.bandPart(tf.ones([T, T]), -1, 0)), -1e9);
  let x = tf.reshape(product(oneHot, get('wte.weight')), [batch, T, d]);
  x = tf.reshape(tf.add(x, get('wpe.weight')), [batch * T, d]);
  for (let i = 0; i < 4; i++) {
    const parts = tf.split(dense(norm(x, `h.${i}.ln_1`), `h.${i}.attn.c_attn`), 3, 1);
    const [q, k, v] = parts.map((p) => tf.transpose(tf.reshape(p, [batch, T, heads, d / heads]), [0, 2, 1, 3]));
    const scores = tf.add(tf.mul(tf.matMul(q, k, false, true), Math.sqrt(heads / d)), mask);
    const y = tf.reshape(tf.transpose(tf.matMul(tf.softmax(scores), v), [0, 2, 1, 3]), [batch * T, d]);
    x = tf.add(x, dense(y, `h.${i}.attn.c_proj`));
    x = tf.add(x, dense(gelu(dense(norm(x, `h.${i}.ln_2`), `h.${i}.mlp.c_fc`)), `h.${i}.mlp.c_proj`));
  }
  return product(norm(x, 'ln_f'), tf.transpose(get('wte.weight')));
}

/** Rows in order of time, so that each step is a slice. */
function lstm(oneHot) {
  const [T, batch, hidden] = [32, 32, 128];
  const x = product(oneHot, get('emb.weight'));
  const bias = tf.add(get('lstm.bias_ih_l0'), get('lstm.bias_hh_l0'));
  const inputs = tf.split(tf.add(product(x, get('lstm.weight_ih_l0')), bias), T, 0);
  let [h, c] = [tf.zeros([batch, hidden]), tf.zeros([batch, hidden])];
  const outputs = inputs.map((u) => {
    const [i, f, g, o] = tf.split(tf.add(u, product(h, get('lstm.weight_hh_l0'))), 4, 1);
    c = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
    h = tf.mul(tf.sigmoid(o), tf.tanh(c));
    return h;
  });
  return dense(tf.concat(outputs, 0), 'head');
}

// ---------------------------------------------------------------- workloads

const optimizer = {
  W2: () => tf.train.sgd(0.1),
  W3: () => tf.train.sgd(0.1),
  W4t: () => tf.train.momentum(0.05, 0.9),
  W5: () => tf.train.adam(1e-3, 0.9, 0.999, 1e-8),
  W6: () => tf.train.adam(1e-3, 0.9, 0.999, 1e-8),
}[name]?.();
const trained = [...params.values()].filter((p) => p instanceof tf.Variable);

const images = (shape) => tf.keep(tf.transpose(tf.tensor(data.x, shape), [0, 2, 3, 1]));
const oneHot = (values, n) => tf.keep(tf.cast(tf.oneHot(tf.tensor1d(values, 'int32'), n), 'float32'));
/** [batch, time] as rows of [time, batch]. */
const byTime = (values, batch, T) => Int32Array.from(values, (_, i) => values[(i % batch) * T + Math.floor(i / batch)]);

function step(loss, after = () => {}) {
  return () => {
    const value = tf.tidy(() => {
      if (name === 'W5') for (const p of trained) p.assign(tf.mul(p, 1 - 1e-3 * 0.01));
      const { value: result, grads } = tf.variableGrads(loss, trained);
      optimizer.applyGradients(grads);
      return result;
    });
    after();
    const [number] = value.dataSync();
    value.dispose();
    return number;
  };
}

const infer = (forward) => () => {
  const y = tf.tidy(forward);
  const host = y.dataSync();
  y.dispose();
  return host;
};

if (side !== null) {
  const [a, b] = factors.map((v) => tf.tensor(v, [side, side]));
  await report(
    infer(() => tf.matMul(a, b)),
    () => tf.matMul(a, b).dispose(),
  );
} else if (name === 'W2') {
  const [x, y] = [tf.tensor(data.x, [128, 784]), oneHot(data.y, 10)];
  await report(step(() => crossEntropy(mlp(x), y)));
} else if (name === 'W3') {
  const [x, y] = [images(workload.input.shape), oneHot(data.y, 10)];
  await report(step(() => crossEntropy(lenet(x), y)));
} else if (name === 'W3i') {
  await report(infer(() => lenet(tf.tensor(data.x, [1, 28, 28, 1]))));
} else if (name === 'W4') {
  const x = images(workload.input.shape).dataSync();
  await report(infer(() => resnet(tf.tensor(x, [1, 224, 224, 3]), false).logits));
} else if (name === 'W4t') {
  const [x, y] = [images(workload.input.shape), oneHot(data.y, 10)];
  const statistics = new Map([...params].filter(([key]) => /running/.test(key)));
  await report(
    step(() => {
      const { logits, running } = resnet(x, true);
      for (const [key, mean, variance, unbiased] of running)
        for (const [kind, value] of [
          ['mean', mean],
          ['var', tf.mul(variance, unbiased)],
        ]) {
          const old = statistics.get(`${key}.running_${kind}`);
          statistics.set(`${key}.running_${kind}`, tf.keep(tf.add(tf.mul(old, 0.9), tf.mul(value, 0.1))));
          old.dispose();
        }
      return crossEntropy(logits, y);
    }),
  );
} else if (name === 'W5') {
  const [x, y] = [oneHot(data.x, 65), oneHot(data.y, 65)];
  await report(step(() => crossEntropy(gpt(x, 8), y)));
} else if (name === 'W5i') {
  await report(infer(() => gpt(tf.cast(tf.oneHot(tf.tensor1d(data.x, 'int32'), 65), 'float32'), 1)));
} else if (name === 'W6') {
  const [x, y] = [data.x, data.y].map((v) => oneHot(byTime(v, 32, 32), 65));
  await report(step(() => crossEntropy(lstm(x), y)));
}
