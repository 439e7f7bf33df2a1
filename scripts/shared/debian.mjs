// Debian's packages: unpacked into the cache, which changes nothing of the machine, or installed where we may.
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { withLock } from './lock.mjs';
import { cacheDirectory } from './paths.mjs';
import { run } from './process.mjs';
import { inWorkFolder } from './work-folder.mjs';

const store = join(cacheDirectory, 'debian');
const lock = join(store, 'lock');
const keptVersions = 2;
const listsLastMs = 3600 * 1000;
const env = { LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };

/** The machine's architecture, by Debian's name. */
export const ownArchitecture = process.arch === 'x64' ? 'amd64' : process.arch;

/**
 * @typedef {object} DebianPackage
 * @property {string} root the folder that holds its files, as `/` would
 * @property {string} version
 * @property {string} depends its Depends field; empty where it has none
 */

/**
 * @typedef {object} FindOptions
 * @property {string} [architecture] by Debian's name; the machine's own by default
 * @property {boolean} [download] bring it into the cache if it is not there (true)
 * @property {boolean} [refresh] ask the archive for its version of today, whatever the cache has (false)
 */

/** @typedef {import('./process.mjs').RunResult} RunResult */

/** @param {string} text goes to standard error: callers print a path on standard output */
function note(text) {
  process.stderr.write(`${text}\n`);
}

/** @param {RunResult} result */
function reason(result) {
  return result.output.trim().split('\n').slice(-3).join(' ') || result.ending;
}

/**
 * A field of a package's control file (deb-control(5)), its continuation lines joined.
 * @param {string} control
 * @param {string} name
 */
export function controlField(control, name) {
  const match = new RegExp(`^${name}:(.*(?:\\n[ \\t].*)*)`, 'm').exec(control);
  return (match?.[1] ?? '').replaceAll(/\s+/g, ' ').trim();
}

/**
 * The versions of a package in the cache, the one that came last first.
 * @param {string} name
 * @param {string} architecture
 */
function cachedRoots(name, architecture) {
  if (!existsSync(store)) return [];
  return readdirSync(store)
    .filter((entry) => entry.startsWith(`${name}_`) && entry.endsWith(`_${architecture}`))
    .map((entry) => join(store, entry))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
}

/**
 * @param {string} root
 * @returns {DebianPackage}
 */
function describe(root) {
  const control = readFileSync(join(root, 'DEBIAN', 'control'), 'utf8');
  return { root, version: controlField(control, 'Version'), depends: controlField(control, 'Depends') };
}

/**
 * apt with lists of our own, in the cache: for a machine that has none, whose lists are too old, or that is of another
 * architecture.
 * @param {string} architecture
 */
function ownLists(architecture) {
  const base = join(store, `lists-${architecture}`);
  for (const name of ['lists', 'cache']) mkdirSync(join(base, name, 'partial'), { recursive: true });
  const settings = {
    'Dir::State::lists': join(base, 'lists'),
    'Dir::Cache': join(base, 'cache'),
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'Acquire::Languages': 'none',
  };
  return {
    stamp: join(base, 'updated'),
    options: Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]),
  };
}

/** @param {string} file */
function ageMs(file) {
  return existsSync(file) ? Date.now() - statSync(file).mtimeMs : Number.POSITIVE_INFINITY;
}

/**
 * Downloads a package into an empty folder.
 * @param {string} work
 * @param {string} name
 * @param {string} architecture
 * @param {boolean} refresh
 * @returns {Promise<string | undefined>} what went wrong
 */
async function download(work, name, architecture, refresh) {
  /** @type {(...args: string[]) => Promise<RunResult>} */
  const aptGet = (...args) => {
    const settings = ['APT::Sandbox::User=root', 'Acquire::Retries=3', 'Acquire::http::Timeout=30'];
    const options = settings.flatMap((setting) => ['-o', setting]);
    return run(findProgram('apt-get') ?? 'apt-get', ['-qq', ...options, ...args], {
      cwd: work,
      env,
      quiet: true,
    });
  };
  if (architecture === ownArchitecture && !refresh) {
    const result = await aptGet('download', name);
    if (result.ok) return undefined;
    if (result.ending.startsWith('could not be started')) return `apt-get ${result.ending}`;
  }
  const own = ownLists(architecture);
  if (!refresh && ageMs(own.stamp) < listsLastMs) {
    const result = await aptGet(...own.options, 'download', name);
    if (result.ok) return undefined;
  }
  // One source that cannot be reached is no reason to stop: the download says what is missing.
  const updated = await aptGet(...own.options, 'update');
  if (updated.ok) touch(own.stamp);
  const result = await aptGet(...own.options, 'download', name);
  if (result.ok) return undefined;
  return `apt-get download ${name}: ${reason(updated.ok ? result : updated)}`;
}

