/** `netwright summary`: the layers with output shapes, parameters, FLOPs and memory. */
import { Command } from 'commander';
import type { Elaborated, StaticValue } from '../../check/elaborated.ts';
import { listOf } from '../../diagnostics/words.ts';
import type { KernelLimits } from '../../codegen/limits.ts';
import { compileProject, type TargetName } from '../../compile.ts';
import { fault } from '../fault.ts';
import { dimSetting, GPU_LIMIT, gpuLimit, setting, targetList } from '../options.ts';
import { compileFile, openFile } from '../program.ts';
import { controlRows, programsOn, renderControl } from '../summary/control.ts';
import { peakOf, renderPeak } from '../summary/peak.ts';
import { layerCosts } from '../summary/cost.ts';
import { bytesText, flopsText, grouped, renderSummary, summaryRows, totals } from '../summary/table.ts';
import { keptBytes, plannedBytes } from '../../runtime/plan.ts';
import type { Binding } from '../../runtime/sizes.ts';
import { dispatchCount } from '../../runtime/webgpu/schedule.ts';

interface SummaryOptions {
  readonly block?: string;
  readonly set?: Record<string, StaticValue>;
  readonly dim?: Record<string, number>;
  readonly method: string;
  readonly target: readonly TargetName[];
  readonly gpuLimit?: Partial<KernelLimits>;
  readonly peak?: boolean;
  readonly json?: boolean;
}

export function summaryCommand(): Command {
  return new Command('summary')
    .description('Prints the layers: output shape, parameters, FLOPs, memory (as torchinfo does).')
    .argument('<file>', 'a .net file')
    .option('--block <name>', 'only this exported block')
    .option('--set <name=value>', 'a hyper-parameter of the block (repeatable)', setting)
    .option('--dim <NAME=n>', 'a size such as B=256 (repeatable; what is not given stays a symbol, B is 1)', dimSetting)
    .option('--method <name>', 'the method to follow', 'forward')
    .option(
      '--target <list>',
      'what to look at beside wasm: native, or webgpu to count the dispatches of a GPU',
      targetList,
      ['wasm'],
    )
    .option('--gpu-limit <name=n>', GPU_LIMIT, gpuLimit)
    .option('--peak', 'what a training step holds when it needs most memory')
    .option('--json', 'the table as JSON')
    .addHelpText('after', '\nExample:\n  netwright summary examples/resnet18.net --dim B=16')
    .action((file: string, options: SummaryOptions) => {
      const compiled = compileFile(file, options, { targets: options.target, gpuLimits: options.gpuLimit ?? {} });
      const known = new Set(compiled.blocks.flatMap((b) => b.artifact.programs.flatMap((p) => p.symbols)));
      for (const name of Object.keys(options.dim ?? {})) {
        if (!known.has(name))
          throw fault('wrong_usage', {
            problem: `--dim: there is no size ${name}; there is ${listOf([...known], 'and')}`,
          });
      }
      const sizes = new Map(Object.entries({ B: 1, ...options.dim }));
      for (const { block, artifact } of compiled.blocks) {
        if (!block.methods.some((m) => m.name === options.method)) {
          const methods = block.methods.map((m) => `\`${m.name}\``).join(', ');
          throw fault('no_method', { name: block.name, method: options.method, methods });
        }
        const rows = summaryRows(block, layerCosts(block, options.method), sizes);
        const sum = totals(block, rows);
        const planned = artifact.programs.map((p) => ({ name: p.name, bytes: plannedBytes(p, sizes) }));
        const dispatches = artifact.programs.map((p) => ({
          name: p.name,
          kernels: p.steps.length,
          webgpu: dispatchCount(artifact.webgpu, p.name, sizes),
        }));
        const kept = withoutCheckpoints(file, options, block, sizes);
        const shown = [options.method, ...(artifact.train ? ['train_step'] : [])];
        const control = options.target.flatMap((target) =>
          programsOn(artifact, target)
            .filter((p) => shown.includes(p.name))
            .map((p) => ({ program: p.name, target, rows: controlRows(p, target, sizes) })),
        );
        const step = artifact.programs.find((p) => p.name === (artifact.train ? 'train_step' : options.method));
        const names = artifact.kernels.map((k) => k.name);
        const peak = options.peak && step ? peakOf(step, names, sizes) : null;
        const prepared = keptBytes(artifact, options.method, sizes);
        if (options.json) {
          const all = {
            block: block.name,
            doc: block.doc,
            rows,
            totals: sum,
            planned,
            withoutCheckpoints: kept,
            dispatches,
            prepared,
            control,
            peak,
          };
          process.stdout.write(`${JSON.stringify(all)}\n`);
          continue;
        }
        const work = (name: string): string => bytesText(planned.find((p) => p.name === name)?.bytes ?? null);
        const steps = (name: string): string => String(dispatches.find((p) => p.name === name)?.kernels ?? 0);
        const rest = sum.params - sum.trainable;
        const frozen = rest > 0 ? `, ${grouped(rest)} frozen` : '';
        const lines: [string, string][] = [
          [
            'parameters',
            `${grouped(sum.params)} (${grouped(sum.trainable)} trainable${frozen}), ${bytesText(sum.paramBytes)}`,
          ],
          [`FLOPs of ${options.method}`, flopsText(sum.flops)],
          [`working memory of ${options.method}`, `${work(options.method)} in ${steps(options.method)} steps`],
        ];
        if (prepared > 0) lines.push([`kept by ${options.method} between calls`, bytesText(prepared)]);
        if (artifact.train)
          lines.push(['working memory of train_step', `${work('train_step')} in ${steps('train_step')} steps`]);
        if (kept !== undefined) lines.push(['without its checkpoints', bytesText(kept)]);
        for (const { name, webgpu } of dispatches) {
          if (webgpu !== null && shown.includes(name)) lines.push([`dispatches of ${name} on webgpu`, String(webgpu)]);
        }
        const at = [...sizes].map(([k, v]) => `${k} = ${v}`).join(', ');
        const width = Math.max(...lines.map(([k]) => k.length));
        if (block.doc !== '') process.stdout.write(`${block.doc}\n`);
        process.stdout.write(
          `${renderSummary(rows)}\n${lines.map(([k, v]) => `${k.padEnd(width)}  ${v}`).join('\n')}\n(${at})\n`,
        );
        if (step && peak) process.stdout.write(renderPeak(`held at the peak of ${step.name}`, peak));
        for (const { program, target, rows } of control)
          process.stdout.write(renderControl(`loops and branches of ${program} on ${target}`, rows));
      }
    });
}

/** What a training step would need if no block were a checkpoint; undefined where none is. */
function withoutCheckpoints(
  file: string,
  options: SummaryOptions,
  block: Elaborated,
  sizes: Binding,
): number | null | undefined {
  if (!block.train || block.train.checkpoint.length === 0) return undefined;
  const made = compileProject(openFile(file).project, block.name, { hyper: options.set ?? {}, checkpoints: false });
  const step = made?.artifact.programs.find((p) => p.name === 'train_step');
  return step && plannedBytes(step, sizes);
}
