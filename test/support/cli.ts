/** Runs the command line as a user would, in a folder of its own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MAIN = join(ROOT, 'src', 'cli', 'bin.ts');

export interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Sends a signal as soon as the output so far holds the text. */
  readonly interrupt?: { readonly after: string; readonly signal: NodeJS.Signals };
}

export function netwright(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    let sent = false;
    child.stdout.on('data', (b: Buffer) => {
      out += b.toString();
      if (options.interrupt && !sent && out.includes(options.interrupt.after)) {
        sent = true;
        child.kill(options.interrupt.signal);
      }
    });
    child.stderr.on('data', (b: Buffer) => (err += b.toString()));
    child.on('error', failed);
    child.on('close', (code) => done({ code, out, err }));
  });
}

/** A new folder, removed when the test ends. */
export function folder(t: { teardown(fn: () => void): void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'netwright-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
