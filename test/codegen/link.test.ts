/**
 * Linking is right when nobody can tell that memory is shared: every program gives the same bits as one in which each value
 * has memory of its own for ever. And the sharing must happen: a training step copies no arena.
 */
import test from 'ava';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { compile } from '../../src/index.ts';
import type { Artifact, BufferEntry, Program, Spec, Step } from '../../src/runtime/artifact.ts';
import { ALIGN, plan, plannedBytes } from '../../src/runtime/plan.ts';
import { modelClass, tensor, type Model, type Result, Tensor } from '../../src/runtime/index.ts';
import { evaluateSize } from '../../src/runtime/sizes.ts';

const NETWORKS = [
  'examples/mlp',
  'examples/tied',
  'examples/lenet',
  'test/networks/mlp_shared',
  'test/networks/nest_mlp',
  'test/networks/centered',
  'test/networks/fixed_hidden_1',
  'test/networks/gpt2_mini',
  'test/networks/encoder_layer_pre_gelu',
  'test/networks/vae',
  'test/networks/resnet18_w10',
];

const artifactOf = (file: string, share: boolean): Artifact => {
  const { artifacts, diagnostics } = compile(readFileSync(`${file}.net`, 'utf8'), { share });
  if (!artifacts[0]) throw new Error(`${file}: ${diagnostics.map((d) => d.message).join('\n')}`);
  return artifacts[0];
};

/** Arguments for any signature: the same numbers every time; symbols are small and distinct. */
function argumentsFor(specs: readonly Spec[]): unknown[] {
  const binding = new Map<string, number>();
  let seed = 1;
  const make = (s: Spec): unknown => {
    if (s.kind === 'tuple') return s.items.map(make);
    if (s.kind === 'record') return Object.fromEntries(s.fields.map((f) => [f.name, make(f.spec)]));
    const shape = s.shape.map((d) => {
      if (typeof d === 'string' && !binding.has(d)) binding.set(d, 3 + binding.size);
      return evaluateSize(d, binding);
    });
    const count = shape.reduce((a, b) => a * b, 1);
    const values = Array.from({ length: count }, (_, i) =>
      s.elem === 'f32' ? Math.fround(Math.sin(i * 0.7 + seed)) : s.elem === 'bool' ? i % 2 : (i * 7 + seed) % 2,
    );
    seed++;
    return tensor(new Float32Array(values), { dtype: s.elem as 'f32', shape });
  };
  return specs.map(make);
}

const flat = (r: Result): Tensor[] => (r instanceof Tensor ? [r] : (Object.values(r) as Result[]).flatMap(flat));

/** Bits of everything that a model gives and holds after all its programs have run. */
function transcript(model: Model): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  const note = (name: string, t: Tensor): void =>
    void (out[name] = Buffer.from(t.readSync().buffer).toString('base64'));
  const state = (when: string): void => model.state_dict().forEach((t, name) => note(`${when} ${name}`, t));
  state('initial');
  for (const m of model.artifact.methods) {
    const args = argumentsFor(m.args.map((a) => a.spec));
    for (const training of [false, true]) {
      flat(model.call(m.name, args, { training, seed: 5 })).forEach((t, i) => note(`${m.name} ${training} ${i}`, t));
    }
  }
  state('called');
  const loss = model.artifact.methods.find((m) => m.name === (model.artifact.train?.loss ?? 'loss'));
  const has = (name: string): boolean => model.artifact.programs.some((p) => p.name === name);
  if (!loss) return out;
  const args = argumentsFor(loss.args.map((a) => a.spec));
  if (has('backward')) {
    note('backward', model.backward(...args).loss);
    for (const [name, p] of model.named_parameters()) if (p.grad) note(`grad ${name}`, p.grad);
  }
  if (has('train_step')) for (let i = 0; i < 3; i++) note(`step ${i}`, model.train_step(...args).loss);
  state('trained');
  return out;
}

for (const file of NETWORKS) {
  test(`${file}: sharing memory changes no bit`, async (t) => {
    const shared = transcript(await modelClass(artifactOf(file, true)).create({ seed: 7 }));
    const apart = transcript(await modelClass(artifactOf(file, false)).create({ seed: 7 }));
    t.deepEqual(Object.keys(shared), Object.keys(apart));
    for (const key of Object.keys(shared)) t.true(shared[key] === apart[key], key);
  });
}

