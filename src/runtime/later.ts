/**
 * Functions of modules that are loaded when one of them is called. Something else loads these modules later too, and a bundler puts
 * such a module beside a page's first code as soon as `index.ts` names it, whether the page uses it or not.
 */
import type * as Discover from './native/discover.ts';
import type * as Weights from './weights.ts';

/** For `compile`'s option `machine`: what this computer's compiler makes code for; null where there is none. */
export const thisMachine: typeof Discover.thisMachine = async () =>
  (await import('./native/discover.ts')).thisMachine();

/** Loads weights by name from a file of any format, all or nothing: see `Model.load`. */
export const loadWeights: typeof Weights.loadWeights = async (...args) =>
  (await import('./weights.ts')).loadWeights(...args);

/** Opens a file of weights of any format, by its content: the header is read now, tensors when their `bytes()` are asked for. */
export const openWeights: typeof Weights.openWeights = async (...args) =>
  (await import('./weights.ts')).openWeights(...args);

/** Every tensor of a file, of the nearest element type that the runtime has; names dropped for ties included. */
export const readTensors: typeof Weights.readTensors = async (...args) =>
  (await import('./weights.ts')).readTensors(...args);

/** The state dict as a safetensors file, in pieces, with PyTorch's keys and shapes. */
export const weightsToBytes: typeof Weights.weightsToBytes = async (...args) =>
  (await import('./weights.ts')).weightsToBytes(...args);
