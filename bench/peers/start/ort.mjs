/** First output of LeNet with ONNX Runtime, native (`ORT=onnxruntime-node`) or WebAssembly, from the file of export_onnx.py. */
import { image } from './weights.mjs';

const ort = await import(process.env.ORT ?? 'onnxruntime-web');
if (ort.env.wasm) ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(process.env.MODEL, { intraOpNumThreads: 1 });
console.log((await session.run({ x: new ort.Tensor('float32', image, [1, 1, 28, 28]) })).y.data[0]);
