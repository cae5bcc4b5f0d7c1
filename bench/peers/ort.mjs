/**
 * ONNX Runtime, `--backend node` (native) or `web` (WebAssembly), on files of export_onnx.py:
 * `node bench/peers/ort.mjs W4 --backend node --threads 1`. It has no training.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { backend, data, factors, name, report, side, threads, workload } from './report.mjs';

const folder = fileURLToPath(new URL('../out/onnx/', import.meta.url));
const python = process.env.NETWRIGHT_PYTHON ?? 'python3';
execFileSync(python, [fileURLToPath(new URL('export_onnx.py', import.meta.url)), folder, name], {
  stdio: ['ignore', 'ignore', 'pipe'],
});

const ort = await import(backend === 'node' ? 'onnxruntime-node' : 'onnxruntime-web');
if (backend === 'web') ort.env.wasm.numThreads = threads;
const session = await ort.InferenceSession.create(`${folder}${name}.onnx`, {
  executionProviders: [backend === 'node' ? 'cpu' : 'wasm'],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
});

if (side !== null) {
  const [a, b] = factors.map((v) => new ort.Tensor('float32', v, [side, side]));
  const call = async () => (await session.run({ a, b })).y.data;
  await report(call, call);
} else {
  const tokens = workload.input.kind === 'tokens';
  const values = tokens ? BigInt64Array.from(data.x, BigInt) : data.x;
  const { shape } = workload.input;
  await report(
    async () => (await session.run({ x: new ort.Tensor(tokens ? 'int64' : 'float32', values, shape) })).y.data,
  );
}
