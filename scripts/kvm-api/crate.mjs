// What the crate kvm-ioctls offers, read from the source that cargo has of the locked version.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../shared/paths.mjs';

/** The architectures that this project is about. */
export const architectures = /** @type {const} */ (['x86_64', 'aarch64']);

/** @typedef {(typeof architectures)[number]} Architecture */

/**
 * @typedef {object} Method
 * @property {string} owner the type, or '' for a function of the crate
 * @property {string} name
 * @property {readonly Architecture[]} on where it exists
 * @property {readonly string[]} ioctls that it makes, by itself or through other methods of its type
 */

/**
 * @typedef {object} Crate
 * @property {string} version
 * @property {readonly Method[]} methods
 * @property {readonly string[]} exits variants of VcpuExit
 * @property {readonly string[]} capabilities variants of Cap
 */

/**
 * Where cargo has the crate, and which version it is.
 * @returns {{ version: string, folder: string }}
 */
export function findCrate() {
  /** @type {{ packages: { name: string, version: string, manifest_path: string }[] }} */
  const metadata = JSON.parse(
    execFileSync('cargo', ['metadata', '--format-version', '1', '--locked'], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    }),
  );
  const found = metadata.packages.find(({ name }) => name === 'kvm-ioctls');
  if (found === undefined) throw new Error('cargo metadata does not list kvm-ioctls');
  return { version: found.version, folder: dirname(found.manifest_path) };
}

/**
 * A Rust source without its comments and its tests.
 * @param {string} source
 */
function code(source) {
  const plain = source.replaceAll(/\/\/[^\n]*/g, '');
  const tests = /^#\[cfg\(test\)\]\s*^mod /m.exec(plain);
  return tests === null ? plain : plain.slice(0, tests.index);
}

/**
 * Whether `#[cfg(…)]` holds on an architecture. Of other conditions nothing is known: an error.
 * @param {string} condition
 * @param {Architecture} architecture
 * @returns {boolean}
 */
export function holds(condition, architecture) {
  const text = condition.trim().replace(/,$/, '');
  const target = /^target_arch\s*=\s*"(\w+)"$/.exec(text);
  if (target !== null) return target[1] === architecture;
  const group = /^(any|all|not)\s*\(([\s\S]*)\)$/.exec(text);
  if (group === null) throw new Error(`a condition that is not understood: ${text}`);
  const parts = splitList(group[2] ?? '').map((part) => holds(part, architecture));
  if (group[1] === 'any') return parts.includes(true);
  if (group[1] === 'all') return !parts.includes(false);
  return parts[0] !== true;
}

/**
 * The parts between commas that no parenthesis holds.
 * @param {string} text
 */
function splitList(text) {
  /** @type {string[]} */
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/**
 * What stands between a bracket and the one that closes it.
 * @param {string} text
 * @param {number} open where the bracket is
 */
function bracketed(text, open) {
  const pairs = new Map([
    ['{', '}'],
    ['(', ')'],
  ]);
  const from = text[open] ?? '';
  const to = pairs.get(from);
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (text[at] === from) depth += 1;
    if (text[at] === to) depth -= 1;
    if (depth === 0) return text.slice(open + 1, at);
  }
  throw new Error(`a '${from}' that is never closed`);
}

/**
 * The architectures of an item, by the attributes right before it.
 * @param {string} before what stands before the item
 */
