/** Draws are keyed by paths: a layer more moves no other draw. A user's own initialiser is a peer of the library's. */
import test from 'ava';
import { compile } from '../../src/index.ts';

async function drawn(body: string, seed = 5): Promise<Map<string, string>> {
  const { blocks, diagnostics } = compile(`
    import { Linear } from "std/nn"
    fn far(a: float) -> f32[...S] {
      w = uniform(-a, a)
      where(abs(w) >= 5.0, w, 0.0)
    }
    export block Net() { ${body}
      forward(x: f32[B, 8]) -> f32[B, 8] => last(first(x))
    }`);
  if (diagnostics.length > 0) throw new Error(diagnostics.map((d) => d.message).join());
  const model = await blocks['Net']!.create({ seed });
  const all = [...model.state_dict()].map(async ([k, v]) => [k, [...(await v.read())].join()] as const);
  return new Map(await Promise.all(all));
}

test('a layer more, before, between or after, moves no other draw', async (t) => {
  const before = await drawn('first = Linear(8, 8)\n last = Linear(8, 8)');
  const after = await drawn(
    'zero = Linear(8, 3)\n first = Linear(8, 8)\n norm = Linear(8, 8, bias: false)\n more = [for i in 0..3: Linear(8, 8)]\n last = Linear(8, 8)\n end = Linear(8, 8)',
  );
  t.true(after.size > before.size);
  for (const [name, values] of before) t.is(after.get(name), values, name);
  // Equal layers at other paths, and other seeds, draw other numbers.
  t.not(before.get('first.weight'), before.get('last.weight'));
  t.not((await drawn('first = Linear(8, 8)\n last = Linear(8, 8)', 6)).get('first.weight'), before.get('first.weight'));
});

test("d2l's own initialiser: uniform on (-10, 10), kept where it is 5 or more", async (t) => {
  const made = await drawn('first = Linear(8, 64)\n last = Linear(64, 8)\n init { Linear.weight ~ far(10.0) }');
  const values = ['first.weight', 'last.weight'].flatMap((k) => made.get(k)!.split(',').map(Number));
  t.is(values.length, 1024);
  t.true(values.every((v) => v === 0 || (Math.abs(v) >= 5 && Math.abs(v) < 10)));
  // Half of them in the mean; five standard deviations of 16 to either side.
  const kept = values.filter((v) => v !== 0).length;
  t.true(Math.abs(kept - 512) < 80, String(kept));
});
