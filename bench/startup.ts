/**
 * What a user waits for before anything is computed: `npm run bench -- --startup`. The time from the start of a process to
 * the first output of LeNet, the bytes that a page loads for it, and how long compiling takes in a fresh process.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import Table from 'cli-table3';
import { diskHost } from '../src/cli/host.ts';
import { writeModule } from '../src/codegen/module/index.ts';
import { compile } from '../src/compile.ts';

const OUT = resolve('bench/out/start');
const PEERS = resolve('bench/peers');
const python = process.env['NETWRIGHT_PYTHON'] ?? 'python3';

/** A program of `peers/start`, bundled as a user would ship it. */
interface Entry {
  readonly name: string;
  readonly file: string;
  /** A file of WebAssembly that a page loads besides. */
  readonly wasm?: string;
}

const ENTRIES: readonly Entry[] = [
  { name: 'Netwright', file: 'netwright.mjs' },
  { name: 'TensorFlow.js', file: 'tfjs.mjs', wasm: '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm' },
  { name: 'jax-js', file: 'jaxjs.mjs' },
  { name: 'ONNX Runtime Web', file: 'ort-web.mjs', wasm: 'onnxruntime-web/dist/ort-wasm-simd-threaded.wasm' },
];

const table = (...head: string[]): InstanceType<typeof Table> =>
  new Table({ head, style: { head: [], border: [], compact: true } });

/** Writes LeNet's module beside the entries' bundles. */
function prepare(): void {
  mkdirSync(OUT, { recursive: true });
  execFileSync('npm', ['run', 'build'], { stdio: 'ignore' });
  const { artifacts } = compile({ file: 'bench/networks/lenet.net', host: diskHost('.') });
  writeFileSync(join(OUT, 'lenet.js'), writeModule(artifacts, { source: 'lenet.net' }).js);
}

