/** Files and what they give each other; hyper-parameters from outside. */
import test from 'ava';
import { check } from '../support/check.ts';

const LAYER = `
  export block Layer(n: int) {
    param w: f32[n] ~ ones()
    forward(x: f32[...S, n]) -> f32[...S, n] => x * w * scale
  }
  export const scale = 2.0
  fn hidden(x: f32[B]) -> f32[B] => x
`;
const main = (imports: string, layer = 'Layer(3)'): string => `
  ${imports}
  export block Main {
    layer = ${layer}
    forward(x: f32[B, 3]) -> f32[B, 3] => layer(x)
  }`;

test('blocks, functions, constants and types come from other files, under another name where wished', (t) => {
  const made = check({
    'main.net': `
      import { Layer as L, twice, Pair } from "./nets/layer.net"
      import { scale } from "./numbers.net"
      export block Main {
        layer = L(3)
        forward(x: f32[B, 3]) -> Pair => { a: layer(twice(x)), b: x * scale }
      }`,
    'nets/layer.net': `
      import { scale } from "../numbers.net"
      export type Pair = { a: f32[B, 3], b: f32[B, 3] }
      export fn twice(x: f32[...S]) -> f32[...S] => x * scale
      ${LAYER.replace('export const scale = 2.0', '').replace('fn hidden(x: f32[B]) -> f32[B] => x', '')}`,
    'numbers.net': 'export const scale = 2.0',
  });
  t.deepEqual(made.diagnostics, []);
  t.deepEqual(made.block!.methods[0]!.result, {
    kind: 'record',
    name: 'Pair',
    fields: ['a', 'b'].map((name) => ({ name, spec: made.block!.methods[0]!.args[0]!.spec })),
  });
});

test('imports stay in the project, exist, are exported and used', (t) => {
  const said = (imports: string): string[] => [...check({ 'main.net': main(imports), 'layer.net': LAYER }).diagnostics];
  t.deepEqual(said('import { Layer } from "./layer.net"'), []);
  t.regex(said('import { Layer } from "./layers.net"')[0]!, /^NW2004 /);
  t.regex(said('import { Layer } from "../layer.net"')[0]!, /^NW2005 /);
  t.regex(said('import { Layer } from "layer.net"')[0]!, /^NW2011 /);
  t.regex(said('import { Layer, hidden } from "./layer.net"')[0]!, /^NW2008 /);
  t.regex(said('import { Layer, scale } from "./layer.net"')[0]!, /^NW2007 /);
  t.regex(said('')[0]!, /^NW2001 /);
});

test("a project's own folder called std is not the library", (t) => {
  const made = check({
    'main.net': `
      import { twice } from "./std/own.net"
      export block Main {
        forward(x: f32[B]) -> f32[B] => twice(x)
      }`,
    'std/own.net': 'export fn twice(x: f32[...S]) -> f32[...S] => x * 2.0',
  });
  t.deepEqual(made.diagnostics, []);
});

test('a cycle is shown as a whole', (t) => {
  const { diagnostics } = check({
    'main.net': main('import { Layer } from "./a.net"'),
    'a.net': `import { f } from "./b.net"\n${LAYER}\nexport fn g(x: f32[B]) -> f32[B] => f(x)`,
    'b.net': `import { g } from "./a.net"\nexport fn f(x: f32[B]) -> f32[B] => g(x)`,
  });
  t.true(diagnostics.includes('NW2006 these files import each other: a.net -> b.net -> a.net'), diagnostics.join('\n'));
});

test('errors of all files show in one run', (t) => {
  const { diagnostics } = check({
    'main.net': main('import { Layer } from "./layer.net"', 'Layer(4)'),
    'layer.net': `${LAYER.replace('* scale', '* scal')}\nexport block Other { forward(x: f32[B]) -> f32[B, 1] => x }`,
  });
  t.deepEqual(
    diagnostics.map((d) => d.slice(0, 6)),
    ['NW2001', 'NW3003', 'NW3002'],
  );
});

test('hyper-parameters from outside are checked as declared', (t) => {
  const source = `
    import { Conv2d } from "std/nn"
    export block A(n: int = 2, k: (int, int) = 3, rate: float = 0.5, act: "relu" | "gelu" = "relu") {
      conv = Conv2d(1, n, kernel_size: k)
      forward(x: f32[B, 1, H, W]) => conv(x) * rate
    }`;
  const made = check(source, { hyper: { n: 4, k: [3, 5], rate: 1 } });
  t.deepEqual(made.diagnostics, []);
  t.deepEqual(made.block!.hyper, { n: 4, k: [3, 5], rate: 1, act: 'relu' });
  t.is(made.block!.tensors[0]!.type.shape.join(), '4,1,3,5');
  t.regex(check(source, { hyper: { m: 4 } }).diagnostics[0]!, /^NW4001 /);
  t.regex(check(source, { hyper: { n: 1.5 } }).diagnostics[0]!, /^NW3001 /);
  t.regex(check(source, { hyper: { act: 'tanh' } }).diagnostics[0]!, /^NW3001 /);
  t.regex(check(source, { block: 'B' }).diagnostics[0]!, /^NW5003 /);
});
