/** The kernel of random_bits, run in WebAssembly, against the generator on the host: bit for bit. */
import test from 'ava';
import { WASM } from '../../src/codegen/targets.ts';
import { randomBitsKernel } from '../../src/runtime/kernels/random.ts';
import { randomBits } from '../../src/runtime/rng.ts';
import { opOn } from '../support/op-func.ts';
import { prepare } from '../support/run-kernels.ts';
import { dim } from '../../src/ir/dim.ts';
import { ndarray } from '../../src/ir/ndarray.ts';

for (const n of [0, 1, 3, 15, 16, 17, 64, 65, 1000]) {
  test(`${n} elements`, (t) => {
    const key = [0xdeadbeef, 0x01234567] as const;
    const { op } = opOn('random_bits', { shape: [dim(n)] }, [ndarray('u32', [2], key)]);
    const made = prepare([randomBitsKernel(op, WASM, 'bits')], new Map([[op.operands[0]!, Uint32Array.from(key)]]));
    made.run();
    t.deepEqual(new Uint32Array(made.read(op.results[0]!).buffer), randomBits(key, n));
  });
}