function architecturesOf(before) {
  const attributes = before.slice(Math.max(before.lastIndexOf(';'), before.lastIndexOf('}')) + 1);
  const conditions = [...attributes.matchAll(/#\[cfg\(/g)].map((match) =>
    bracketed(attributes, match.index + match[0].length - 1),
  );
  return architectures.filter((one) => conditions.every((condition) => holds(condition, one)));
}

/**
 * @typedef {object} Found
 * @property {string} name
 * @property {Architecture[]} on
 * @property {string} body
 */

/**
 * The public functions of a text, those of an impl block or those of a module.
 * @param {string} text
 * @param {string} indent what they are indented by
 * @returns {Found[]}
 */
function functionsOf(text, indent) {
  const pattern = new RegExp(`^${indent}pub (?:const )?(?:unsafe )?fn (\\w+)`, 'gm');
  return [...text.matchAll(pattern)].map((match) => ({
    name: match[1] ?? '',
    on: architecturesOf(text.slice(0, match.index)),
    body: bracketed(text, bodyStart(text, match.index)),
  }));
}

/**
 * The brace that opens a function's body: the first one behind its parameters.
 * @param {string} text
 * @param {number} at
 */
function bodyStart(text, at) {
  const parameters = text.indexOf('(', at);
  return text.indexOf('{', parameters + bracketed(text, parameters).length);
}

/**
 * The ioctls of each function, its own and those of the functions of its type that it calls.
 * @param {readonly Found[]} functions
 * @param {string} name
 * @param {ReadonlySet<string>} [trail]
 * @returns {string[]}
 */
function ioctlsOf(functions, name, trail = new Set()) {
  if (trail.has(name)) return [];
  const found = new Set();
  for (const { body } of functions.filter((one) => one.name === name)) {
    for (const [, ioctl = ''] of body.matchAll(/\b(KVM_[A-Z\d_]+)\(\)/g)) found.add(ioctl);
    for (const [, callee = ''] of body.matchAll(/\b(?:self\.|Self::)(\w+)\(/g)) {
      for (const ioctl of ioctlsOf(functions, callee, new Set([...trail, name]))) found.add(ioctl);
    }
  }
  return [...found];
}

/**
 * @param {string} source
 * @param {readonly string[]} exported the types that the crate exports
 * @returns {Method[]}
 */
export function methodsOf(source, exported) {
  const text = code(source);
  /** @type {Method[]} */
  const methods = [];
  for (const match of text.matchAll(/^impl(?:<[^>]*>)? (\w+)(?:<[^>]*>)? \{/gm)) {
    const owner = match[1] ?? '';
    if (!exported.includes(owner)) continue;
    const block = bracketed(text, match.index + match[0].length - 1);
    const functions = functionsOf(block, '    ');
    // Private ones are called by public ones.
    const all = [...block.matchAll(/\bfn (\w+)/g)].map(({ 1: name = '', index }) => ({
      name,
      on: [],
      body: bracketed(block, bodyStart(block, index)),
    }));
    for (const name of new Set(functions.map((one) => one.name))) {
      const on = architectures.filter((one) =>
        functions.some((candidate) => candidate.name === name && candidate.on.includes(one)),
      );
      methods.push({ owner, name, on, ioctls: ioctlsOf(all, name) });
    }
  }
  for (const { name, on } of functionsOf(text, '')) {
    if (exported.includes(name)) methods.push({ owner: '', name, on, ioctls: [] });
  }
  return methods;
}

/**
 * The variants of an enum.
 * @param {string} source
 * @param {string} name
 */
export function variantsOf(source, name) {
  const text = code(source);
  const start = new RegExp(`^pub enum ${name}\\b[^{]*\\{`, 'm').exec(text);
  if (start === null) throw new Error(`there is no enum ${name}`);
  const body = bracketed(text, start.index + start[0].length - 1).replaceAll(/#\[[^\]]*\]/g, '');
  return [...body.matchAll(/^ {4}([A-Z]\w*)/gm)].map((match) => match[1] ?? '');
}

/**
 * What a crate's root names in `pub use`.
 * @param {string} source
 */
function exportsOf(source) {
  return [...code(source).matchAll(/^pub use ([\w:]+)(?:::\{([^}]*)\})?;/gm)].flatMap(
    ([, path = '', list]) => (list === undefined ? [path.split('::').at(-1) ?? ''] : splitList(list)),
  );
}

/**
 * Reads the crate.
 * @param {string} folder
 * @param {string} version
 * @returns {Crate}
 */
export function readCrate(folder, version) {
  const read = (/** @type {string} */ path) => readFileSync(join(folder, 'src', path), 'utf8');
  const exported = exportsOf(read('lib.rs'));
  const files = readdirSync(join(folder, 'src/ioctls')).filter((name) => name.endsWith('.rs'));
  return {
    version,
    methods: files.toSorted().flatMap((name) => methodsOf(read(`ioctls/${name}`), exported)),
    exits: variantsOf(read('ioctls/vcpu.rs'), 'VcpuExit'),
    capabilities: variantsOf(read('cap.rs'), 'Cap'),
  };
}
