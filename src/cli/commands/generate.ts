/** `netwright generate`: lets a language model over bytes go on with a text. */
import { Command } from 'commander';
import pc from 'picocolors';
import type { StaticValue } from '../../check/elaborated.ts';
import type { MethodEntry, Spec } from '../../runtime/artifact.ts';
import { modelClass, tensor, Tensor, type Device } from '../../runtime/index.ts';
import { cores } from '../../runtime/node/cores.ts';
import { chooseDevice, DEVICE_HELP, sayBuild, THREADS_HELP } from '../device.ts';
import { fault } from '../fault.ts';
import { NO_TUNE, TUNE, positiveInt, setting, wholeNumber } from '../options.ts';
import { compileBlock } from '../program.ts';

interface GenerateOptions {
  readonly block?: string;
  readonly set?: Record<string, StaticValue>;
  readonly weights: string;
  readonly prompt: string;
  readonly method: string;
  readonly arg?: Record<string, StaticValue>;
  readonly seed: number;
  readonly device: string;
  readonly threads?: number;
  readonly tune?: string | boolean;
}

export function generateCommand(): Command {
  return new Command('generate')
    .description(
      'Continues a text with a language model over bytes: calls a method on the bytes of the prompt, prints the bytes it gives.',
    )
    .argument('<file>', 'a .net file')
    .requiredOption('--weights <file>', 'a file of weights (safetensors, PyTorch, NumPy, GGUF)')
    .option('--prompt <text>', 'the text to go on with', '\n')
    .option('--arg <name=value>', 'another argument of the method, a number (repeatable)', setting)
    .option('--method <name>', 'the method to run: from i32[B, T] to i32', 'generate')
    .option('--block <name>', 'which exported block, where there are several')
    .option('--set <name=value>', 'a hyper-parameter of the block (repeatable)', setting)
    .option('--seed <n>', 'of random draws', wholeNumber, 0)
    .option('--device <name>', DEVICE_HELP, 'auto')
    .option(...TUNE)
    .option(...NO_TUNE)
    .option('--threads <n>', THREADS_HELP, positiveInt)
    .addHelpText(
      'after',
      '\nExample:\n  netwright generate examples/char_gpt.net --weights char_gpt.safetensors --prompt "In the" --arg N=40 --arg temperature=0.8',
    )
    .action(async (file: string, options: GenerateOptions) => {
      const chosen = await chooseDevice(options.device);
      const { artifact } = compileBlock(file, options, chosen.compile).block;
      const method = artifact.methods.find((m) => m.name === options.method);
      if (!method)
        throw fault('no_method', {
          name: artifact.name,
          method: options.method,
          methods: artifact.methods.map((m) => `\`${m.name}\``).join(', '),
        });
      const given = options.arg ?? {};
      checkArguments(method, given);
      const device = await chosen.open(artifact);
      const model = await modelClass(artifact).create({
        seed: options.seed,
        device,
        progress: sayBuild,
        threads: options.threads ?? cores(),
      });
      await model.load(options.weights);
      const bytes = new TextEncoder().encode(options.prompt);
      const ids = tensor(Int32Array.from(bytes), { shape: [1, bytes.length], device });
      const rest = method.args.slice(1).map(({ name, spec }) => argument(spec, given[name] as number, device));
      const result = model.call(method.name, [ids, ...rest], { seed: options.seed }) as Tensor;
      process.stdout.write(`${printable(Uint8Array.from(await result.read()))}\n`);
    });
}

/** What the method must be: tokens first, then numbers that are all given, and tokens as the result. */
function checkArguments(method: MethodEntry, given: Readonly<Record<string, StaticValue>>): void {
  const wrong = (problem: string): never => {
    throw fault('wrong_usage', { problem }, `${method.name} takes ${method.signature.join(', ')}`);
  };
  const [tokens, ...rest] = method.args;
  const whole = (spec: Spec | undefined): boolean => spec?.kind === 'tensor' && spec.elem === 'i32' && !spec.size;
  if (!whole(tokens?.spec) || !whole(method.result))
    wrong(`${method.name} does not make tokens, i32, of tokens: a prompt cannot be given to it`);
  for (const { name, spec } of rest) {
    if (spec.kind !== 'tensor' || !(spec.size || spec.shape.length === 0))
      wrong(`argument ${name} of ${method.name} is no single number`);
    if (typeof given[name] !== 'number') wrong(`${method.name} needs a number: --arg ${name}=...`);
  }
  for (const name of Object.keys(given))
    if (!rest.some((a) => a.name === name)) wrong(`${method.name} has no argument ${name} beside the prompt`);
}

const argument = (spec: Spec, value: number, device: Device): number | Tensor =>
  spec.kind === 'tensor' && !spec.size ? tensor([value], { shape: [], dtype: spec.elem, device }) : value;

/** As text; what is no text, or would speak to the terminal, becomes a mark. */
const printable = (bytes: Uint8Array): string =>
  new TextDecoder().decode(bytes).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, pc.dim('\ufffd'));
