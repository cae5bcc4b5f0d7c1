/** The reference networks in C against PyTorch, with the tolerances of the cpu. */
import { compiledC } from '../support/machines.ts';
import { onNative } from '../support/native.ts';
import { referenceTests } from '../support/reference-tests.ts';

referenceTests('native', compiledC, await onNative());
