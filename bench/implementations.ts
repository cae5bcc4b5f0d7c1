/** Who is measured: how each implementation is called on a workload. All print the fields of `Measured` as one line of JSON. */

import type { Vectors } from './ceiling.ts';

export interface Implementation {
  readonly name: string;
  /** What it computes with: its figures are shares of that ceiling. */
  readonly vectors: Vectors;
  readonly takes: (workload: string) => boolean;
  readonly command: (workload: string, seconds: string) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const node = process.execPath;
const python = process.env['NETWRIGHT_PYTHON'] ?? 'python3';
const any = (): boolean => true;
const INFERENCE = /^W1|i$|^W4$/;

export function implementations(threads: number): Implementation[] {
  const own = (name: string, device: string, vectors: Vectors, flags: readonly string[] = []): Implementation => ({
    name: `Netwright ${name}`,
    vectors,
    takes: any,
    command: (w, seconds) => [
      node,
      ...flags,
      'bench/measure.ts',
      w,
      '--device',
      device,
      '--threads',
      String(threads),
      '--seconds',
      seconds,
    ],
  });
  const torch = (variant: string): Implementation => ({
    name: `PyTorch ${variant}`,
    vectors: 'native',
    takes: (w) => variant === 'eager' || !w.startsWith('W1'),
    command: (w, seconds) => [
      python,
      'bench/peers/torch_bench.py',
      w,
      '--threads',
      String(threads),
      '--variant',
      variant,
      '--seconds',
      seconds,
    ],
  });
  const script = (
    name: string,
    vectors: Vectors,
    file: string,
    takes: (w: string) => boolean,
    flags: readonly string[],
  ): Implementation => ({
    name,
    vectors,
    takes,
    command: (w, seconds) => [
      node,
      `bench/peers/${file}`,
      w,
      '--seconds',
      seconds,
      '--threads',
      String(threads),
      ...flags,
    ],
  });
  return [
    own('WebAssembly', 'cpu', 'wasm'),
    own('WebAssembly, revectorized', 'cpu', 'paired', ['--experimental-wasm-revectorize']),
    own('native', 'native', 'native'),
    torch('eager'),
    torch('eager-cl'),
    torch('compile'),
    torch('compile-max'),
    script('ONNX Runtime Node', 'native', 'ort.mjs', (w) => INFERENCE.test(w), ['--backend', 'node']),
    script('ONNX Runtime Web', 'wasm', 'ort.mjs', (w) => INFERENCE.test(w), ['--backend', 'web']),
    // Neither has threads in Node; jax-js takes ten seconds for a call of a ResNet.
    script('TensorFlow.js', 'wasm', 'tfjs.mjs', () => threads === 1, []),
    script('jax-js', 'wasm', 'jaxjs.mjs', (w) => threads === 1 && !w.startsWith('W4'), []),
  ];
}
