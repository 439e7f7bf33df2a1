// What holds for every file: its length, and what must not be written in it.
import { lineAt, ourFiles, readText } from './source.mjs';

const longest = 500;
const source = /\.(?:ts|mts|cts|mjs|cjs|js|rs|c|h|S|s|asm|ld|sh)$/;

/**
 * Sources short enough to be read in one go.
 * @param {string} root
 * @returns {string[]}
 */
export function checkLengths(root) {
  return ourFiles(root)
    .filter((path) => source.test(path))
    .map((path) => ({ path, lines: readText(root, path).trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > longest)
    .map(({ path, lines }) => `${path}: ${lines} lines; at most ${longest}`);
}

/**
 * @typedef {object} Banned
 * @property {RegExp} files
 * @property {RegExp} text
 * @property {string} why
 */

/** @type {readonly Banned[]} */
const banned = [
  {
    files: source,
    text: /\b(?:TO[D]O|FIXM[E])\b|\b(?:todo|unimplemented)!\(/,
    why: 'a placeholder: finish it or take it out',
  },
  {
    files: /^__test__\/.*\.ts$/,
    text: /\btest(?:\.serial)?\.(?:only|failing|todo)\(/,
    why: 'a test that runs alone, or is expected to fail, hides others',
  },
  { files: /^crates\/.*\.rs$/, text: /#\[ignore\b/, why: 'a test that never runs' },
  {
    files: /(?:^|\/)package-lock\.json$/,
    text: /"resolved":\s*"(?:https?|git)/,
    why: 'the lockfile names a registry; npm install with the .npmrc of this checkout',
  },
  {
    files: /(?:^|\/)\.npmrc$/,
    text: /^\s*(?:@[^:\s]+:)?(?:registry|\/\/\S+)\s*=|_auth/m,
    why: 'a registry is set on the machine, not here',
  },
  {
    files: /(?:^|\/)Cargo\.lock$/,
    text: /^source = "(?!registry\+https:\/\/github\.com\/rust-lang\/crates\.io-index")/m,
    why: 'a crate that does not come from crates.io',
  },
  {
    files: /(?:^|\/)\.cargo\/config(?:\.toml)?$/,
    text: /^\s*\[(?:source|registries)\b/m,
    why: 'a registry is set on the machine, not here',
  },
  {
    files: /^(?!package-lock\.json$|Cargo\.lock$)/,
    text: /(?<![\w.])\/(?:root|home\/[a-z][\w-]*)\//,
    why: 'a path on one machine',
  },
];

/**
 * @param {string} root
 * @returns {string[]}
 */
export function checkTexts(root) {
  return ourFiles(root)
    .filter((path) => !/\.(?:node|bin|png|elf|tgz|gz)$/.test(path))
    .flatMap((path) => {
      const rules = banned.filter(({ files }) => files.test(path));
      if (rules.length === 0) return [];
      const text = readText(root, path);
      return rules.flatMap((rule) => {
        const match = rule.text.exec(text);
        return match ? [`${path}:${lineAt(text, match.index)}: ${rule.why}`] : [];
      });
    });
}

/**
 * Files that look like tests and that no test runner would find.
 * @param {string} root
 * @returns {string[]}
 */
export function checkTestNames(root) {
  return ourFiles(root, '__test__')
    .filter((path) => /\.test[-.]?\w*\.\w+$/.test(path))
    .filter(
      (path) =>
        !/^__test__\/(?:unit|kvm|linux|aarch64|stress|package)\/.*\.test\.ts$/.test(path) &&
        !/^__test__\/types\/.*\.test-d\.ts$/.test(path),
    )
    .map(
      (path) =>
        `${path}: no runner finds this; tests are __test__/{unit,kvm,linux,aarch64,stress,package}/**/*.test.ts and __test__/types/**/*.test-d.ts`,
    );
}
