import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Wraps text in a colour, or leaves it alone. */
export type Paint = (format: Format, text: string) => string;

/**
 * Whether to colour: FORCE_COLOR beats NO_COLOR, as in Node itself; without either, a terminal that is not dumb.
 */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  env: NodeJS.ProcessEnv = process.env,
): boolean {
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

/** The paint for a stream. */
export function painter(stream: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Paint {
  if (!wantsColour(stream, env)) return (_format, text) => text;
  // Newer Nodes ask the stream once more unless told not to; Node 20 knows no third argument.
  const style = styleText as (format: Format, text: string, options: { validateStream: false }) => string;
  return (format, text) => style(format, text, { validateStream: false });
}