/** What esbuild makes of an entry. */
function bundle(entry: Entry, platform: 'browser' | 'node'): string {
  const esbuild = join(PEERS, 'node_modules/.bin/esbuild');
  if (!existsSync(esbuild)) throw new Error('the peers are missing: npm install --prefix bench/peers');
  const target = join(OUT, `${entry.file.replace('.mjs', '')}-${platform}`);
  rmSync(target, { recursive: true, force: true });
  const made = spawnSync(
    esbuild,
    [
      join(PEERS, 'start', entry.file),
      ...['--bundle', '--minify', '--format=esm', '--splitting', '--out-extension:.js=.mjs', `--platform=${platform}`],
      `--alias:netwright/runtime=${resolve('dist/runtime/index.js')}`,
      `--alias:lenet=${join(OUT, 'lenet.js')}`,
      `--outdir=${target}`,
      // TensorFlow.js asks for Node's modules in the old way.
      ...(platform === 'node'
        ? [
            '--banner:js=import{createRequire}from"node:module";const require=createRequire(import.meta.url);const __dirname=import.meta.dirname;',
          ]
        : []),
    ],
    { encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(made.stderr);
  return join(target, entry.file);
}

/** A file and the chunks that it imports at once, followed to the end. */
function loaded(file: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, path] of readFileSync(file, 'utf8').matchAll(
    /(?:^|[;}])(?:import|export)(?:[^"'();]*from)?"(\.[^"]+)"/g,
  ))
    loaded(join(dirname(file), path!), seen);
  return seen;
}

/** Bytes of what a page loads at once for an inference of LeNet, weights not counted. */
function bundles(): void {
  const rows = table('what a page loads for LeNet', 'JS, minified', 'JS, gzip', 'wasm, gzip', 'all, gzip');
  const kB = (n: number): string => `${(n / 1000).toFixed(1)} kB`;
  const packed = (bytes: Uint8Array): number => gzipSync(bytes, { level: 9 }).length;
  for (const entry of ENTRIES) {
    const files = [...loaded(bundle(entry, 'browser'))].map((f) => readFileSync(f));
    const js = files.reduce((sum, f) => sum + packed(f), 0);
    const wasm = entry.wasm ? packed(readFileSync(join(PEERS, 'node_modules', entry.wasm))) : 0;
    rows.push([entry.name, kB(files.reduce((sum, f) => sum + f.length, 0)), kB(js), kB(wasm), kB(js + wasm)]);
  }
  console.log(rows.toString());
}

/** From the start of the process to its end, one output in between; the least and the median of eleven. */
function starts(): void {
  const model = resolve('bench/out/onnx/W3i.onnx');
  const env = {
    MODEL: model,
    TFJS_WASM: join(PEERS, 'node_modules/@tensorflow/tfjs-backend-wasm/dist/'),
    NODE_PATH: join(PEERS, 'node_modules'),
  };
  const node = process.execPath;
  const cases: [name: string, command: readonly string[], env?: Readonly<Record<string, string>>][] = [
    ['Node alone', [node, '-e', '0']],
    ['Netwright', [node, bundle(ENTRIES[0]!, 'node')]],
    ['TensorFlow.js', [node, bundle(ENTRIES[1]!, 'node')]],
    ['jax-js', [node, bundle(ENTRIES[2]!, 'node')]],
  ];
  if (spawnSync(python, ['bench/peers/export_onnx.py', dirname(model), 'W3i']).status === 0) {
    cases.push(['ONNX Runtime Node', [node, 'bench/peers/start/ort.mjs'], { ORT: 'onnxruntime-node' }]);
    cases.push(['ONNX Runtime Web', [node, 'bench/peers/start/ort.mjs'], { ORT: 'onnxruntime-web' }]);
    cases.push(['PyTorch eager', [python, 'bench/peers/start/pytorch.py']]);
  }
  const times = cases.map((): number[] => []);
  for (let round = 0; round < 11; round++)
    cases.forEach(([name, [command, ...args], own], i) => {
      if (name.startsWith('PyTorch') && round >= 3) return;
      const started = performance.now();
      const { status, stdout, stderr } = spawnSync(command!, args, {
        env: { ...process.env, ...env, ...own },
        encoding: 'utf8',
      });
      times[i]!.push(performance.now() - started);
      if (status !== 0 || (i > 0 && !stdout.startsWith('-0.0307'))) throw new Error(`${name}: ${stdout}${stderr}`);
    });
  const rows = table('start of the process to the first output of LeNet', 'min ms', 'median ms', 'above Node alone');
  const bare = Math.min(...times[0]!);
  times.forEach((t, i) => {
    t.sort((a, b) => a - b);
    rows.push([cases[i]![0], t[0]!.toFixed(0), t[t.length >> 1]!.toFixed(0), (t[0]! - bare).toFixed(0)]);
  });
  console.log(rows.toString());
}

/** Source text to the text of a module, in fresh processes of the built package. */
function compiles(): void {
  const script = `
    const [file, hyper] = process.argv.slice(1);
    const { compile } = await import(${JSON.stringify(resolve('dist/compile.js'))});
    const { writeModule } = await import(${JSON.stringify(resolve('dist/codegen/module/index.js'))});
    const { diskHost } = await import(${JSON.stringify(resolve('dist/cli/host.js'))});
    const started = performance.now();
    const { artifacts, diagnostics } = compile({ file, host: diskHost('.') }, { hyper: JSON.parse(hyper) });
    if (artifacts.length === 0) throw new Error(diagnostics[0].message);
    const module = writeModule(artifacts, { source: file });
    console.log(performance.now() - started, module.js.length);`;
  const gpt2 = { vocab: 50257, context: 1024, d: 768, heads: 12, depth: 12 };
  const rows = table('compiling, first in a process', 'min ms', 'median ms', 'module, kB');
  for (const [name, file, hyper] of [
    ['LeNet', 'bench/networks/lenet.net', {}],
    ['GPT-2 124M', 'bench/networks/gpt.net', gpt2],
    ['ResNet-18', 'bench/networks/resnet.net', { width: 64, classes: 1000, stem: 7 }],
  ] as const) {
    const runs = Array.from({ length: 7 }, () =>
      execFileSync(process.execPath, ['--input-type=module', '-e', script, file, JSON.stringify(hyper)], {
        encoding: 'utf8',
      })
        .split(' ')
        .map(Number),
    ).sort((a, b) => a[0]! - b[0]!);
    rows.push([name, runs[0]![0]!.toFixed(0), runs[3]![0]!.toFixed(0), (runs[0]![1]! / 1000).toFixed(0)]);
  }
  console.log(rows.toString());
}

export function benchStartup(): void {
  prepare();
  compiles();
  bundles();
  starts();
}
