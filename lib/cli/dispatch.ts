import type { Command } from './command.ts';
import { commands } from './commands.ts';
import { exitCodeOfError, ExitCode } from './exit-codes.ts';
import { columns, exitCodeTable } from './help.ts';
import { painter } from './style.ts';
import { didYouMean, UsageError } from './usage-error.ts';
import { packageVersion } from './version.ts';

function generalHelp(): string {
  const paint = painter(process.stdout);
  return [
    `${paint('bold', 'Usage:')} vmhatch COMMAND [options]\n`,
    'Virtual machines as ordinary JavaScript values: a KVM guest inside the Node process.\n',
    `${paint('bold', 'Commands:')}\n${columns(commands.map(({ name, summary }) => [name, summary]))}`,
    `${paint('bold', 'Options:')}\n${columns([
      ['--help', 'this text; vmhatch COMMAND --help for a command'],
      ['--version', "the package's version"],
    ])}`,
    `${paint('bold', 'Environment:')}\n${columns([
      ['NO_COLOR', 'set: no colours, even on a terminal'],
      ['FORCE_COLOR', 'set: colours, even off a terminal (0: none)'],
    ])}`,
    `${paint('bold', 'Exit status:')}\n${exitCodeTable()}`,
  ].join('\n');
}

/** Whether a flag stands among the options, that is before any `--`. */
function hasFlag(args: readonly string[], ...flags: string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? args.length : end).some((arg) => flags.includes(arg));
}

async function runCommand(name: string, args: readonly string[]): Promise<number> {
  const entry = commands.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    const names = commands.map((candidate) => candidate.name);
    throw new UsageError(`unknown command '${name}'${didYouMean(name, names)}`);
  }
  if (hasFlag(args, '--version')) return printVersion();
  const command: Command = await entry.load();
  if (hasFlag(args, '--help', '-h')) {
    process.stdout.write(command.help());
    return ExitCode.ok;
  }
  return command.main(args);
}

function printVersion(): number {
  process.stdout.write(`vmhatch ${packageVersion()}\n`);
  return ExitCode.ok;
}

/** One line for what went wrong; the stack only for what should never happen. */
function report(error: unknown, command: string): void {
  const paint = painter(process.stderr);
  const prefix = paint('red', 'vmhatch:');
  if (error instanceof UsageError) {
    const help = command === '' ? 'vmhatch --help' : `vmhatch ${command} --help`;
    process.stderr.write(`${prefix} ${error.message}\n${paint('dim', `see: ${help}`)}\n`);
  } else if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    process.stderr.write(`${prefix} ${error.message} [${error.code}]\n`);
    if (exitCodeOfError(error) === ExitCode.kvmUnavailable)
      process.stderr.write(`${paint('dim', 'see: vmhatch doctor')}\n`);
  } else {
    process.stderr.write(
      `${prefix} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
  }
}

/**
 * Runs one command line.
 *
 * @param argv - the arguments after the program's name
 * @returns the exit status; errors are reported on standard error and never thrown
 */
export async function dispatch(argv: readonly string[]): Promise<number> {
  const [first, ...rest] = argv;
  let command = '';
  try {
    if (first === undefined) {
      process.stderr.write(generalHelp());
      return ExitCode.usage;
    }
    if (first === '--help' || first === '-h' || first === 'help') {
      if (first === 'help' && rest[0] !== undefined) return await runCommand(rest[0], ['--help']);
      process.stdout.write(generalHelp());
      return ExitCode.ok;
    }
    if (first === '--version' || first === '-v') return printVersion();
    if (first.startsWith('-')) {
      throw new UsageError(`unknown option '${first}'${didYouMean(first, ['--help', '--version'])}`);
    }
    command = commands.some(({ name }) => name === first) ? first : '';
    return await runCommand(first, rest);
  } catch (error) {
    report(error, command);
    return exitCodeOfError(error);
  }
}
