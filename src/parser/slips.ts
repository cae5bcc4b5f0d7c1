/**
 * Spellings from other languages that the lexer knows on sight. Each is a token type of its own, reported, and then read
 * as what was meant, so that one habit costs one message and not a cascade.
 */
import { createToken } from 'chevrotain';
import type { IToken, TokenType } from 'chevrotain';
import type { DiagnosticBag } from '../diagnostics/bag.ts';
import type { Span } from '../diagnostics/span.ts';
import * as t from './tokens.ts';

interface Slip {
  readonly type: TokenType;
  /** Said at the first one only. */
  readonly onceInAFile?: true;
  /** Reports, and turns the token into what was meant; false where it must go (a comment). */
  mend(token: IToken, span: Span, bag: DiagnosticBag): boolean;
}

function foreignSign(name: string, pattern: RegExp, wanted: string, type: TokenType): Slip {
  return {
    type: t.fromSign({ name, pattern }),
    mend(token, span, bag) {
      bag.report('foreign_operator', { found: token.image, wanted }, span);
      if (type === t.And || type === t.Or || type === t.Not) token.image = wanted;
      token.endOffset = span.end - 1;
      t.retag(token, type);
      return true;
    },
  };
}

function foreignComment(name: string, pattern: RegExp, opening: string): Slip {
  return {
    type: t.fromSign({ name, pattern, line_breaks: true }),
    onceInAFile: true,
    mend(_token, span, bag) {
      bag.report('foreign_comment', { found: opening }, span);
      return false;
    },
  };
}

function foreignQuotes(name: string, pattern: RegExp): Slip {
  return {
    type: t.fromSign({ name, pattern }),
    mend(token, span, bag) {
      const inner = token.image.slice(1).replace(/['`]$/, '');
      bag.report('foreign_quotes', { fixed: `"${inner.replaceAll('"', '\\"')}"` }, span);
      token.image = `"${inner.replaceAll('"', '\\"')}"`;
      token.endOffset = span.end - 1;
      t.retag(token, t.Text);
      return true;
    },
  };
}

const unterminated: Slip = {
  type: t.fromSign({ name: 'Unterminated', pattern: /"(?:[^"\\\n\r]|\\.)*\\?/ }),
  mend(token, span, bag) {
    bag.report('unterminated_string', {}, span);
    token.image = `${token.image.replace(/\\$/, '')}"`;
    token.endOffset = span.end - 1;
    t.retag(token, t.Text);
    return true;
  },
};

/** `1.` and `.5`. Not after a `.` or an operand, where the point is a member's. */
const halfFloat: Slip = {
  type: createToken({
    name: 'HalfFloat',
    pattern: {
      exec(text: string, offset: number, before: IToken[]): [string] | null {
        const last = before.at(-1);
        if (last?.tokenType === t.Dot) return null;
        const trailing = t.matchAt(/\d+\.(?![\d.A-Za-z_])(?:[eE][+-]?\d+)?/y, text, offset);
        if (trailing) return trailing;
        return last && OPERAND_ENDS.has(last.tokenType) ? null : t.matchAt(/\.\d+(?:[eE][+-]?\d+)?/y, text, offset);
      },
    },
    line_breaks: false,
    start_chars_hint: [...t.DIGITS, '.'],
  }),
  mend(token, span, bag) {
    const fixed = token.image.replace(/^\./, '0.').replace(/\.(?!\d)/, '.0');
    bag.report('half_float', { found: token.image, fixed }, span);
    token.image = fixed;
    token.endOffset = span.end - 1;
    t.retag(token, t.Float);
    return true;
  },
};
const OPERAND_ENDS: ReadonlySet<TokenType> = new Set([t.Name, t.Int, t.RParen, t.RSquare, t.Star, t.StarStar]);

/**
 * `d // 2` of Python, of which a comment would leave `d`. A comment is taken for it after an operand, where it is one number or name
 * that occurred before, or closes a bracket that it does not open.
 */
const floorDivision: Slip = {
  type: createToken({
    name: 'FloorDivision',
    pattern: {
      exec(text: string, offset: number, before: IToken[]): [string] | null {
        const found = t.matchAt(/\/\/(?!\/)[^\n\r]*/y, text, offset);
        const last = before.at(-1);
        if (!found || !last || !OPERAND_ENDS.has(last.tokenType) || isCall(before)) return null;
        const said = found[0].slice(2).trim();
        const known = /^\d+$/.test(said) || before.some((token) => token.tokenType === t.Name && token.image === said);
        return known || closesMore(said) ? found : null;
      },
    },
    line_breaks: false,
    start_chars_hint: ['/'],
  }),
  mend(_token, span, bag) {
    bag.report('floor_division', {}, { ...span, end: span.start + 2 });
    return false;
  },
};

/** `Linear(4, 8) // 8` says what comes out, and divides nothing. */
function isCall(before: readonly IToken[]): boolean {
  let depth = 0;
  for (let i = before.length - 1; i >= 0; i--) {
    if (before[i]?.tokenType === t.RParen) depth++;
    if (before[i]?.tokenType === t.LParen) depth--;
    if (depth === 0) return i < before.length - 1 && before[i - 1]?.tokenType === t.Name;
  }
  return false;
}

function closesMore(said: string): boolean {
  let depth = 0;
  for (const c of said) {
    depth += '([{'.includes(c) ? 1 : ')]}'.includes(c) ? -1 : 0;
    if (depth < 0) return true;
  }
  return false;
}

const badNumber: Slip = {
  type: createToken({
    name: 'BadNumber',
    pattern: /\d[A-Za-z0-9_]*(?:\.\d[A-Za-z0-9_]*)?/,
    start_chars_hint: [...t.DIGITS],
  }),
  mend(token, span, bag) {
    const plain = token.image.replaceAll('_', '');
    const help = /^[\d.]+$/.test(plain)
      ? `digits are not grouped: write \`${plain}\``
      : 'a name starts with a letter, and a number is written like `3`, `0.5` or `1e-3`';
    bag.report('bad_number', { found: token.image }, span, { help });
    token.image = /^\d+/.exec(plain)?.[0] ?? '0';
    token.endOffset = span.end - 1;
    t.retag(token, t.Int);
    return true;
  },
};

export const SLIPS: readonly Slip[] = [
  floorDivision,
  foreignComment('TripleQuotes', /"""[\s\S]*?"""/, '"""'),
  foreignComment('BlockComment', /\/\*[\s\S]*?(?:\*\/|(?![\s\S]))/, '/*'),
  foreignComment('HashComment', /#[^\n\r]*/, '#'),
  foreignQuotes('SingleQuoted', /'(?:[^'\\\n\r]|\\.)*'?/),
  foreignQuotes('Backquoted', /`(?:[^`\\\n\r]|\\.)*`?/),
  unterminated,
  foreignSign('AndAnd', /&&?/, 'and', t.And),
  foreignSign('OrOr', /\|\|/, 'or', t.Or),
  foreignSign('Identity', /===/, '==', t.EqualEqual),
  foreignSign('NonIdentity', /!==/, '!=', t.NotEqual),
  foreignSign('Bang', /!(?!=)/, 'not', t.Not),
  foreignSign('ColonEquals', /:=/, '=', t.Equals),
  halfFloat,
  badNumber,
];
