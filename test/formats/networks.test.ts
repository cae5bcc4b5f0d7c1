/** Every reference network through files to PyTorch and back: keys, order, values, ties; archives, the old stream, shards. */
import test from 'ava';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, openWeights, type Model } from '../../src/index.ts';
import { writeSharded } from '../../src/runtime/formats/sharded.ts';
import { absent } from '../support/absent.ts';
import { NETWORKS, reference } from '../support/networks.ts';
import { collect } from './corpus.ts';

const python = process.env['NETWRIGHT_PYTHON'];
const required = process.env['NETWRIGHT_REQUIRE_ALL'] !== undefined;
const withPython = python !== undefined || required ? test : test.skip;
if (python === undefined && !required) {
  test('skipped: no PyTorch (set NETWRIGHT_PYTHON to a Python with torch)', absent);
}

/** Says what it reads of each file, and writes the same with PyTorch's and Hugging Face's own writers. */
const SCRIPT = `
import hashlib, json, os, sys, torch
from safetensors.torch import load_file, save_file
def facts(sd): return [[k, str(v.dtype), list(v.shape), hashlib.sha256(v.contiguous().numpy().tobytes()).hexdigest()] for k, v in sd.items()]
def whole(path):
    sd = load_file(path)
    from safetensors import safe_open
    with safe_open(path, 'pt') as f: notes = f.metadata() or {}
    for dropped, kept in notes.items():
        if kept in sd: sd[dropped] = sd[kept]
    return sd
for folder in sys.argv[1:]:
    at = lambda name: os.path.join(folder, name)
    sd = torch.load(at('a.pt'), weights_only=True)
    mapped = torch.load(at('a.pt'), weights_only=True, mmap=True)
    safe = whole(at('a.safetensors'))
    index = json.load(open(at('model.safetensors.index.json')))['weight_map']
    shards = {}
    for f in sorted(set(index.values())): shards.update(whole(at(f)))
    assert facts(sd) == facts(mapped) and sorted(facts(sd)) == sorted(facts(safe)) == sorted(facts(shards)), folder
    ties = {}
    for k, v in sd.items(): ties.setdefault((v.data_ptr(), v.stride()), []).append(k)
    torch.save(sd, at('b.pt'))
    torch.save(sd, at('c.pt'), _use_new_zipfile_serialization=False)
    save_file({k: v.clone().contiguous() for k, v in sd.items()}, at('d.safetensors'))
    print(json.dumps({'keys': list(sd), 'ties': [v for k, v in ties.items() if k[0] and len(v) > 1]}))
`;

const values = (m: Model): unknown => [...m.state_dict()].map(([k, x]) => [k, x.dtype, x.shape, [...x.readSync()]]);

withPython('every reference network goes to PyTorch and comes back, bit for bit', async (t) => {
  t.timeout(600_000);
  const root = mkdtempSync(join(tmpdir(), 'netwright-networks-'));
  try {
    const networks = NETWORKS;
    const models: [Model, () => Promise<Model>][] = [];
    for (const name of networks) {
      const { blocks, diagnostics } = compile(reference(name).source);
      const [block] = Object.values(blocks);
      if (!block) throw new Error(diagnostics.map((d) => d.message).join('\n'));
      const model = await block.create({ seed: 1 });
      models.push([model, () => block.create({ seed: 2 })]);
      const folder = join(root, name);
      mkdirSync(folder);
      await model.save(join(folder, 'a.pt'));
      await model.save(join(folder, 'a.safetensors'));
      const file = await openWeights(join(folder, 'a.pt'));
      for (const [part, pieces] of writeSharded(file.tensors, 4096))
        writeFileSync(join(folder, part), await collect(pieces));
      await file.close();
    }
    const said = execFileSync(python ?? 'python3', ['-c', SCRIPT, ...networks.map((n) => join(root, n))], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const answers = said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { keys: string[]; ties: string[][] });
    for (const [i, name] of networks.entries()) {
      const [model, another] = models[i]!;
      t.deepEqual(answers[i]!.keys, [...model.state_dict().keys()], name);
      t.deepEqual([...answers[i]!.keys].sort(), [...reference(name).names].sort(), name);
      const tied = model.artifact.stateDict.filter((e) =>
        model.artifact.stateDict.some((o) => o !== e && o.tensor === e.tensor),
      );
      t.is(answers[i]!.ties.flat().length, tied.length, `${name}: ties`);
      for (const file of ['b.pt', 'c.pt', 'd.safetensors', 'model.safetensors.index.json']) {
        const again = await another();
        await again.load(join(root, name, file));
        t.deepEqual(values(again), values(model), `${name}/${file}`);
      }
    }
  } finally {
    rmSync(root, { recursive: true });
  }
});
