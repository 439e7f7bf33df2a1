// The programs of an emulated host whose processor is not this machine's: Node, and the libraries that it and addons
// need. The shell and its tools are busybox's, from the host's first file system.
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { findPackage, findProgram } from '../shared/debian.mjs';
import { inRoot } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';
import { machines } from './machines.mjs';
import { cachedEntry } from './store.mjs';

/** What the npm package's Node is linked with, and what addons are. */
const libraries = ['libc6', 'libgcc-s1', 'libstdc++6'];

/**
 * @typedef {object} Programs
 * @property {string} libraries a folder
 * @property {string} node
 */

/**
 * The npm package of Node, as `npm install` takes it: of the oldest major version that this package runs on.
 * @param {string} node the architecture by Node's name
 */
function nodePackage(node) {
  const { engines } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  const [major] = /\d+/.exec(engines.node) ?? [];
  return `node-linux-${node}@${major}`;
}

/**
 * Puts the shared libraries of packages into one folder, links as links.
 * @param {readonly string[]} roots of the packages
 * @param {string} triplet
 * @param {string} target
 */
function gatherLibraries(roots, triplet, target) {
  mkdirSync(target);
  const folders = roots.flatMap((root) => ['lib', 'usr/lib'].map((folder) => join(root, folder, triplet)));
  for (const folder of folders.filter(existsSync)) {
    for (const name of readdirSync(folder)) {
      const [from, to] = [join(folder, name), join(target, name)];
      const status = lstatSync(from);
      if (status.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
      else if (status.isFile()) copyFileSync(from, to);
    }
  }
}

/**
 * The programs for a host, from the cache, or from Debian's archive and npm's.
 * @param {import('./machines.mjs').Architecture} arch
 * @returns {Promise<Programs | { missing: string }>}
 */
export async function findPrograms(arch) {
  const { debian: architecture, node } = machines[arch];
  /** @type {string[]} */
  const roots = [];
  for (const name of libraries) {
    const found = await findPackage(name, { architecture });
    if ('missing' in found) return found;
    roots.push(found.root);
  }
  const from = nodePackage(node);
  const hash = createHash('sha256').update(JSON.stringify([roots.map((root) => basename(root)), from]));
  hash.update(readFileSync(import.meta.filename));
  const name = hash.digest('hex').slice(0, 20);
  const program = (/** @type {string} */ base) =>
    join(base, 'node_modules', `node-linux-${node}`, 'bin', 'node');
  let failure = '';
  const folder = await cachedEntry(`programs-${arch}-`, name, 1, async (work) => {
    process.stderr.write(`downloading ${from}\n`);
    const target = join(work, 'programs');
    mkdirSync(target);
    gatherLibraries(roots, `${arch}-linux-gnu`, join(target, 'lib'));
    const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel', 'error'];
    // By force: the package is for another processor than this one.
    const words = ['install', '--prefix', target, '--force', '--prefer-offline', ...quiet, from];
    const result = await run(findProgram('npm') ?? 'npm', words, { cwd: work, quiet: true });
    if (result.ok && existsSync(program(target))) return target;
    const said = result.output.trim().split('\n').slice(-3).join(' ');
    failure = result.ok ? 'it brought no Node' : said || result.ending;
    return undefined;
  });
  if (folder === undefined) return { missing: `npm install ${from}: ${failure}` };
  return { libraries: join(folder, 'lib'), node: program(folder) };
}
