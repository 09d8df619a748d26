/** One word of a POSIX shell for each argument, all of it literal. */
export const quoted = (argv: readonly string[]): string =>
  argv.map((text) => `'${text.replaceAll("'", `'\\''`)}'`).join(' ');
