/** The size of a terminal, in characters. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** The size, if a person sits there: both streams are a terminal that knows how large it is. */
export function terminalSize(
  input: { readonly isTTY?: boolean },
  output: { readonly isTTY?: boolean; readonly rows?: number; readonly columns?: number },
): TerminalSize | undefined {
  const { rows = 0, columns = 0 } = output;
  // A terminal that does not know says 0.
  return input.isTTY && output.isTTY && rows > 0 && columns > 0 ? { rows, columns } : undefined;
}

/** What is typed at a shell to tell it. The space in front keeps it out of the history of most. */
export function sizeCommand({ rows, columns }: TerminalSize): string {
  return ` stty rows ${rows} columns ${columns}\n`;
}

/** Words of a kernel's command line for its init. Linux leaves words with a dot, which are for modules, alone. */
export function sizeWords({ rows, columns }: TerminalSize): string {
  return `vmhatch.rows=${rows} vmhatch.columns=${columns}`;
}
