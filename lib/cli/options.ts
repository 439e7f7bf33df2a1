import { parseArgs } from 'node:util';

import { didYouMean, UsageError } from './usage-error.ts';

/** One option of a command: what parses it and what the help says about it, in one place. */
export interface OptionSpec {
  readonly type: 'boolean' | 'string';
  /** The help's name for the value, as in `--load ADDR`. Only for strings. */
  readonly value?: string;
  /** What the help says; the default included, where there is one. */
  readonly help: string;
  /** A boolean that is on unless `--no-NAME` is given. */
  readonly negatable?: boolean;
  /** A string that may be given more than once: all of them count, in their order. */
  readonly repeatable?: boolean;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** The values of a command's options, strings as they were given. */
export type OptionValues<S extends OptionSpecs> = {
  [K in keyof S]?: S[K]['type'] extends 'boolean'
    ? boolean
    : S[K] extends { readonly repeatable: true }
      ? readonly string[]
      : string;
};

export interface ParsedOptions<S extends OptionSpecs> {
  readonly values: OptionValues<S>;
  readonly positionals: readonly string[];
}

/**
 * Parses a command's arguments; a later option beats an earlier one unless it is repeatable, `--` ends the options.
 *
 * @throws UsageError for an option that does not exist (with the nearest name), a value missing or too many
 */
export function parseOptions<const S extends OptionSpecs>(
  specs: S,
  args: readonly string[],
): ParsedOptions<S> {
  // parseArgs finds the tokens; the refusals are ours, because its own do not know the nearest name.
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(Object.entries(specs).map(([name, { type }]) => [name, { type }])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, boolean | string | string[]> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, on } = resolveName(specs, token.rawName);
    const spec = specs[name]!;
    if (spec.type === 'boolean') {
      if (token.inlineValue) throw new UsageError(`${token.rawName} takes no value`);
      values[name] = on;
    } else {
      const value = stringValue(token, spec);
      values[name] = spec.repeatable === true ? [...((values[name] ?? []) as string[]), value] : value;
    }
  }
  return { values: values as OptionValues<S>, positionals };
}

function resolveName(specs: OptionSpecs, rawName: string): { name: string; on: boolean } {
  const plain = rawName.startsWith('--') ? rawName.slice(2) : '';
  if (Object.hasOwn(specs, plain)) return { name: plain, on: true };
  const negated = plain.startsWith('no-') ? plain.slice(3) : '';
  if (Object.hasOwn(specs, negated) && specs[negated]!.negatable === true)
    return { name: negated, on: false };
  const known = Object.entries(specs).flatMap(([name, { negatable }]) =>
    negatable === true ? [`--${name}`, `--no-${name}`] : [`--${name}`],
  );
  throw new UsageError(
    `unknown option '${rawName}'${didYouMean(rawName, [...known, '--help', '--version'])}`,
  );
}

function stringValue(
  token: { rawName: string; value?: string | undefined; inlineValue?: boolean | undefined },
  spec: OptionSpec,
): string {
  const metavar = spec.value ?? 'VALUE';
  if (token.value === undefined || token.value === '') {
    throw new UsageError(`${token.rawName} wants a value: ${token.rawName} ${metavar}`);
  }
  // `--load --trace` is a forgotten value far more often than a value that begins with a dash.
  if (token.inlineValue !== true && token.value.startsWith('-')) {
    throw new UsageError(
      `${token.rawName} wants a value, and '${token.value}' looks like an option (if you mean it: ${token.rawName}=${token.value})`,
    );
  }
  return token.value;
}

/** The value of an option that need not be there, parsed. */
export function optional<T>(
  text: string | undefined,
  what: string,
  parse: (text: string, what: string) => T,
): T | undefined {
  return text === undefined ? undefined : parse(text, what);
}

/**
 * One of some words.
 *
 * @throws UsageError naming the nearest
 */
export function choose<T extends string>(
  text: string | undefined,
  what: string,
  choices: readonly T[],
): T | undefined {
  const found = choices.find((candidate) => candidate === text);
  if (text === undefined || found !== undefined) return found;
  throw new UsageError(`${what}: '${text}' is none of ${choices.join(', ')}${didYouMean(text, choices)}`);
}
