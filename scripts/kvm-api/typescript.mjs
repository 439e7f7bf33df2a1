// What the package offers, read from its sources: the members of the exported classes, and what index.ts exports.
import { ourFiles, readText } from '../house/source.mjs';

/**
 * @typedef {object} Package
 * @property {ReadonlyMap<string, ReadonlySet<string>>} members by exported class, with what it inherits
 * @property {ReadonlySet<string>} exports what index.ts exports, types included
 */

/**
 * @typedef {object} ClassSource
 * @property {string} base the class that it extends, or ''
 * @property {Set<string>} members
 */

/** Modifiers that may stand before a public member; prettier indents it by two spaces. */
const member =
  /^ {2}(?! )(?:(?:static|override|readonly|abstract|declare|async|get|set|accessor) )*\*?([A-Za-z_$][\w$]*)[?!]?(?:<[^\n]*>)?(?:\(|:| =|;)/gm;

/**
 * The classes of a source. Comments may stand in it: a line of theirs begins with a star or a slash.
 * @param {string} source
 * @returns {Map<string, ClassSource>}
 */
export function classesOf(source) {
  /** @type {Map<string, ClassSource>} */
  const classes = new Map();
  const header = /^export (?:abstract )?class (\w+)(?:<[^{]*?>)?(?: extends (\w+))?[^{]*\{$/gm;
  for (const match of source.matchAll(header)) {
    const end = source.indexOf('\n}\n', match.index);
    const body = source.slice(match.index + match[0].length, end);
    const names = [...body.matchAll(member)]
      .filter(({ index }) => !body.slice(0, index).trimEnd().endsWith('/** @internal */'))
      .map(({ 1: name = '' }) => name)
      .filter((name) => name !== 'constructor' && name !== 'private' && name !== 'protected');
    classes.set(match[1] ?? '', { base: match[2] ?? '', members: new Set(names) });
  }
  return classes;
}

/**
 * The names that an index exports, renamed as it renames them.
 * @param {string} source
 */
export function exportsOf(source) {
  const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(({ 1: list = '' }) =>
    list.split(','),
  );
  return new Set(
    lists
      .map((one) => one.trim().replace(/^type /, ''))
      .filter((one) => one !== '')
      .map((one) => / as (\w+)$/.exec(one)?.[1] ?? one),
  );
}

/**
 * Reads the sources.
 * @param {string} root
 * @returns {Package}
 */
export function readPackage(root) {
  /** @type {Map<string, ClassSource>} */
  const classes = new Map();
  for (const path of ourFiles(root, 'lib').filter((name) => name.endsWith('.ts'))) {
    for (const [name, source] of classesOf(readText(root, path))) classes.set(name, source);
  }
  const exported = exportsOf(readText(root, 'index.ts'));
  /** @type {Map<string, Set<string>>} */
  const members = new Map();
  for (const name of exported) {
    if (!classes.has(name)) continue;
    const own = new Set(['new']);
    for (let at = classes.get(name); at !== undefined; at = classes.get(at.base)) {
      for (const one of at.members) own.add(one);
    }
    members.set(name, own);
  }
  return { members, exports: exported };
}

/**
 * Whether the package has what a row names: `Vm.createVcpu`, `new Kvm`, `exits.ioOut`, `msrName()`, or options of a
 * member in parentheses, which are not looked at: `Vm.createVcpu({ … })`.
 * @param {Package} offered
 * @param {string} name
 */
export function offers({ members, exports }, name) {
  const made = /^new (\w+)/.exec(name);
  if (made !== null) return members.has(made[1] ?? '');
  const plain = name.replace(/\(.*$/, '');
  const [owner = '', key] = plain.split('.');
  return key === undefined ? exports.has(owner) : members.get(owner)?.has(key) === true;
}
