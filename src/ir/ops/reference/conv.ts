/** Float64 references of convolution: one walk over all (output, kernel) pairs, used in three directions. */
import type { Attrs } from '../../ir.ts';
import type { NdArray } from '../../ndarray.ts';
import { ints2, ints4, num } from '../attrs.ts';

type Shape4 = readonly [number, number, number, number];
const four = (x: NdArray): Shape4 => x.shape as Shape4;

/** Calls f with the positions in x, w and y that meet in one product. */
function eachProduct(
  xs: Shape4,
  ws: Shape4,
  ys: Shape4,
  attrs: Attrs,
  f: (x: number, w: number, y: number) => void,
): void {
  const [sh, sw] = ints2(attrs, 'stride');
  const [dh, dw] = ints2(attrs, 'dilation');
  const [top, , left] = ints4(attrs, 'padding');
  const perGroup = ws[0] / num(attrs, 'groups');
  for (let n = 0; n < ys[0]; n++)
    for (let o = 0; o < ys[1]; o++)
      for (let i = 0; i < ys[2]; i++)
        for (let j = 0; j < ys[3]; j++)
          for (let c = 0; c < ws[1]; c++)
            for (let p = 0; p < ws[2]; p++)
              for (let q = 0; q < ws[3]; q++) {
                const [h, w] = [i * sh + p * dh - top, j * sw + q * dw - left];
                if (h < 0 || h >= xs[2] || w < 0 || w >= xs[3]) continue;
                const channel = Math.floor(o / perGroup) * ws[1] + c;
                f(
                  ((n * xs[1] + channel) * xs[2] + h) * xs[3] + w,
                  ((o * ws[1] + c) * ws[2] + p) * ws[3] + q,
                  ((n * ys[1] + o) * ys[2] + i) * ys[3] + j,
                );
              }
}

export function convForward(x: NdArray, w: NdArray, attrs: Attrs, y: NdArray): NdArray {
  eachProduct(four(x), four(w), four(y), attrs, (a, b, c) => (y.data[c]! += x.data[a]! * w.data[b]!));
  return y;
}

export function convGradInput(dy: NdArray, w: NdArray, attrs: Attrs, dx: NdArray): NdArray {
  eachProduct(four(dx), four(w), four(dy), attrs, (a, b, c) => (dx.data[a]! += dy.data[c]! * w.data[b]!));
  return dx;
}

export function convGradWeight(x: NdArray, dy: NdArray, attrs: Attrs, dw: NdArray): NdArray {
  eachProduct(four(x), four(dw), four(dy), attrs, (a, b, c) => (dw.data[b]! += x.data[a]! * dy.data[c]!));
  return dw;
}
