/** What a generator of scripts/generate.ts is. */

export interface GeneratedFile {
  /** From the project's root. */
  readonly path: string;
  /** Its first line says that it is generated, and from what. */
  readonly text: string;
  /** Pass it through prettier. */
  readonly format: boolean;
}

export interface Generator {
  /** A folder that holds nothing but what this generator writes: other files in it are left from before and go. */
  readonly folder?: string;
  /** `root` is the project's directory. Reads what it needs and writes nothing. */
  generate(root: string): Promise<readonly GeneratedFile[]>;
}
