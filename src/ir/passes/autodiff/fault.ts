/** What cannot be differentiated, with its place; the driver makes a diagnostic of it. */
import type { Origin } from '../../ir.ts';

export class AutodiffFault extends Error {
  override readonly name = 'AutodiffFault';
  readonly origin: Origin;
  constructor(message: string, origin: Origin) {
    super(message);
    this.origin = origin;
  }
}
