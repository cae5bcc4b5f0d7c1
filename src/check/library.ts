/** Tells the library's files from a project's: `std/nn` is the library, `std/nn.net` a file in a folder that happens to be called so. */
export const isLibraryFile = (path: string): boolean => path.startsWith('std/') && !path.endsWith('.net');
