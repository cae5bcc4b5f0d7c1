/** Turns names from networks into identifiers of a target language: legal, not reserved, unique. The only way names get into text. */

export class Names {
  private readonly reserved: (name: string) => boolean;
  private readonly taken = new Set<string>();
  private readonly given = new Map<object, string>();

  /** `reserved`: what the target language and the text around the names keep for themselves. Some numeric suffix must make any name free. */
  constructor(reserved: (name: string) => boolean) {
    this.reserved = reserved;
  }

  /** The identifier of a thing: always the same for the same object. */
  of(thing: { readonly name: string }): string {
    const known = this.given.get(thing);
    if (known !== undefined) return known;
    const name = this.fresh(thing.name);
    this.given.set(thing, name);
    return name;
  }

  /** Somebody has it. */
  knows(name: string): boolean {
    return this.taken.has(name);
  }

  /** An identifier like `text` that nobody else has. */
  fresh(text: string): string {
    const letters = text.replace(/[^A-Za-z0-9]+/g, '_').replace(/^_+|_+$/g, '');
    const base = /^[A-Za-z]/.test(letters) ? letters : `v${letters}`;
    let name = base;
    for (let i = 1; this.taken.has(name) || this.reserved(name); i++) name = `${base}_${i}`;
    this.taken.add(name);
    return name;
  }
}
