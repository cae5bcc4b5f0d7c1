/** The reference networks on two threads of WebAssembly that share every kernel they can, against PyTorch. */
import test from 'ava';
import { compiledThreads } from '../support/machines.ts';
import { referenceTests } from '../support/reference-tests.ts';

referenceTests('threads', compiledThreads, test.serial);