const leaves = (steps: readonly Step[]): Step[] =>
  steps.flatMap((s) => {
    if (s.kind === 'for') return leaves(s.body);
    if (s.kind === 'while') return [...leaves(s.cond), ...leaves(s.body)];
    return s.kind === 'if' ? [...leaves(s.then), ...leaves(s.else)] : [s];
  });

test('a training step updates its arenas in place', (t) => {
  for (const file of ['examples/mlp', 'examples/lenet', 'test/networks/resnet18_w10', 'test/networks/gpt2_mini']) {
    const program = artifactOf(file, true).programs.find((p) => p.name === 'train_step')!;
    const bytes = leaves(program.steps).map((s) => {
      const slot = s.kind === 'copy' ? program.slots[s.bytes]! : null;
      return slot?.kind === 'size' && typeof slot.value === 'number' ? slot.value : 0;
    });
    // Scalars and running statistics may be copied; parameters, moments and gradients may not.
    t.true(Math.max(...bytes) <= 1024, `${file}: ${Math.max(...bytes)} bytes`);
  }
});

test('equal layers share their kernels', (t) => {
  const artifact = artifactOf('test/networks/gpt2_mini', true);
  const forward = artifact.programs.find((p) => p.name === 'forward')!;
  const used = leaves(forward.steps).flatMap((s) => (s.kind === 'kernel' ? [s.kernel] : []));
  t.true(new Set(used).size < used.length, `${new Set(used).size} kernels for ${used.length} calls`);
});

test('a plan is deterministic, aligned, and gives what is live at one time bytes of its own', (t) => {
  const life = fc.record({ first: fc.nat(30), length: fc.nat(10) });
  const buffer = fc.record({ bytes: fc.nat(5000), whole: life, parts: fc.array(life, { maxLength: 4 }) });
  type Life = readonly [number, number];
  fc.assert(
    fc.property(fc.array(buffer, { maxLength: 40 }), (list) => {
      const buffers = list.map(({ bytes, whole, parts }): BufferEntry => {
        const live = ({ first, length }: typeof whole): Life => [first, first + length];
        const cut = (i: number): number => Math.floor((3 * bytes * i) / parts.length);
        return {
          kind: 'temp',
          bytes: ['*', bytes, 'B'],
          live: live(whole),
          ...(parts.length > 1 && {
            parts: parts.map((p, i) => ({ offset: cut(i), bytes: cut(i + 1) - cut(i), live: live(p) })),
          }),
          segment: null,
        };
      });
      const program: Program = {
        name: 'p',
        symbols: ['B'],
        inputs: [],
        outputs: [],
        buffers,
        slots: [],
        steps: [],
        regions: [],
        checks: [],
      };
      const binding = new Map([['B', 3]]);
      const made = plan(program, binding);
      t.deepEqual(plan(program, binding), made);
      const taken: { owner: number; start: number; end: number; live: Life }[] = [];
      buffers.forEach((b, owner) => {
        const [start, bytes] = [made.offsets[owner]!, made.sizes[owner]!];
        t.is(start % ALIGN, 0);
        t.true(start + bytes <= made.workspace);
        for (const p of b.parts ?? [{ offset: 0, bytes, live: b.live }])
          taken.push({ owner, start: start + p.offset, end: start + p.offset + p.bytes, live: p.live });
      });
      for (const a of taken)
        for (const b of taken) {
          const apart = a.live[1] < b.live[0] || b.live[1] < a.live[0];
          if (a.owner < b.owner && !apart) t.true(a.end <= b.start || b.end <= a.start);
        }
    }),
  );
});

test('before a gradient is there, others use its place in the arena', (t) => {
  const step = artifactOf('test/networks/gpt2_mini', true).programs.find((p) => p.name === 'train_step')!;
  const [arena, ...others] = step.buffers.filter((b) => b.parts);
  t.deepEqual(others, []);
  // The parts are the arena, side by side, and all of them live until the optimizer has read them.
  const ends = arena!.parts!.map((p) => p.offset + p.bytes);
  t.deepEqual(
    arena!.parts!.map((p) => p.offset),
    [0, ...ends.slice(0, -1)],
  );
  t.is(ends.at(-1)!, Number(arena!.bytes));
  t.deepEqual([...new Set(arena!.parts!.map((p) => p.live[1]))], [arena!.live[1]]);
  const sizes = new Map(step.symbols.map((s) => [s, 8]));
  const whole = { ...step, buffers: step.buffers.map(({ parts: _, ...b }) => b) };
  t.true(plannedBytes(step, sizes)! <= plannedBytes(whole, sizes)! - Number(arena!.bytes) / 2);
});
