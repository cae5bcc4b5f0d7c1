/** What is timed on a GPU: products, convolutions, memory traffic, training steps. */
import { readFileSync } from 'node:fs';
import { rand, tensor, type Tensor } from '../src/runtime/index.ts';

export interface Work {
  readonly name: string;
  readonly source: string;
  /** A training step, else `forward`. */
  readonly step: boolean;
  readonly inputs: () => Tensor[];
  /** Of one call; what is not counted is 0. */
  readonly flops: number;
  readonly bytes: number;
  /** For bench/torch_gpu.py; null where it has no counterpart. */
  readonly torch: readonly (string | number)[] | null;
}

/** `small`: what a GPU in software does in seconds. */
export function works(small: boolean): Work[] {
  const gemm = (n: number): Work => ({
    name: `GEMM ${n}`,
    source: `export block Bench { forward(a: f32[${n}, ${n}], b: f32[${n}, ${n}]) -> f32[${n}, ${n}] => a @ b }`,
    step: false,
    inputs: () => [rand([n, n]), rand([n, n])],
    flops: 2 * n ** 3,
    bytes: 0,
    torch: ['gemm', n],
  });
  const conv = (b: number, c: number, side: number): Work => ({
    name: `convolution 3x3, ${b} x ${c} x ${side} x ${side}`,
    source: `export block Bench {
      forward(x: f32[${b}, ${c}, ${side}, ${side}], w: f32[${c}, ${c}, 3, 3]) -> f32[${b}, ${c}, ${side}, ${side}] =>
        conv2d(x, w, padding: 1)
    }`,
    step: false,
    inputs: () => [rand([b, c, side, side]), rand([c, c, 3, 3])],
    flops: 2 * b * c * side * side * c * 9,
    bytes: 0,
    torch: ['conv', b, c, side],
  });
  const flat = (name: string, body: string, type: string, n: number, bytes: number): Work => ({
    name: `${name} of ${n}`,
    source: `export block Bench { forward(x: f32[${n}]) -> ${type} => ${body} }`,
    step: false,
    inputs: () => [rand([n])],
    flops: 0,
    bytes,
    torch: [name, n],
  });
  const batch = small ? 8 : 256;
  const lenet: Work = {
    name: `LeNet step, batch ${batch}`,
    source: text('./networks/lenet.net'),
    step: true,
    inputs: () => [rand([batch, 1, 28, 28]), tensor(new Int32Array(batch))],
    flops: 0,
    bytes: 0,
    torch: ['lenet', batch],
  };
  const [sequences, length] = small ? [2, 8] : [16, 16];
  const gpt: Work = {
    name: `GPT step, ${sequences} x ${length} tokens`,
    source: text('../test/networks/gpt2_mini.net'),
    step: true,
    inputs: () => [tensor(new Int32Array(sequences * length), { shape: [sequences, length] })],
    flops: 0,
    bytes: 0,
    torch: null,
  };
  const n = small ? 1 << 18 : 1 << 25;
  return [
    ...(small ? [64, 128] : [1024, 2048, 4096, 8192]).map(gemm),
    ...(small ? [conv(1, 8, 14)] : [conv(32, 64, 56), conv(32, 256, 14)]),
    flat('elementwise', 'x * 2.0 + 1.0', `f32[${n}]`, n, 8 * n),
    flat('sum', 'sum(x)', 'f32[]', n, 4 * n),
    lenet,
    gpt,
  ];
}

const text = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
