import { UsageError } from '../usage-error.ts';

/** What the fields of a machine's configuration are called here. */
const names: Readonly<Record<string, string>> = {
  kernel: 'KERNEL',
  modules: '--module',
  'flat.address': '--load',
  'flat.entry': '--entry',
  'flat.mode': '--mode',
  debugConsole: '--debug-console',
};

const ARGUMENT_ERRORS: ReadonlySet<string> = new Set([
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_OUT_OF_RANGE',
]);

/** How Node's messages speak of a property: `The value of "config.memory" …`, `The property 'config.kernel' …`. */
const FIELD =
  /^The (?:value of |property |argument )?["']config\.(\w+(?:\.\w+)?)(?:\[\d+\])?(?:\.\w+)?["'](?: property| argument)?/;

/** A refusal of a machine's configuration, in the words of the command line; any other error as it is. */
export function optionError(error: unknown): unknown {
  if (!(error instanceof Error && 'code' in error && ARGUMENT_ERRORS.has(String(error.code)))) return error;
  return new UsageError(error.message.replace(FIELD, (_match, name: string) => names[name] ?? `--${name}`));
}
