/** `netwright build`: writes the typed module, or prints what the compiler made on the way. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import pc from 'picocolors';
import type { StaticValue } from '../../check/elaborated.ts';
import { writeModule } from '../../codegen/module/index.ts';
import { printKernel } from '../../codegen/print.ts';
import { printModule } from '../../ir/print.ts';
import { PASS_NAMES } from '../../ir/pipeline.ts';
import { writeFileAtomic } from '../../runtime/node/files.ts';
import { fault } from '../fault.ts';
import { setting } from '../options.ts';
import { compileFile } from '../program.ts';
import { wasmText } from '../wat.ts';

interface BuildOptions {
  readonly block?: string;
  readonly set: Record<string, StaticValue>;
  readonly out?: string;
  readonly js?: boolean;
  readonly dump?: string;
  readonly emit?: 'ir' | 'kernels' | 'wat' | 'ts';
  readonly check?: boolean;
  readonly verify?: boolean;
  readonly json?: boolean;
}

export function buildCommand(): Command {
  return new Command('build')
    .description('Writes FILE.ts: a typed module with the compiled kernels, which needs only netwright/runtime.')
    .argument('<file>', 'a .net file')
    .option('--block <name>', 'only this exported block')
    .option('--set <name=value>', 'a hyper-parameter of the block (repeatable)', setting, {})
    .option('-o, --out <file>', 'where to write (default: FILE.ts beside the source)')
    .option('--js', 'write FILE.js and FILE.d.ts instead of FILE.ts')
    .option('--check', 'write nothing; fail when what is on the disk is stale')
    .option('--dump <pass>', 'print the IR after a pass and write nothing')
    .addOption(new Option('--emit <what>', 'print and write nothing').choices(['ir', 'kernels', 'wat', 'ts']))
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
      const compiled = compileFile(file, options, {
        verify: options.verify ?? false,
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
          else process.stdout.write(await wasmText(block.artifact.wasm.relaxed));
        }
        return;
      }
      const written = writeModule(
        compiled.blocks.map((b) => b.artifact),
        { source: compiled.path },
      );
      if (options.emit === 'ts') {
        process.stdout.write(written.ts);
        return;
      }
      const base = options.out ?? `${join(compiled.root, compiled.path)}${options.js ? '.js' : '.ts'}`;
      const files: [string, string][] = options.js
        ? [
            [base, written.js],
            [base.replace(/\.js$/, '.d.ts'), written.dts],
          ]
        : [[base, written.ts]];
      for (const [path, text] of files) {
        if (existsSync(path) && statSync(path).isDirectory())
          throw fault('cannot_write', { path, reason: 'it is a folder' });
        const same = existsSync(path) && readFileSync(path, 'utf8') === text;
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
