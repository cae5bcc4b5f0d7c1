/** What a page loads of ONNX Runtime Web for LeNet; only its size is measured. */
import * as ort from 'onnxruntime-web/wasm';
import { image } from './weights.mjs';

const session = await ort.InferenceSession.create('lenet.onnx');
console.log((await session.run({ x: new ort.Tensor('float32', image, [1, 1, 28, 28]) })).y.data[0]);