/**
 * Makes a folder the newest of its kind.
 * @param {string} folder
 */
export function touch(folder) {
  mkdirSync(folder, { recursive: true });
  const now = new Date();
  utimesSync(folder, now, now);
}

/**
 * @param {string} name
 * @param {string} architecture
 * @param {boolean} refresh
 * @returns {Promise<string | undefined>} what went wrong
 */
async function fetchPackage(name, architecture, refresh) {
  note(`downloading Debian's ${name} (${architecture})`);
  return inWorkFolder(store, async (work) => {
    const failure = await download(work, name, architecture, refresh);
    const archive = readdirSync(work).find((entry) => entry.endsWith('.deb'));
    if (failure !== undefined || archive === undefined) return failure ?? `apt-get brought no ${name}`;
    // What -x unpacks, and the control file beside it.
    const unpacked = await run('dpkg-deb', ['--raw-extract', archive, 'root'], { cwd: work, quiet: true });
    if (!unpacked.ok) return `dpkg-deb --raw-extract ${archive}: ${reason(unpacked)}`;
    const root = join(work, 'root');
    const target = join(store, `${name}_${describe(root).version}_${architecture}`);
    try {
      renameSync(root, target);
    } catch (error) {
      // That version is there already, and what is there is as good.
      if (!existsSync(target)) throw error;
    }
    touch(target);
    for (const old of cachedRoots(name, architecture).slice(keptVersions)) {
      rmSync(old, { recursive: true, force: true });
    }
    return undefined;
  });
}

/**
 * A Debian package, unpacked in the cache. One that is there is used without asking the archive again.
 * @param {string} name
 * @param {FindOptions} [options]
 * @returns {Promise<DebianPackage | { missing: string }>}
 */
export async function findPackage(name, options = {}) {
  const { architecture = ownArchitecture, download: may = true, refresh = false } = options;
  const cached = () => cachedRoots(name, architecture)[0];
  const before = refresh ? undefined : cached();
  if (before !== undefined) return describe(before);
  if (!may) return { missing: `Debian's package ${name} (${architecture}) is not in ${store}` };
  const failure = await withLock(lock, async () => {
    // Another process may have brought it while this one waited.
    if (!refresh && cached() !== undefined) return undefined;
    return fetchPackage(name, architecture, refresh);
  });
  const root = cached();
  if (failure !== undefined) return { missing: failure };
  return root === undefined ? { missing: `${name} vanished from ${store}` } : describe(root);
}

/**
 * @param {string} program its name, or the path of another file that must be there, such as a C header
 * @returns {string | undefined} its path
 */
export function findProgram(program) {
  if (program.startsWith('/')) return existsSync(program) ? program : undefined;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return statSync(path).isFile();
      } catch {
        return false;
      }
    });
}

/**
 * Sees to it that programs are on this machine. Where we are root what is missing is installed.
 * @param {readonly { program: string, package: string }[]} programs
 * @returns {Promise<string | undefined>} what is still missing and the command that brings it; undefined if nothing is
 */
export async function ensurePrograms(programs) {
  const missing = () => programs.filter(({ program }) => findProgram(program) === undefined);
  if (missing().length === 0) return undefined;
  const failure = await withLock(lock, async () => {
    const packages = [...new Set(missing().map((entry) => entry.package))];
    if (packages.length === 0 || process.getuid?.() !== 0) return undefined;
    if (findProgram('apt-get') === undefined) return 'this machine has no apt-get';
    note(`installing ${packages.join(', ')} (apt-get, as root)`);
    /** @type {(...args: string[]) => Promise<RunResult>} */
    const aptGet = (...args) =>
      run(findProgram('apt-get') ?? 'apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], {
        env,
        quiet: true,
      });
    const install = ['install', '-y', '--no-install-recommends', ...packages];
    if ((await aptGet(...install)).ok) return undefined;
    await aptGet('update');
    const result = await aptGet(...install);
    return result.ok ? undefined : reason(result);
  });
  const left = missing();
  if (left.length === 0) return undefined;
  const names = left.map(({ program }) => program).join(', ');
  const packages = [...new Set(left.map((entry) => entry.package))].join(' ');
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  const command = `${sudo}apt-get install --no-install-recommends ${packages}`;
  const tried = failure === undefined ? '' : ` Tried: ${failure}`;
  return `${names}: not on this machine. Type: ${command}${tried}`;
}
