/**
 * Registers that neighbouring invocations of a workgroup can read of each other. Printed shaders carry definitions that every
 * device takes, with which they never do; a device that can exchanges them for those that do.
 */
import { BUFFER, MAP_READ } from './constants.ts';

const ELEMENTS = ['f32', 'i32', 'u32', 'bool'];

const definitions = (subgroup: number, passed: (elem: string) => string): string =>
  [
    `const subgroup: i32 = ${subgroup};`,
    ...ELEMENTS.map((e) => `fn passed_${e}(v: ${e}, by: i32) -> ${e} { return ${passed(e)}; }`),
  ].join('\n');

/** What a printed shader that combines across a workgroup says. */
export const PLAIN = definitions(1, () => 'v');

/** The shader for a device whose subgroups have at least so many lanes. */
export function withSubgroups(code: string, lanes: number): string {
  if (lanes === 1 || !code.includes(PLAIN)) return code;
  const passed = (elem: string): string =>
    elem === 'bool' ? 'subgroupShuffleDown(u32(v), u32(by)) != 0u' : 'subgroupShuffleDown(v, u32(by))';
  return `enable subgroups;\n${code.replace(PLAIN, definitions(lanes, passed))}`;
}

/** As many as a workgroup of ours has. */
const INVOCATIONS = 256;

/** Each invocation says whether it is where it would be if subgroups were cut from the workgroup in order. */
const probe = (lanes: number): string => `enable subgroups;
@group(0) @binding(0) var<storage, read_write> seen: array<u32>;
@compute @workgroup_size(${INVOCATIONS})
fn main(@builtin(local_invocation_index) local: u32, @builtin(subgroup_invocation_id) lane: u32, @builtin(subgroup_size) size: u32) {
  var right = size >= ${lanes}u && lane == local % size;
  for (var by = ${lanes / 2}u; by > 0u; by /= 2u) {
    let other = subgroupShuffleDown(local, by);
    right = right && (lane + by >= size || other == local + by);
  }
  seen[local] = u32(right);
}
`;

/**
 * How many invocations, from the first of a workgroup on, are in one subgroup in their order: WebGPU promises no such order,
 * so the device is asked once. 1 where it has no subgroups, or others.
 */
export async function subgroupOf(gpu: GPUDevice): Promise<number> {
  const lanes = gpu.features.has('subgroups') ? Math.min(gpu.adapterInfo.subgroupMinSize, INVOCATIONS / 2) : 1;
  if (lanes < 2) return 1;
  const bytes = 4 * INVOCATIONS;
  gpu.pushErrorScope('validation');
  const seen = gpu.createBuffer({ size: bytes, usage: BUFFER.STORAGE | BUFFER.COPY_SRC });
  const copy = gpu.createBuffer({ size: bytes, usage: BUFFER.COPY_DST | BUFFER.MAP_READ });
  try {
    const module = gpu.createShaderModule({ label: 'subgroups', code: probe(lanes) });
    const pipeline = gpu.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
    const entries = [{ binding: 0, resource: { buffer: seen } }];
    const commands = gpu.createCommandEncoder();
    const pass = commands.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    commands.copyBufferToBuffer(seen, 0, copy, 0, bytes);
    gpu.queue.submit([commands.finish()]);
    await copy.mapAsync(MAP_READ);
    return new Uint32Array(copy.getMappedRange()).every((right) => right === 1) ? lanes : 1;
  } catch {
    return 1; // what ails the device shows when it is used
  } finally {
    seen.destroy();
    copy.destroy();
    await gpu.popErrorScope().catch(() => null);
  }
}
