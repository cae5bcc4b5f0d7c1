/** The reference networks on WebGPU against PyTorch, with the tolerances of the cpu. */
import { onWebGpu } from '../support/machines.ts';
import { referenceTests } from '../support/reference-tests.ts';
import { onAdapter } from '../support/webgpu-device.ts';

referenceTests('webgpu', onWebGpu, await onAdapter());
