/** The runtime: everything a generated module and its user need, and nothing of the compiler. */
export { Model, modelClass } from './model.ts';
export type { CallOptions, CreateOptions, DynamicMembers, ModelClass, Result, StepOptions } from './model.ts';
export { Parameter } from './parameter.ts';
export { ModuleNode } from './tree.ts';
export { Optimizer } from './optimizer.ts';
export { rand, randn } from './random.ts';
export type { RandomOptions } from './random.ts';
export { full, ones, Tensor, tensor, zeros } from './tensor.ts';
export type { Input, Nested, Shape, TensorOptions, TensorValues } from './tensor.ts';
export { autoDevice, device, devices } from './devices.ts';
export type { DeviceInfo } from './devices.ts';
export type { Device } from './device.ts';
export * from './errors.ts';
export type { Artifact, Elem } from './artifact.ts';
export { fromBase64 } from './base64.ts';
export { loadWeights, tensorsFromBytes, weightsToBytes } from './weights.ts';
export { loadRun, runToBytes } from './run.ts';
export type { RunPosition } from './run.ts';
