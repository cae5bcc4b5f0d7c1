/** A real WebGPU adapter in Node, software ones included, for tests that run kernels. */

// Dawn's object must stay reachable for the life of the process: when it is collected the process dies.
let kept: Promise<{ readonly gpu: GPU; readonly device: GPUDevice } | null> | null = null;

/** null where the package `webgpu` is not installed or finds no adapter. */
export async function adapterDevice(): Promise<GPUDevice | null> {
  kept ??= open();
  return (await kept)?.device ?? null;
}

async function open(): Promise<{ readonly gpu: GPU; readonly device: GPUDevice } | null> {
  try {
    const { create, globals } = await import('webgpu');
    Object.assign(globalThis, globals);
    const gpu = create([]);
    const adapter = await gpu.requestAdapter();
    return adapter ? { gpu, device: await adapter.requestDevice() } : null;
  } catch {
    return null;
  }
}
