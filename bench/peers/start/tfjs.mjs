/** First output of LeNet with TensorFlow.js on WebAssembly, from its parts so that a page loads what it needs. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { image, weights } from './weights.mjs';

// Where this runs in Node; a page serves the file beside the bundle.
if (globalThis.process?.env.TFJS_WASM) setWasmPaths(globalThis.process.env.TFJS_WASM);
await tf.setBackend('wasm');
await tf.ready();
const get = (key) => {
  const { data, shape } = weights.get(key);
  const t = tf.tensor(data, shape);
  return shape.length === 4 ? tf.transpose(t, [2, 3, 1, 0]) : shape.length === 2 ? tf.transpose(t) : t;
};
const conv = (x, key, pad) =>
  tf.avgPool(tf.sigmoid(tf.add(tf.conv2d(x, get(`${key}.weight`), 1, pad), get(`${key}.bias`))), 2, 2, 'valid');
const dense = (x, key) => tf.add(tf.matMul(x, get(`${key}.weight`)), get(`${key}.bias`));
const y = conv(conv(tf.tensor(image, [1, 28, 28, 1]), 'conv1', 'same'), 'conv2', 'valid');
const flat = tf.reshape(tf.transpose(y, [0, 3, 1, 2]), [1, 400]);
console.log(dense(tf.sigmoid(dense(tf.sigmoid(dense(flat, 'fc1')), 'fc2')), 'fc3').dataSync()[0]);
