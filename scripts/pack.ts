/**
 * Around `npm pack`: the package that users install carries no Node of its own. This repository does (so that one
 * `npm install` is enough on a machine with an old one), and it would replace theirs in their scripts.
 */
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

const FILE = 'package.json';
const KEPT = '.package.json.kept';

if (process.argv.includes('--restore')) {
  renameSync(KEPT, FILE);
} else {
  copyFileSync(FILE, KEPT);
  const { optionalDependencies, ...published } = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, unknown>;
  void optionalDependencies;
  writeFileSync(FILE, `${JSON.stringify(published, null, 2)}\n`);
}
