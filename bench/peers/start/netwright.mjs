/** First output of LeNet with Netwright, from the module that `netwright build` writes. */
import { tensor } from 'netwright/runtime';
import { LeNet } from 'lenet';
import { image, weights } from './weights.mjs';

const model = await LeNet.create();
model.load_state_dict(Object.fromEntries([...weights].map(([name, p]) => [name, tensor(p.data, { shape: p.shape })])));
console.log((await model.forward(tensor(image, { shape: [1, 1, 28, 28] })).read())[0]);
