/** Prints a hash of each named network's parameters after two training steps: the same text means the same bits. */
import { createHash } from 'node:crypto';
import { compiled } from './machines.ts';
import { reference } from './networks.ts';

for (const name of process.argv.slice(2)) {
  const r = reference(name);
  const machine = await compiled(r.source);
  await machine.load(r);
  for (let i = 0; i < 2; i++) await machine.train_step(r.inputs);
  const hash = createHash('sha256');
  for (const key of machine.names) hash.update(Float64Array.from(await machine.read(key)));
  console.log(`${name} ${hash.digest('hex')}`);
}
