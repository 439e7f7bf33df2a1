// Packages of a newer Debian than this machine's, unpacked into the cache: sources, static things and kernels, nothing
// that is installed. The archive is the one that this machine's apt uses; nobody else is asked.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { controlField, findProgram, ownArchitecture, touch } from './debian.mjs';
import { withLock } from './lock.mjs';
import { cacheDirectory } from './paths.mjs';
import { ask, run } from './process.mjs';
import { inWorkFolder } from './work-folder.mjs';

const store = join(cacheDirectory, 'archive');
const listsLastMs = 3600 * 1000;
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * @typedef {object} Wanted
 * @property {string} name of the package
 * @property {readonly string[]} suites of the archive, such as 'trixie'
 * @property {string} architecture by Debian's name
 * @property {(version: string) => boolean} [accepts] which versions will do; by default the newest does
 * @property {boolean} [download] bring it into the cache if it is not there (true)
 * @property {boolean} [refresh] ask the archive, whatever the cache has (false)
 * @property {number} [kept] how many versions stay in the cache, the newest; by default all that were fetched
 * @property {string} [only] unpack these files alone: a pattern of tar's, beginning with './'
 */

/**
 * @typedef {object} Found
 * @property {string} root the folder that holds its files, as `/` would
 * @property {string} depends its Depends field; empty where it has none
 */

/**
 * What of apt's index targets (`REPO_URI|RELEASE|COMPONENT`, one a line) is Debian's archive for a release.
 * @param {string} targets
 * @param {string} codename
 */
export function archiveBase(targets, codename) {
  const lines = targets.split('\n').map((line) => line.trim().split('|'));
  return lines.find(([, release, component]) => release === codename && component === 'main')?.[0];
}

/** @returns {Promise<string | undefined>} the address of the archive that apt uses */
async function findArchive() {
  if (findProgram('apt-get') === undefined || !existsSync('/etc/os-release')) return undefined;
  const system = readFileSync('/etc/os-release', 'utf8');
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(system)?.[1];
  if (!/^ID=debian$/m.test(system) || codename === undefined) return undefined;
  const format = '$(REPO_URI)|$(RELEASE)|$(COMPONENT)';
  const listed = await ask('apt-get', 'indextargets', '--format', format, 'Created-By: Packages');
  return archiveBase(listed ?? '', codename);
}

/**
 * Packages for all architectures are listed with those of each.
 * @param {string} architecture
 */
function listedFor(architecture) {
  return architecture === 'all' ? ownArchitecture : architecture;
}

/**
 * apt's options for lists of our own with these suites alone.
 * @param {string} base
 * @param {string} archive
 * @param {Wanted} wanted
 */
