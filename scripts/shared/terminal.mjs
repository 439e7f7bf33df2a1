// How the scripts speak: colour only where a person looks, times that can be read at a glance.
const colour =
  process.env['NO_COLOR'] === undefined && (process.stdout.isTTY || process.env['FORCE_COLOR'] === '1');

/** True where colours are shown. */
export const colourful = colour;

/**
 * @param {number} code
 * @returns {(text: string) => string}
 */
function style(code) {
  return (text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
}

export const bold = style(1);
export const dim = style(2);
export const red = style(31);
export const green = style(32);
export const yellow = style(33);
export const cyan = style(36);

/** @param {string} text */
export function say(text = '') {
  process.stdout.write(`${text}\n`);
}

/**
 * A heading that is easy to find in a long log.
 * @param {string} title
 * @param {string} detail
 */
export function heading(title, detail = '') {
  say();
  say(`${cyan('━━')} ${bold(title)}${detail === '' ? '' : ` ${dim(detail)}`}`);
}

/**
 * A time span, as a person says it.
 * @param {number} milliseconds
 */
export function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${String(Math.round(seconds) % 60).padStart(2, '0')} s`;
}
