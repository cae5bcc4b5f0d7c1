/** Which values a kernel computes again instead of reading them from memory: recompute weighed against store, in bytes moved. */
import type { Cluster, FusionGraph, Node } from './fuse-graph.ts';

export function planStores(_g: FusionGraph): ReadonlyMap<Cluster, ReadonlySet<Node>> {
  return new Map();
}
