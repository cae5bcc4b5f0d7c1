/**
 * Around `npm pack`: the package that users install carries no Node of its own. This repository does (so that one
 * `npm install` is enough on a machine with an old one), and it would replace theirs in their scripts. So it asks for the Node
 * that the command line needs, and has no scripts, about which npm would warn.
 */
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const FILE = 'package.json';
const KEPT = '.package.json.kept';

if (process.argv.includes('--restore')) {
  renameSync(KEPT, FILE);
} else {
  copyFileSync(FILE, KEPT);
  const whole = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, unknown>;
  const leftOut = ['optionalDependencies', 'devDependencies', 'scripts', 'ava'];
  const published = Object.fromEntries(Object.entries(whole).filter(([key]) => !leftOut.includes(key)));
  writeFileSync(FILE, `${JSON.stringify({ ...published, engines: { node: '>=22.18' } }, null, 2)}\n`);
}
