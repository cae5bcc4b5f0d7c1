/** Chromium for tests that need a page: the one that CHROMIUM names, or the system's under one of its usual names. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import test from 'ava';
import { chromium, type Browser } from 'playwright-core';
import { absent } from './absent.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome', 'msedge'];
const PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

export function findChromium(): string | null {
  const named = process.env['CHROMIUM'];
  if (named !== undefined) return named;
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return [...folders.flatMap((f) => NAMES.map((n) => join(f, n))), ...PLACES].find(runs) ?? null;
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `test.serial` where there is a browser. Elsewhere tests are skipped, with one that says why and fails where all is required. */
export function withChromium(): typeof test.serial | typeof test.skip {
  if (findChromium() !== null) return test.serial;
  test('skipped: no Chromium (apt-get install chromium, or CHROMIUM=/path/to/it)', absent);
  return test.skip;
}

/** Headless, with WebGPU in software where there is no GPU. */
export function launch(): Promise<Browser> {
  const args = [
    '--no-sandbox', // the tests may run as root, where Chromium refuses its sandbox; all pages are ours
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--enable-unsafe-webgpu',
  ];
  return chromium.launch({ executablePath: findChromium()!, args });
}
