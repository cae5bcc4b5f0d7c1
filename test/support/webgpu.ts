/** A WebGPU device without a driver (Dawn's null back end): it validates shaders and pipelines and runs nothing. */

interface Null {
  readonly gpu: GPU;
  readonly device: GPUDevice;
}

// Dawn's object must stay reachable for the life of the process: when it is collected the process dies.
let kept: Promise<Null | null> | null = null;

/** null where the package `webgpu` is not installed or has no adapter. */
export function nullDevice(): Promise<Null | null> {
  kept ??= open();
  return kept;
}

async function open(): Promise<Null | null> {
  try {
    const { create } = await import('webgpu');
    const gpu = create(['backend=null']);
    const adapter = await gpu.requestAdapter();
    return adapter ? { gpu, device: await adapter.requestDevice() } : null;
  } catch {
    return null;
  }
}

/** What is wrong with a shader and its pipeline, or null. */
export async function shaderFault(device: GPUDevice, code: string): Promise<string | null> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const error = await device.popErrorScope();
  return error && error.message;
}

/** What is wrong with the code alone: for kernels with more buffers than a pipeline may bind. */
export async function moduleFault(device: GPUDevice, code: string): Promise<string | null> {
  device.pushErrorScope('validation');
  device.createShaderModule({ code });
  const error = await device.popErrorScope();
  return error && error.message;
}
