/**
 * The library's modules, each declaration parsed when it is first asked for: a program uses a few of hundreds. The formatter
 * begins every declaration, and nothing else, in the first column, and the modules have no imports; a test holds that the
 * pieces are what the parser makes of the whole.
 */
import { DiagnosticBag } from '../diagnostics/index.ts';
import type { Span } from '../diagnostics/span.ts';
import type { Decl } from '../parser/ast.ts';
import { parse } from '../parser/index.ts';

/** Tells the library's files from a project's: `std/nn` is the library, `std/nn.net` a file in a folder that happens to be called so. */
export const isLibraryFile = (path: string): boolean => path.startsWith('std/') && !path.endsWith('.net');

/** The declarations of a file by name. */
export interface Declarations {
  get(name: string): Decl | undefined;
  /** In order of declaration. */
  readonly all: readonly Declared[];
}

/** What is known of a declaration before it is parsed. */
export interface Declared {
  readonly name: string;
  readonly span: Span;
  readonly kind: Decl['kind'];
  readonly exported: boolean;
}

/** A module's text never changes, so what was parsed of it serves every program. */
const MODULES = new Map<string, Declarations>();

const HEAD = /^(?:\/\/\/.*\n)*((?:export )?(?:block|fn|optimizer|type|const) )(\w+)/gm;

export function libraryDeclarations(path: string, text: string): Declarations {
  let made = MODULES.get(path);
  if (!made) MODULES.set(path, (made = outline(path, text)));
  return made;
}

function outline(path: string, text: string): Declarations {
  const heads = [...text.matchAll(HEAD)];
  const all = heads.map(
    ([whole, words = '', name = ''], i): Declared & { readonly from: number; readonly to: number } => {
      const from = heads[i]!.index;
      const end = from + whole.length;
      const [kind] = words.trim().split(' ').slice(-1) as [string];
      return {
        name,
        span: { file: path, start: end - name.length, end },
        kind: kind === 'const' ? 'constDecl' : (kind as Decl['kind']),
        exported: words.startsWith('export '),
        from,
        to: heads[i + 1]?.index ?? text.length,
      };
    },
  );
  const known = new Map(all.map((d) => [d.name, d]));
  const parsed = new Map<string, Decl>();
  return {
    all,
    get(name) {
      const at = known.get(name);
      if (!at) return undefined;
      const old = parsed.get(name);
      if (old) return old;
      const [decl] = parse(text, path, new DiagnosticBag(), at).decls;
      if (decl) parsed.set(name, decl);
      return decl;
    },
  };
}
