// Reading sources without a parser: comments and literals are blanked out, so that what is left is code, at the
// same offsets and on the same lines.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

const notOurs = new Set(['node_modules', 'target', 'dist', '.git', '.cache', 'native.cjs', 'native.d.cts']);

/**
 * The files a person wrote (and the lockfiles), as paths relative to the root, with forward slashes.
 * @param {string} root
 * @param {string} [under] only this folder
 * @returns {string[]}
 */
export function ourFiles(root, under = '') {
  /** @type {string[]} */
  const found = [];
  /** @param {string} folder */
  const visit = (folder) => {
    for (const name of readdirSync(folder).toSorted()) {
      if (notOurs.has(name)) continue;
      const path = join(folder, name);
      const local = relative(root, path).split(sep).join('/');
      if (local === 'docs/api') continue;
      if (statSync(path).isDirectory()) visit(path);
      else found.push(local);
    }
  };
  const start = join(root, under);
  if (existsSync(start)) visit(start);
  return found;
}

/**
 * @param {string} root
 * @param {string} path
 */
export function readText(root, path) {
  return readFileSync(join(root, path), 'utf8');
}

/** @param {string} text */
function blank(text) {
  return text.replaceAll(/[^\n]/g, ' ');
}

/**
 * TypeScript or JavaScript without its comments; strings stay, templates go.
 * @param {string} text
 */
export function typescriptCode(text) {
  const tokens = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  return text.replaceAll(tokens, (token) =>
    token.startsWith("'") || token.startsWith('"') ? token : blank(token),
  );
}

/**
 * Rust without its comments, strings and character literals.
 * @param {string} text
 */
export function rustCode(text) {
  const tokens =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|b?r(#*)"[\s\S]*?"\1|[bc]?"(?:\\[\s\S]|[^"\\])*"|b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^'\\\n])'/g;
  return text.replaceAll(tokens, blank);
}

/**
 * @param {string} text
 * @param {number} offset
 */
export function lineAt(text, offset) {
  return text.slice(0, offset).split('\n').length;
}

/**
 * @typedef {object} Import
 * @property {string} specifier
 * @property {boolean} typeOnly erased by the compiler: no module is loaded
 * @property {number} line
 */

/**
 * Every module that a source names: static, dynamic and required.
 * @param {string} text
 * @returns {Import[]}
 */
export function importsOf(text) {
  const code = typescriptCode(text);
  /** @type {Import[]} */
  const found = [];
  const fixed = /\b(?:import|export)\s+(type\s+(?!from\b))?(?:[\w$*{}\s,]+?\s*\bfrom\s+)?(['"])([^'"\n]+)\2/g;
  for (const match of code.matchAll(fixed)) {
    found.push({
      specifier: match[3] ?? '',
      typeOnly: match[1] !== undefined,
      line: lineAt(code, match.index),
    });
  }
  for (const match of code.matchAll(/(?<!#)\b(?:import|require)\s*\(\s*(['"])([^'"\n]+)\1/g)) {
    found.push({ specifier: match[2] ?? '', typeOnly: false, line: lineAt(code, match.index) });
  }
  return found;
}
