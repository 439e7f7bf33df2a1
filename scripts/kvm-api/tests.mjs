// The tests that rows name: `kvm/vm.test.ts › the clock can be set, and runs`.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readText } from '../house/source.mjs';

/** @type {Map<string, string>} */
const cache = new Map();

/**
 * @param {string} root
 * @param {string} path
 */
function text(root, path) {
  const key = join(root, path);
  let found = cache.get(key);
  if (found === undefined) {
    found = readText(root, path);
    cache.set(key, found);
  }
  return found;
}

/**
 * The titles of a test file, as they are written there: of a template with its `${…}`. A test is what is called at the
 * start of a line with a title and a function of `t`: ava's test(), or one that a file makes of it.
 * @param {string} source
 */
export function titlesOf(source) {
  const calls = source.matchAll(
    /^ *[a-z]\w*(?:\.serial)?\(\s*(?:'((?:\\.|[^'\\\n])*)'|"((?:\\.|[^"\\\n])*)"|`((?:\\.|[^`\\\n])*)`),\s*(?:async )?\(t\b/gm,
  );
  return [...calls].map((match) => (match[1] ?? match[2] ?? match[3] ?? '').replaceAll(/\\(.)/g, '$1'));
}

/**
 * What is wrong with the name of a test, or undefined.
 * @param {string} root
 * @param {string} name file below __test__ › title, or a Rust test: crates/…/file.rs › function
 * @param {readonly string[]} words one of which must stand in a TypeScript file: what the row is about
 * @returns {string | undefined}
 */
export function wrongTest(root, name, words) {
  const [file = '', ...rest] = name.split(' › ');
  const title = rest.join(' › ');
  const isRust = file.endsWith('.rs');
  const path = isRust ? file : `__test__/${file}`;
  if (!existsSync(join(root, path))) return `${path} does not exist`;
  const source = text(root, path);
  if (isRust) {
    const found = new RegExp(`#\\[test\\]\\s*fn ${title}\\(`).test(source);
    return found ? undefined : `${path} has no test '${title}'`;
  }
  if (!titlesOf(source).includes(title)) return `${path} has no test '${title}'`;
  if (words.length > 0 && !words.some((word) => new RegExp(`\\b${word}\\b`).test(source))) {
    return `${path} does not mention ${words.join(' or ')}`;
  }
  return undefined;
}