function settings(base, archive, { suites, architecture }) {
  for (const folder of ['lists/partial', 'cache/partial']) mkdirSync(join(base, folder), { recursive: true });
  const sources = join(base, 'archive.sources');
  const lines = ['Types: deb', `URIs: ${archive}`, `Suites: ${suites.join(' ')}`, 'Components: main'];
  writeFileSync(sources, [...lines, `Signed-By: ${keyring}`, ''].join('\n'));
  const options = {
    'Dir::Etc::SourceList': sources,
    'Dir::Etc::SourceParts': '-',
    'Dir::State::Lists': join(base, 'lists'),
    'Dir::Cache': join(base, 'cache'),
    'APT::Architecture': listedFor(architecture),
    'APT::Architectures': listedFor(architecture),
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
  };
  return Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

/**
 * The versions that `apt-cache madison` lists, the newest first.
 * @param {string} text
 */
export function madisonVersions(text) {
  const versions = text.split('\n').map((line) => line.split('|')[1]?.trim() ?? '');
  return [...new Set(versions.filter((version) => version !== ''))];
}

/** The folder of a package's control files, as in a package that is not built yet (dpkg-deb(1), --raw-extract). */
const controlFolder = 'DEBIAN';

/**
 * @param {string} root
 * @returns {Found}
 */
function describe(root) {
  const control = join(root, controlFolder, 'control');
  return { root, depends: existsSync(control) ? controlField(readFileSync(control, 'utf8'), 'Depends') : '' };
}

/**
 * The versions in the cache that will do, the one that came last first.
 * @param {Wanted} wanted
 */
function cachedRoots({ name, architecture, accepts = () => true }) {
  if (!existsSync(store)) return [];
  return readdirSync(store)
    .filter((entry) => entry.startsWith(`${name}_`) && entry.endsWith(`_${architecture}`))
    .filter((entry) => accepts(entry.split('_')[1] ?? ''))
    .map((entry) => join(store, entry))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
}

/**
 * @param {Wanted} wanted
 * @returns {Promise<Found | { missing: string }>}
 */
async function fetchPackage(wanted) {
  const { name, suites, architecture, accepts = () => true, only = '*' } = wanted;
  const archive = await findArchive();
  if (archive === undefined) return { missing: `${name}: apt on this machine knows no archive of Debian` };
  const base = join(store, `lists-${suites.join('-')}-${listedFor(architecture)}`);
  const options = settings(base, archive, wanted);
  const stamp = join(base, 'updated');
  /** @type {(program: string, ...args: string[]) => Promise<import('./process.mjs').RunResult>} */
  const apt = (program, ...args) =>
    run(program, [...options, ...args], { quiet: true, cwd: base, env: { LC_ALL: 'C' } });
  if (wanted.refresh || !existsSync(stamp) || Date.now() - statSync(stamp).mtimeMs > listsLastMs) {
    const updated = await apt('apt-get', '-qq', 'update');
    if (updated.ok) writeFileSync(stamp, '');
  }
  const versions = madisonVersions((await apt('apt-cache', 'madison', name)).output);
  const version = versions.find((candidate) => accepts(candidate));
  if (version === undefined) {
    const offered = versions.length === 0 ? 'nothing' : versions.join(', ');
    return { missing: `Debian's ${suites.join(' and ')} offer ${offered} for ${name} (${architecture})` };
  }
  return inWorkFolder(store, async (work) => {
    process.stderr.write(`downloading Debian's ${name} ${version} (${architecture})\n`);
    const result = await run('apt-get', [...options, '-qq', 'download', `${name}=${version}`], {
      cwd: work,
      quiet: true,
      env: { LC_ALL: 'C' },
    });
    const file = readdirSync(work).find((entry) => entry.endsWith('.deb'));
    if (file === undefined)
      return { missing: `apt-get download ${name}: ${result.output.trim() || result.ending}` };
    mkdirSync(join(work, 'root'));
    const unpack =
      'set -o pipefail; dpkg-deb --fsys-tarfile "$0" | tar -x -C root --wildcards "$1" && dpkg-deb --control "$0" "$2"';
    const control = join('root', controlFolder);
    const unpacked = await run('bash', ['-c', unpack, file, only, control], { cwd: work, quiet: true });
    if (!unpacked.ok) return { missing: `unpacking ${file}: ${unpacked.output.trim() || unpacked.ending}` };
    const root = join(store, `${name}_${version}_${architecture}`);
    if (!existsSync(root)) renameSync(join(work, 'root'), root);
    touch(root);
    for (const old of cachedRoots(wanted).slice(wanted.kept ?? Infinity)) {
      rmSync(old, { recursive: true, force: true });
    }
    return describe(root);
  });
}

/**
 * A package in the cache, or brought there. One that is there and will do is taken without asking.
 * @param {Wanted} wanted
 * @returns {Promise<Found | { missing: string }>}
 */
export async function findInArchive(wanted) {
  const { name, architecture, refresh = false } = wanted;
  const cached = () => {
    const [newest] = cachedRoots(wanted);
    return newest === undefined ? undefined : describe(newest);
  };
  if (wanted.download === false) {
    return cached() ?? { missing: `Debian's ${name} (${architecture}) is not in ${store}` };
  }
  const enough = () => (refresh ? undefined : cached());
  return enough() ?? withLock(join(store, 'lock'), async () => enough() ?? (await fetchPackage(wanted)));
}
