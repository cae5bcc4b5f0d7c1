/** What a size that is known only at run time is taken for where a schedule is chosen: a few dozen samples, of known size. */
import { assuming, type Dim } from '../../../ir/dim.ts';

const TYPICAL = 32;

export const guess = (d: Dim): number => assuming(d, TYPICAL);
