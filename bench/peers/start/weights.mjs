/** The weights and the image of workload W3i. */
import { dataOf, WORKLOADS } from '../../spec.ts';

export const { params: weights, x: image } = dataOf(WORKLOADS.W3i);
