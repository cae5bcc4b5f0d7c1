/** The class of one block in a generated module: `create`, its methods with their shapes, its layers as properties. */
import type { Artifact, MethodEntry, MethodForm } from '../../runtime/artifact.ts';
import { canBeMethod } from '../../runtime/model-class.ts';
import { Model } from '../../runtime/model.ts';
import { bindingName, docComment, propertyKey, stringLiteral } from './escape.ts';
import { argumentType, described, LayerTypes, OBJECT_MEMBERS, resultType } from './types.ts';

export type Form = 'ts' | 'js' | 'dts';

/** What every model has; a layer or method of such a name is reached through `get_submodule` or `call`. */
const RESERVED: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Model.prototype),
  ...OBJECT_MEMBERS,
  ...['artifact', 'device', 'seed', 'optimizer', 'ema', 'plateau', 'step', 'microbatch', 'calls'],
]);

/** The constant of the module that holds a block's artifact. */
export const dataName = (artifact: Artifact): string => `$artifact_${bindingName(artifact.name)}`;

const LOSS = "{ readonly loss: $Tensor<'f32', []> }";

/** Interfaces of the layers (but in JavaScript), then the class. */
export function classText(artifact: Artifact, form: Form): string {
  const layers = new LayerTypes(artifact);
  const fields = layers.members(artifact.tree, (name) => RESERVED.has(name));
  if (artifact.train) fields.push({ key: 'optimizer', type: '$Optimizer', doc: '' });
  if (artifact.train?.settings.ema !== undefined)
    fields.push({ key: 'ema', type: "NonNullable<$Model['ema']>", doc: '' });
  if (artifact.train?.plateau) fields.push({ key: 'plateau', type: "NonNullable<$Model['plateau']>", doc: '' });
  const name = bindingName(artifact.name);
  const exported = name === artifact.name;
  const members = [
    ...(form === 'js'
      ? []
      : fields.map((f) => `${f.doc}  ${form === 'ts' ? 'declare ' : ''}readonly ${f.key}: ${f.type};\n`)),
    ...created(artifact, name, form),
    ...artifact.methods.filter((m) => !RESERVED.has(m.name) && canBeMethod(m.name)).map((m) => method(m, form)),
    ...training(artifact, form),
  ];
  const head = `${exported ? 'export ' : ''}${form === 'dts' ? 'declare ' : ''}class ${name} extends $Model {\n`;
  const alias = exported ? '' : `export { ${name} as ${stringLiteral(artifact.name)} };\n`;
  const types = form === 'js' ? '' : layers.declarations.map((d) => `${d}\n`).join('');
  return `${types}${docComment(described(artifact.doc, artifact.hyper))}${head}${members.join('')}}\n${alias}`;
}

function created(artifact: Artifact, name: string, form: Form): string[] {
  const doc = docComment('Compiles the kernels for the device and draws the initial values from the seed.', '  ');
  const data = dataName(artifact);
  switch (form) {
    case 'js':
      return [
        `  static artifact = ${data};\n\n`,
        `${doc}  static create(options) {\n    return $Model.build(${name}, ${data}, options);\n  }\n`,
      ];
    case 'ts':
      return [
        `  static readonly artifact: $Artifact = ${data};\n\n`,
        `${doc}  static create(options?: $CreateOptions): Promise<${name}> {\n    return $Model.build(${name}, ${data}, options);\n  }\n`,
      ];
    case 'dts':
      return [
        `  static readonly artifact: $Artifact;\n`,
        `${doc}  static create(options?: $CreateOptions): Promise<${name}>;\n`,
      ];
  }
}

