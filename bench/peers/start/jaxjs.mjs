/** First output of LeNet with jax-js on WebAssembly. */
import { defaultDevice, init, lax, nn, numpy as np } from '@jax-js/jax';
import { image, weights } from './weights.mjs';

await init('wasm');
defaultDevice('wasm');
const get = (key) => np.array(weights.get(key).data).reshape(weights.get(key).shape);
const conv = (x, key, pad, channels, size) => {
  const z = lax.convGeneralDilated(
    x,
    get(`${key}.weight`),
    [1, 1],
    [
      [pad, pad],
      [pad, pad],
    ],
  );
  const a = nn.sigmoid(z.add(get(`${key}.bias`).reshape([1, channels, 1, 1])));
  return a.reshape([1, channels, size / 2, 2, size / 2, 2]).mean([3, 5]);
};
const dense = (x, key) => np.matmul(x, np.matrixTranspose(get(`${key}.weight`))).add(get(`${key}.bias`));
const y = conv(conv(np.array(image).reshape([1, 1, 28, 28]), 'conv1', 2, 6, 28), 'conv2', 0, 16, 10).reshape([1, 400]);
console.log(dense(nn.sigmoid(dense(nn.sigmoid(dense(y, 'fc1')), 'fc2')), 'fc3').dataSync()[0]);
