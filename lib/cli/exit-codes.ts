/** The exit statuses of the `vmhatch` command: the one place that gives them numbers and words. */
export const ExitCode = {
  ok: 0,
  guestFailed: 1,
  usage: 2,
  kvmUnavailable: 3,
  limitReached: 4,
  hangup: 129,
  interrupted: 130,
  brokenPipe: 141,
  terminated: 143,
} as const;

/** Every status with what it means, in the order in which `--help` lists them. */
export const exitCodeMeanings: readonly (readonly [code: number, meaning: string])[] = [
  [ExitCode.ok, 'done; the guest powered off, halted, asked for a reset, or was quit with ctrl-a x'],
  [ExitCode.guestFailed, 'the guest failed (panic, triple fault, emulation failure, …), or the work did'],
  [ExitCode.usage, 'wrong usage: an unknown option, a bad value, an image that cannot be loaded'],
  [ExitCode.kvmUnavailable, 'KVM cannot be used here: vmhatch doctor says why'],
  [ExitCode.limitReached, 'a limit you set (--max-exits, --timeout) ended the run'],
  [ExitCode.hangup, 'the terminal went away (SIGHUP)'],
  [ExitCode.interrupted, 'interrupted (Ctrl-C, SIGINT)'],
  [ExitCode.brokenPipe, 'the reader of the output went away (SIGPIPE)'],
  [ExitCode.terminated, 'terminated (SIGTERM)'],
];

/** The errors that mean "this host cannot give us KVM", whatever the command was. */
const unavailable: ReadonlySet<string> = new Set([
  'ERR_KVM_UNAVAILABLE',
  'ERR_KVM_PERMISSION',
  'ERR_KVM_API_VERSION',
  'ERR_KVM_PLATFORM',
]);

/** The exit status for an error that a command let go. */
export function exitCodeOfError(error: unknown): number {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  // What cannot be booted was asked for on the command line.
  if (code === 'ERR_USAGE' || code === 'ERR_KVM_BOOT') return ExitCode.usage;
  if (typeof code === 'string' && unavailable.has(code)) return ExitCode.kvmUnavailable;
  return ExitCode.guestFailed;
}