function method(m: MethodEntry, form: Form): string {
  const names = parameterNames(m);
  const call = `this.call(${stringLiteral(m.name)}, [${names.join(', ')}], options)`;
  const doc = docComment(m.doc, '  ');
  if (form === 'js') {
    return `\n${doc}  ${propertyKey(m.name)}(${[...names, 'options'].join(', ')}) {\n    return ${call};\n  }\n`;
  }
  const forms = [m, ...m.forms];
  const results = [...new Set(forms.map((f) => resultType(f.result)))];
  const heads =
    results.length === 1
      ? [`${signature(m, names, 'CallOptions')}: ${results[0]}`]
      : forms.map((f) => `${signature(m, names, 'CallOptions', f)}: ${resultType(f.result)}`);
  const key = `  ${propertyKey(m.name)}`;
  if (form === 'dts') return heads.map((h) => `${doc}${key}${h};\n`).join('');
  if (heads.length === 1) return `\n${doc}${key}${heads[0]} {\n    return ${call} as ${results[0]};\n  }\n`;
  const list = [...names.map((n) => `${n}?: unknown`), 'options?: $CallOptions'].join(', ');
  const body = `${key}(${list}): unknown {\n    return ${call};\n  }\n`;
  return `\n${heads.map((h) => `${doc}${key}${h};\n`).join('')}${body}`;
}

/** `train_step` and `backward` with the loss method's arguments, where the block can be trained. */
function training(artifact: Artifact, form: Form): string[] {
  const has = (name: string): boolean => artifact.programs.some((p) => p.name === name);
  const loss = artifact.methods.find((m) => m.name === (artifact.train?.loss ?? 'loss'));
  if (form === 'js' || !loss || !has('backward')) return [];
  const names = parameterNames(loss);
  const out: string[] = [];
  if (artifact.train && has('train_step')) {
    const doc = docComment(
      'One step of the `train` block: forward, backward and update. Gives the loss before it.',
      '  ',
    );
    const head = `${doc}  ${form === 'ts' ? 'override ' : ''}train_step${signature(loss, names, 'StepOptions')}: ${LOSS}`;
    const body = `{\n    return super.train_step(${names.map((n) => `${n}, `).join('')}...(options ? [options] : []));\n  }\n`;
    out.push(form === 'ts' ? `\n${head} ${body}` : `${head};\n`);
  }
  const doc = docComment('Fills `.grad` of every trained parameter (training mode). Gives the loss.', '  ');
  const head = `${doc}  ${form === 'ts' ? 'override ' : ''}backward${signature(loss, names)}: ${LOSS}`;
  out.push(form === 'ts' ? `\n${head} {\n    return super.backward(${names.join(', ')});\n  }\n` : `${head};\n`);
  return out;
}

function parameterNames(m: MethodEntry): string[] {
  return m.signature.map((name) => (name === 'options' ? 'options_' : bindingName(name)));
}

/**
 * `<S1 extends $Shape>(x: $Input<'f32', [number, 10], S1>, options?: $CallOptions)`: of one form, or, where that makes no
 * difference to the result, of all at once.
 */
function signature(m: MethodEntry, names: readonly string[], options?: string, form?: MethodForm): string {
  const shapes: string[] = [];
  const every = new Map([m, ...m.forms].flatMap((f) => f.args.map((a) => [a.name, a.spec])));
  const required = new Set(m.args.map((a) => a.name));
  const last = Math.max(-1, ...(form?.args ?? m.args).map((a) => m.signature.indexOf(a.name)));
  const list = m.signature.map((name, i) => {
    const open = i > last ? '?' : '';
    const type = (): string => argumentType(every.get(name)!, shapes);
    if (form && !form.args.some((a) => a.name === name)) return `${names[i]}${open}: null | undefined`;
    return form || required.has(name) ? `${names[i]}: ${type()}` : `${names[i]}${open}: ${type()} | null | undefined`;
  });
  if (options) list.push(`options?: $${options}`);
  const generic = shapes.length > 0 ? `<${shapes.map((s) => `${s} extends $Shape`).join(', ')}>` : '';
  return `${generic}(${list.join(', ')})`;
}
