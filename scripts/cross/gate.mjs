// What an addon must be before anybody gets it: small, stripped, for its machine, and content with the libraries that
// every system of its kind has.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { root } from '../shared/paths.mjs';
import { compareVersions, readElf } from './elf.mjs';
import { entryPoint, mostBytes, oldestGlibc } from './targets.mjs';

/** @typedef {import('./targets.mjs').Target} Target */

const glibcLibraries = /^(?:lib(?:c|m|dl|pthread|rt)\.so\.\d|ld-linux-(?:x86-64|aarch64)\.so\.\d)$/;
/** musl is one file, under this name everywhere: its loader takes itself for it. */
const muslLibrary = /^libc\.so$/;
const sharedObject = 3;

/**
 * @typedef {object} Verdict
 * @property {number} bytes
 * @property {string[]} needed
 * @property {string} highest the highest version of a symbol that it needs; empty where there are none
 * @property {string[]} violations empty: it may be published
 */

/**
 * @param {Target} target
 * @param {Buffer} file
 * @returns {Verdict}
 */
export function judge(target, file) {
  const facts = readElf(file);
  const violations = [];
  const highest = facts.versions.at(-1) ?? '';
  if (facts.machine !== target.machine)
    violations.push(`is for machine ${facts.machine}, not ${target.machine}`);
  if (facts.type !== sharedObject) violations.push(`is an ELF file of type ${facts.type}, no shared object`);
  if (file.length > mostBytes) violations.push(`has ${file.length} bytes; at most ${mostBytes}`);
  if (facts.symbols) violations.push('is not stripped');
  if (facts.executableStack) violations.push('asks for a stack that can be executed');
  for (const path of facts.runPaths) violations.push(`looks for libraries in ${path}`);
  const allowed = target.libc === 'gnu' ? glibcLibraries : muslLibrary;
  for (const library of facts.needed.filter((name) => !allowed.test(name)))
    violations.push(`needs ${library}`);
  for (const version of facts.versions) {
    if (target.libc === 'musl') violations.push(`needs ${version}, and musl has no versions`);
    else if (!version.startsWith('GLIBC_')) violations.push(`needs ${version}`);
    else if (compareVersions(version, `GLIBC_${oldestGlibc}`) > 0) {
      violations.push(`needs ${version}; at most GLIBC_${oldestGlibc}`);
    }
  }
  if (!facts.exports.includes(entryPoint)) violations.push(`does not offer ${entryPoint}`);
  for (const name of facts.exports.filter((each) => each !== entryPoint)) violations.push(`offers ${name}`);
  // A path of the machine that built it says nothing to anybody, and changes the file.
  for (const folder of [homedir(), root]) {
    if (folder.length > 1 && file.includes(`${folder}/`))
      violations.push('holds paths of the machine that built it');
  }
  return { bytes: file.length, needed: facts.needed, highest, violations };
}

/**
 * @param {Target} target
 * @param {string} path
 */
export function judgeFile(target, path) {
  return judge(target, readFileSync(path));
}
