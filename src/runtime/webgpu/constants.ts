/** Bit flags of the WebGPU specification: Node has no global objects that hold them. */
export const BUFFER = {
  MAP_READ: 0x1,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  INDIRECT: 0x100,
  QUERY_RESOLVE: 0x200,
} as const;
export const MAP_READ = 0x1;
export const COMPUTE = 0x4;

/** Bytes of arguments that one kernel may have: 256 parameters. */
export const ARGUMENT_BYTES = 1024;

/** Most rounds of a `while` that are submitted before the host looks whether the loop has ended. */
export const MAX_CHUNK = 16;
