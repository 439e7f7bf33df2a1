/** What every subcommand's module exports as `command`; the table of them is commands.ts. */
export interface Command {
  /** The text of `vmhatch NAME --help`, ending in a newline. Made on demand: it may ask for the terminal's colours. */
  help(): string;
  /**
   * Does the work.
   *
   * @param args - what follows the command's name, `--help` and `--version` already taken out
   * @returns the exit status, one of `ExitCode` or the guest's own
   */
  main(args: readonly string[]): Promise<number>;
}
