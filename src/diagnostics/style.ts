/** The few colours of a rendered diagnostic; the plain style is the identity, so that golden files are readable. */

export interface Style {
  error(text: string): string;
  warning(text: string): string;
  /** Rules, line numbers and secondary places. */
  quiet(text: string): string;
  help(text: string): string;
  strong(text: string): string;
}

const same = (text: string): string => text;
const ansi =
  (code: string) =>
  (text: string): string =>
    text === '' ? '' : `\u001b[${code}m${text}\u001b[0m`;

export const PLAIN: Style = { error: same, warning: same, quiet: same, help: same, strong: same };

export const COLOR: Style = {
  error: ansi('1;31'),
  warning: ansi('1;33'),
  quiet: ansi('34'),
  help: ansi('36'),
  strong: ansi('1'),
};
