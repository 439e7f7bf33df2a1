// What must be on the machine before anything else, and a sentence for each thing that is not.
import { ask } from './process.mjs';

const oldestNode = [20, 19];
const oldestRust = [1, 88];

/**
 * @param {string | undefined} text
 * @param {readonly number[]} oldest
 */
export function atLeast(text, oldest) {
  const [major = 0, minor = 0] = (text?.match(/\d+\.\d+/)?.[0] ?? '0.0').split('.').map(Number);
  return major > (oldest[0] ?? 0) || (major === oldest[0] && minor >= (oldest[1] ?? 0));
}

/**
 * The tools found, and what is missing with the way to mend it.
 * @returns {Promise<{ found: string[], missing: string[] }>}
 */
export async function checkTools() {
  const found = [`node ${process.version}`];
  const missing = [];
  if (!atLeast(process.version, oldestNode)) {
    missing.push(
      `Node ${oldestNode.join('.')} or newer is needed; this is ${process.version}. See https://nodejs.org/`,
    );
  }
  const rustc = await ask('rustc', '--version');
  const cargo = await ask('cargo', '--version');
  if (rustc === undefined || cargo === undefined) {
    missing.push('cargo and rustc are needed to build the addon. See https://rustup.rs/');
  } else if (!atLeast(rustc, oldestRust)) {
    missing.push(`Rust ${oldestRust.join('.')} or newer is needed; this is ${rustc}. Try: rustup update`);
  } else {
    found.push(cargo.replace(/ \(.*/, ''));
  }
  const compiler = process.env['CC'] || 'cc';
  const cc = await ask(compiler, '-dumpversion');
  if (cc === undefined) {
    missing.push(
      `A C compiler is needed to link the addon ('${compiler}' was not found). On Debian: apt-get install gcc libc6-dev`,
    );
  } else {
    found.push(`${compiler} ${cc}`);
  }
  return { found, missing };
}
