/** What a user sees of files from PyTorch: ties, notes, hostile and mistaken files, terminals of every width. */
import test from 'ava';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { nameTable } from '../../src/cli/weights/table.ts';
import { folder, netwright } from '../support/cli.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';

const SCRIPT = `
import os, pickle
from torch import nn
os.chdir(given)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.wte.weight
net = Net()
torch.save(net.state_dict(), 'tied.pt')
torch.save(net.state_dict(), 'legacy.pt', _use_new_zipfile_serialization=False)
torch.save(net, 'module.pt')
with torch.no_grad(): net.wte.weight[2, 1] = float('nan')
torch.save(net.state_dict(), 'changed.pt')
class Evil:
    def __reduce__(self): return (os.system, ('touch hacked',))
torch.save({'a': torch.zeros(2), 'b': Evil()}, 'evil.pt')
pickle.dump({'a': Evil()}, open('evil.pkl', 'wb'))
torch.jit.save(torch.jit.script(nn.Linear(2, 2)), 'script.pt')
print(1)`;

onPyTorch()(
  "PyTorch's ties are told, kept by convert and seen by diff; hostile files are told for what they are",
  async (t) => {
    const cwd = folder(t);
    askPyTorch(SCRIPT, cwd);
    const run = (...args: readonly string[]): ReturnType<typeof netwright> => netwright([...args], { cwd });
    for (const name of ['tied.pt', 'legacy.pt']) {
      const shown = await run('inspect', name);
      t.regex(shown.out, /head\.weight │ F32 +│ \[10, 4\] │ is wte\.weight │/);
      t.regex(shown.out, /: 1 tensor under 2 names, 40 values, 160 B/);
      t.is((await run('convert', name, 'a.safetensors')).code, 0);
      t.true(statSync(join(cwd, 'a.safetensors')).size < 2 * 160);
      t.regex((await run('inspect', 'a.safetensors')).out, /is wte\.weight[^]*safetensors: 1 tensor under 2 names/);
      t.is((await run('diff', name, 'a.safetensors')).out, 'equal: 2 tensors\n');
    }
    const changed = await run('diff', 'tied.pt', 'changed.pt');
    t.is(changed.code, 1);
    t.regex(changed.out, /wte\.weight +│ values, F32 │ 1 +│ NaN or infinite │/);
    for (const [name, message] of [
      ['module.pt', /it needs "__main__\.Net".*\(nothing was run\): of a whole module, save its state_dict\(\)/],
      ['evil.pt', /it needs "posix\.system", which files of weights may not name \(nothing was run\)$/m],
      ['evil.pkl', /this is a pickle of Python, not a file of weights: nothing in it was run/],
      ['script.pt', /this is a TorchScript program, not a file of weights: save its state_dict\(\)/],
    ] as const)
      for (const command of [
        ['inspect', name],
        ['diff', 'tied.pt', name],
        ['convert', name, 'b.safetensors'],
      ]) {
        const said = await run(...command);
        t.is(said.code, 1, command.join(' '));
        t.regex(said.err, message);
      }
    t.false(existsSync(join(cwd, 'hacked')));
    t.false(existsSync(join(cwd, 'b.safetensors')));
  },
);

test('names give up their middle where a terminal is too narrow, and only there', (t) => {
  const rows = [
    ['transformer.layers.10.self_attention.projection.weight', 'F32', '[64, 16]', '4,096'],
    ['b', 'I64', '[]', '8'],
  ];
  const widest = (columns: number | null): number =>
    Math.max(
      ...nameTable(['name', 'type', 'shape', 'bytes'], rows, columns)
        .split('\n')
        .map((l) => l.length),
    );
  t.deepEqual([60, 80, 200, null].map(widest), [60, 80, 84, 84]);
  t.is(widest(10), widest(40), 'something of a name is always seen');
  const narrow = nameTable(['name', 'type', 'shape', 'bytes'], rows, 60);
  t.regex(narrow, /│ transformer\.la…ojection\.weight │/);
  t.regex(narrow, /│ b +│ I64 +│ \[\] +│ 8 +│/);
});
