import type { Command } from './command.ts';

interface CommandEntry {
  readonly name: string;
  /** One line for the list in `vmhatch --help`. */
  readonly summary: string;
  /** Loads the command's module: only the one that is asked for, so that `--help` stays fast. */
  load(): Promise<Command>;
}

/** The subcommands, in the order in which the help lists them. */
export const commands: readonly CommandEntry[] = [
  {
    name: 'boot',
    summary: 'boot a Linux kernel, with its console here',
    load: async () => (await import('./boot.ts')).command,
  },
  {
    name: 'run',
    summary: 'run a flat binary, a bare ELF or a firmware image as a guest',
    load: async () => (await import('./run.ts')).command,
  },
  {
    name: 'doctor',
    summary: 'say whether KVM works here, what this host can run, and how to mend it',
    load: async () => (await import('./doctor.ts')).command,
  },
  {
    name: 'bench',
    summary: 'measure what an exit costs',
    load: async () => (await import('./bench.ts')).command,
  },
];
