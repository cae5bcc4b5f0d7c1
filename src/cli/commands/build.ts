/** `netwright build`: writes the typed module, or prints what the compiler made on the way. */
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import pc from 'picocolors';
import type { StaticValue } from '../../check/elaborated.ts';
import type { KernelLimits } from '../../codegen/limits.ts';
import type { TargetName } from '../../compile.ts';
import { writeModule } from '../../codegen/module/index.ts';
import { printKernel } from '../../codegen/print.ts';
import { printModule } from '../../ir/print.ts';
import { PASS_NAMES } from '../../ir/pipeline.ts';
import { thisMachine } from '../../runtime/index.ts';
import { writeFileAtomic } from '../../runtime/node/files.ts';
import { buildC } from '../standalone.ts';
import { buildNative } from '../build-native.ts';
import { fault } from '../fault.ts';
import { GPU_LIMIT, NO_TUNE, TUNE, dimSetting, gpuLimit, setting, targetOption, trainSetting } from '../options.ts';
import { checkOutput } from '../output.ts';
import { compileFile } from '../program.ts';
import { wasmFor } from '../../runtime/fma.ts';
import { wasmText } from '../wat.ts';

interface BuildOptions {
  readonly block?: string;
  readonly set?: Record<string, StaticValue>;
  readonly train?: Record<string, string>;
  readonly out?: string;
  readonly js?: boolean;
  readonly dump?: string;
  readonly emit?: 'ir' | 'kernels' | 'wat' | 'wgsl' | 'c' | 'ts';
  readonly check?: boolean;
  readonly verify?: boolean;
  readonly target: readonly TargetName[] | 'c';
  readonly native?: boolean;
  readonly dim?: Readonly<Record<string, number>>;
  readonly gpuLimit?: Partial<KernelLimits>;
  readonly json?: boolean;
  readonly tune?: string | boolean;
}

export function buildCommand(): Command {
  return new Command('build')
    .description('Writes FILE.ts: a typed module with the compiled kernels, which needs only netwright/runtime.')
    .argument('<file>', 'a .net file')
    .option('--block <name>', 'only this exported block')
    .option('--set <name=value>', 'a hyper-parameter of the block (repeatable)', setting)
    .option(
      '--train <name=value>',
      'a setting of its train block, or of its optimizer, such as lr=0.01 or schedule="cosine_lr(1000)" (repeatable)',
      trainSetting,
    )
    .option('-o, --out <file>', 'where to write (default: FILE.ts beside the source)')
    .option('--js', 'write FILE.js and FILE.d.ts instead of FILE.ts')
    .option('--check', 'write nothing; fail when what is on the disk is stale')
    .addOption(
      new Option('--dump <pass>', 'print the IR after a pass and write nothing').conflicts([
        'emit',
        'check',
        'out',
        'js',
      ]),
    )
    .addOption(
      new Option('--emit <what>', 'print and write nothing')
        .choices(['ir', 'kernels', 'wat', 'wgsl', 'c', 'ts'])
        .conflicts(['check', 'out', 'js']),
    )
    .option(
      '--target <list>',
      'what the module can run on: wasm (always), webgpu, native; joined by commas. WebGPU adds its shaders to the module, native its C. Or c alone: FILE.c, FILE.h and an example of a main program, for any C99 compiler',
      targetOption,
      ['wasm'],
    )
    .option('--native', 'target native too, and compile its C for this machine now: `auto` will use it')
    .option(
      '--dim <name=n>',
      'with --target c, fixes a size, such as B=32 (repeatable); the others are arguments of its functions, which work in memory of their caller',
      dimSetting,
    )
    .option('--gpu-limit <name=n>', GPU_LIMIT, gpuLimit)
    .option(...TUNE)
    .option(...NO_TUNE)
    .option('--verify', 'check the legality of the IR after every pass')
    .option('--json', 'faults as JSON on standard output')
    .addHelpText(
      'after',
      '\nExamples:\n  netwright build examples/lenet.net\n  netwright build examples/lenet.net --emit ir\n  netwright build examples/lenet.net --dump fuse',
    )
    .action(async (file: string, options: BuildOptions) => {
      if (options.dump !== undefined && !PASS_NAMES.includes(options.dump)) {
        throw fault('unknown_pass', { name: options.dump, passes: PASS_NAMES.join(', ') });
      }
      if (options.target === 'c') return buildC(file, options);
      checkExtension(options);
      const targets = targetsOf(options);
      const machine = targets.includes('native') ? await thisMachine() : null;
      const compiled = compileFile(file, options, {
        verify: options.verify ?? false,
        targets,
        ...(machine && { machine }),
        gpuLimits: options.gpuLimit ?? {},
        onPass: (pass, module) => {
          if (pass === options.dump) process.stdout.write(printModule(module));
        },
      });
      if (options.dump !== undefined) return;
      if (options.emit !== undefined && options.emit !== 'ts') {
        for (const block of compiled.blocks) {
          if (options.emit === 'ir') process.stdout.write(printModule(block.ir));
          else if (options.emit === 'kernels')
            for (const k of block.kernels) process.stdout.write(`${printKernel(k)}\n`);
          else if (options.emit === 'wgsl')
            for (const k of block.artifact.webgpu?.kernels ?? []) process.stdout.write(`${k.code}\n`);
          else if (options.emit === 'c')
            for (const unit of block.artifact.native?.units ?? []) process.stdout.write(unit);
          else process.stdout.write(await wasmText(wasmFor(block.artifact.wasm, 'relaxed')));
        }
        return;
      }
      const written = writeModule(
        compiled.blocks.map((b) => b.artifact),
        { source: basename(compiled.path) },
      );
      if (options.emit === 'ts') {
        process.stdout.write(written.ts);
        return;
      }
      if (options.native) await buildNative(compiled.blocks.map((b) => b.artifact));
      const base = options.out ?? `${join(compiled.root, compiled.path)}${options.js ? '.js' : '.ts'}`;
      const files = options.js
        ? [[base, written.js] as const, [base.replace(/\.(m?)js$/, '.d.$1ts'), written.dts] as const]
        : [[base, written.ts] as const];
      for (const [path, text] of files) {
        if (!options.check) checkOutput(path, [file]);
        const same =
          statSync(path, { throwIfNoEntry: false })?.isFile() === true && readFileSync(path, 'utf8') === text;
        if (options.check) {
          if (!same) throw fault('stale_output', { path, source: compiled.path });
        } else if (same) {
          process.stdout.write(`${pc.dim('unchanged')} ${path}\n`);
        } else {
          await writeFileAtomic(path, text);
          process.stdout.write(`${pc.green('wrote')} ${path} (${(text.length / 1024).toFixed(0)} kB)\n`);
        }
      }
    });
}

function targetsOf({ emit, target, native }: BuildOptions): readonly TargetName[] {
  if (target === 'c') return ['wasm'];
  if (emit === 'wgsl') return [...target, 'webgpu'];
  return native || emit === 'c' ? [...target, 'native'] : target;
}

/** TypeScript in a file called .js, or declarations over the module they belong to, would only be noticed much later. */
function checkExtension({ out, js }: BuildOptions): void {
  if (out === undefined) return;
  if (js && !/\.m?js$/.test(out))
    throw fault('wrong_usage', { problem: `--js writes JavaScript: ${out} must end in .js or .mjs` });
  if (!js && !/\.m?ts$/.test(out))
    throw fault(
      'wrong_usage',
      { problem: `${out} must end in .ts or .mts` },
      'for JavaScript with declarations add --js',
    );
}
