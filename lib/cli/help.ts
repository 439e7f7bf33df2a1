import { exitCodeMeanings } from './exit-codes.ts';
import type { OptionSpecs } from './options.ts';
import { painter } from './style.ts';

export interface HelpText {
  /** What follows `vmhatch ` in the usage line. */
  readonly usage: string;
  /** What the command does, a few lines. */
  readonly about: string;
  readonly options: OptionSpecs;
  /** Command lines that work, each with what it does. */
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** Titled paragraphs after the options. */
  readonly notes?: readonly (readonly [title: string, text: string])[];
}

/** `--load ADDR`, `--[no-]serial`. */
function optionLabel(name: string, spec: OptionSpecs[string]): string {
  if (spec.negatable === true) return `--[no-]${name}`;
  return spec.value === undefined ? `--${name}` : `--${name} ${spec.value}`;
}

/** Two columns; lines of the right one are wrapped by the caller's newlines. */
export function columns(rows: readonly (readonly [left: string, right: string])[], indent = '  '): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const hanging = `\n${indent}${' '.repeat(width)}`;
  return rows
    .map(([left, right]) => `${indent}${left.padEnd(width)}${right.replaceAll('\n', hanging)}\n`)
    .join('');
}

/** The table of exit statuses, for every help. */
export function exitCodeTable(): string {
  return columns(exitCodeMeanings.map(([code, meaning]) => [String(code).padStart(3), meaning]));
}

/** Lays out a command's help, for standard output. */
export function renderHelp(text: HelpText): string {
  const paint = painter(process.stdout);
  const title = (words: string): string => paint('bold', words);
  const options: (readonly [string, string])[] = Object.entries(text.options).map(([name, spec]) => [
    optionLabel(name, spec),
    spec.help,
  ]);
  options.push(['--help', 'this text'], ['--version', "the package's version"]);
  return [
    `${title('Usage:')} vmhatch ${text.usage}\n`,
    `${text.about}\n`,
    `${title('Options:')}\n${columns(options)}`,
    ...(text.notes ?? []).map(([heading, body]) => `${title(`${heading}:`)}\n${body}\n`),
    `${title('Examples:')}\n${text.examples
      .map(([command, what]) => `  ${paint('dim', `# ${what}`)}\n  ${command}\n`)
      .join('')}`,
    `${title('Exit status:')}\n${exitCodeTable()}`,
  ].join('\n');
}
