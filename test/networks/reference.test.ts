/** The reference networks in the float64 interpreter (what the program means) and compiled for the cpu (what runs). */
import { compiled, interpreted } from '../support/machines.ts';
import { referenceTests } from '../support/reference-tests.ts';

referenceTests('interpreted', interpreted);
referenceTests('compiled', compiled);
