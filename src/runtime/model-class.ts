/** Classes for artifacts that were compiled in memory. Generated modules write the same with types. */
import type { Artifact } from './artifact.ts';
import { Model } from './model.ts';
import { optionsOf, type CreateOptions } from './options.ts';
import type { Tensor } from './tensor.ts';

export type ModelClass = {
  readonly artifact: Artifact;
  create(options?: CreateOptions): Promise<Model & DynamicMembers>;
};

/** Methods and layers of a model whose types are not known at compile time. */
export type DynamicMembers = { readonly [name: string]: unknown } & {
  forward(...args: unknown[]): Tensor;
  loss(...args: unknown[]): Tensor;
};

/** May a class have a method of this name? `then` would make a model look like a promise. Others are reached by `call`. */
export const canBeMethod = (name: string): boolean => !(name in Model.prototype) && name !== 'then';

/** A class for an artifact, with its methods. */
export function modelClass(artifact: Artifact): ModelClass {
  class Compiled extends Model {
    static readonly artifact = artifact;
    static create(options?: CreateOptions): Promise<Compiled & DynamicMembers> {
      return Model.build(Compiled, artifact, options) as Promise<Compiled & DynamicMembers>;
    }
  }
  Object.defineProperty(Compiled, 'name', { value: artifact.name });
  for (const m of artifact.methods) {
    if (!canBeMethod(m.name)) continue;
    Object.defineProperty(Compiled.prototype, m.name, {
      value(this: Model, ...args: unknown[]) {
        const options = optionsOf(`${artifact.name}.${m.name}`, m, args);
        return this.call(m.name, args.slice(0, m.signature.length), options);
      },
    });
  }
  return Compiled as unknown as ModelClass;
}
