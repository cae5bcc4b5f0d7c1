/** The workloads of the GPU bench are programs that compile for it and take what they are given: a bench is run too seldom to show it. */
import test from 'ava';
import { works } from '../../bench/gpu-works.ts';
import { compile } from '../../src/compile.ts';

for (const w of works(true))
  test(w.name, (t) => {
    const { artifacts, diagnostics } = compile(w.source, { targets: ['wasm', 'webgpu'] });
    t.deepEqual(
      diagnostics.map((d) => d.message),
      [],
    );
    const [a] = artifacts;
    const args = w.step ? a!.methods.find((m) => m.name === a!.train!.loss)!.args : a!.methods[0]!.args;
    t.is(w.inputs().length, args.length);
  });
