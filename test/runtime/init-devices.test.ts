/** Initialisers on every device and element type: the values of f32 on the cpu, rounded to the type. */
import test, { type ExecutionContext } from 'ava';
import {
  apply,
  compile,
  device,
  init,
  initialise,
  tensor,
  thisMachine,
  UsageError,
  zeros,
  type Elem,
} from '../../src/index.ts';
import { onNative } from '../support/native.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const native = await onNative();
const gpu = await onAdapter();

const SOURCE = `
import { BatchNorm1d, Linear } from "std/nn"
export block Net {
  net = seq { Linear(4, 6); BatchNorm1d(6); relu; Linear(6, 8, bias: false) }
  head = Linear(6, 8, bias: false)
  tie head.weight = net.3.weight
  param half: f16[3, 4] ~ zeros()
  param brief: bf16[3, 4] ~ zeros()
  buffer counts: i32[2] ~ zeros()
  forward(x: f32[B, 4]) -> f32[B, 8] => net(x)
}`;
const RULES = [
  ['Linear.weight', 'orthogonal(gain: 2.0)'],
  ['half', 'normal(0.0, 3.0)'],
  ['brief', 'uniform(-2.0, 5.0)'],
  ['counts', 'constant(7.0)'],
  ['**.running_var', 'constant(2.0)'],
] as const;

const read = async (t: { read(): Promise<ArrayLike<number>> }): Promise<number[]> => Array.from(await t.read());

async function applied(where: string): Promise<[string, number[]][]> {
  const machine = await thisMachine();
  const targets = where === 'cpu' ? (['wasm'] as const) : (['wasm', where === 'native' ? 'native' : 'webgpu'] as const);
  const { blocks, diagnostics } = compile(SOURCE, { targets, ...(machine && { machine }) });
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const model = await blocks['Net'].create({ seed: 3, device: where });
  for (const [selector, rule] of RULES) await apply(model, selector, rule);
  return Promise.all(
    [...model.state_dict()].map(async ([name, x]): Promise<[string, number[]]> => [name, await read(x)]),
  );
}

async function sameAsCpu(t: ExecutionContext, where: string): Promise<void> {
  t.deepEqual(await applied(where), await applied('cpu'));
  const on = await device(where);
  const alone = zeros([4, 3], { device: on });
  t.is(await init.xavier_normal(alone, { seed: 2 }), alone);
  t.deepEqual(await read(alone), await read(await init.xavier_normal(zeros([4, 3]), { seed: 2 })));
}

test('selected tensors of a model, in 16 bits and as integers', async (t) => {
  const values = new Map(await applied('cpu'));
  t.deepEqual(values.get('counts'), [7, 7]);
  t.deepEqual(values.get('net.1.running_var'), [2, 2, 2, 2, 2, 2]);
  t.deepEqual(values.get('head.weight'), values.get('net.3.weight'));
  for (const [name, rule, dtype] of [
    ['half', 'normal(0.0, 3.0)', 'f16'],
    ['brief', 'uniform(-2.0, 5.0)', 'bf16'],
  ] as const) {
    const wide = await read(await initialise(zeros([3, 4]), rule, { seed: 3, path: name }));
    t.deepEqual(values.get(name), await read(tensor(wide, { dtype })), name);
    t.notDeepEqual(values.get(name), wide, name);
  }
});

test('tensors alone of every element type; what a type cannot hold is refused and changes nothing', async (t) => {
  for (const dtype of ['f32', 'f16', 'bf16'] as const) {
    const x = await init.normal(zeros([50], { dtype }), { mean: 1, std: 0.1, seed: 4 });
    const wide = await read(await init.normal(zeros([50]), { mean: 1, std: 0.1, seed: 4 }));
    t.deepEqual(await read(x), await read(tensor(wide, { dtype })), dtype);
  }
  for (const dtype of ['i32', 'u32', 'bool'] as const)
    t.deepEqual(await read(await init.ones(zeros([3], { dtype }))), [1, 1, 1], dtype);
  for (const [dtype, val] of [
    ['i32', 0.5],
    ['u32', -1],
    ['bool', 2],
  ] as const satisfies readonly (readonly [Elem, number])[]) {
    const x = zeros([3], { dtype });
    await t.throwsAsync(init.constant(x, { val }), { code: 'dtype' }, dtype);
    t.deepEqual(await read(x), [0, 0, 0]);
  }
  await t.throwsAsync(init.xavier_uniform(zeros([3])), { instanceOf: UsageError });
});

native('in native code', sameAsCpu, 'native');
gpu('on a GPU', sameAsCpu, 'webgpu');
