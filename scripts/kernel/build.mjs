// Builds the guest kernel: Debian's source, kernel/build.sh step by step, a look at the configuration before the long
// step, and what came out with a note of what it came from.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { ensurePrograms } from '../shared/debian.mjs';
import { inRoot } from '../shared/paths.mjs';
import { ask, run } from '../shared/process.mjs';
import { duration } from '../shared/terminal.mjs';
import { architecture } from './architectures.mjs';
import { fragmentsOf, problemsOf, settingsOf, unmet } from './fragments.mjs';
import { startProgress } from './progress.mjs';
import { findSource, pinnedSource } from './source.mjs';

const programs = [
  { program: 'make', package: 'make' },
  { program: 'patch', package: 'patch' },
  { program: 'tar', package: 'tar' },
  { program: 'xz', package: 'xz-utils' },
  { program: 'zstd', package: 'zstd' },
  { program: 'flex', package: 'flex' },
  { program: 'bison', package: 'bison' },
  { program: 'bc', package: 'bc' },
  { program: '/usr/include/libelf.h', package: 'libelf-dev' },
];

/**
 * Half of the files: none of these is read for a kernel of ours, and each costs time when it is written and when it is
 * removed. Kconfig reads every Kconfig, of other architectures too, and make the Makefile of each driver's folder.
 */
const unneeded = `
  Documentation/*.rst Documentation/*.txt Documentation/*.yaml sound/*.[ch]
  tools/perf tools/testing drivers/accel/*.[ch] drivers/gpu/*.[ch] drivers/hwmon/*.[ch]
  drivers/iio/*.[ch] drivers/infiniband/*.[ch] drivers/md/*.[ch] drivers/media/*.[ch] drivers/net/ethernet/*.[ch]
  drivers/net/wireless/*.[ch] drivers/pinctrl/*.[ch] drivers/scsi/*.[ch] drivers/staging/*.[ch] drivers/usb/*.[ch]
`
  .trim()
  .split(/\s+/);
const script = inRoot('kernel', 'build.sh');

/**
 * @typedef {object} Build
 * @property {string} arch x86_64 or aarch64
 * @property {string} store the folder for the work and the log
 * @property {(version: string) => string} folderFor where the results go when this source version was built
 * @property {boolean} verbose print what make prints
 */

/** @typedef {{ folder: string } | { missing: string }} Built */

/** @param {string} text */
function note(text) {
  process.stderr.write(`${text}\n`);
}

/** @param {string} path */
function sha256(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/**
 * A program's name and version, as its first line says.
 * @param {string} program
 */
async function versionOf(program) {
  return ((await ask(program, '--version')) ?? 'unknown').split('\n')[0] ?? '';
}

/**
 * Removes a work tree in a process of its own: on a busy disk it takes a minute, for which nobody is to wait, least of
 * all after Ctrl-C. Should that process not get to its end, the next build removes what is left.
 * @param {string} folder
 */
export function removeTree(folder) {
  spawn('rm', ['-rf', '--', folder], { detached: true, stdio: 'ignore' }).unref();
}

/**
 * @param {Build} build
 * @param {import('./source.mjs').Source} source
 * @param {string} work an empty folder
 * @param {import('node:fs').WriteStream} log
 * @returns {Promise<string | undefined>} what went wrong
 */
async function make(build, source, work, log) {
  const linux = join(work, 'linux');
  const results = join(work, 'results');
  for (const folder of [linux, results]) mkdirSync(folder);
  const { image, tools, unneeded: others, objects: usualObjects } = architecture(build.arch);
  const env = { SOURCE_DATE_EPOCH: String(source.date) };
  /** @type {(command: string, args: readonly string[], onLine?: (line: string) => void) => Promise<string | undefined>} */
  const step = async (command, args, onLine) => {
    log.write(`\n== ${command} ${args.join(' ')}\n`);
    const each = (/** @type {string} */ line) => {
      log.write(`${line}\n`);
      onLine?.(line);
    };
    const result = await run(command, args, { cwd: linux, env, quiet: !build.verbose, onLine: each });
    if (result.ok) return undefined;
    const last = result.output.trimEnd().split('\n').slice(-25).join('\n');
    return `${basename(command)} ${args[0]}: ${result.ending}\n${last}`;
  };

  note(`unpacking Linux ${source.version}`);
  const unpacked = await step('tar', [
    '-xJf',
    source.tarball,
    '--strip-components=1',
    '-C',
    linux,
    ...[...unneeded, ...others].map((pattern) => `--exclude=*/${pattern}`),
  ]);
  if (unpacked !== undefined) return unpacked;
  const configured = await step(script, ['configure', linux, build.arch]);
  if (configured !== undefined) return configured;
  const fragments = fragmentsOf(build.arch);
  const settings = new Map(fragments.flatMap(({ text }) => [...settingsOf(text)]));
  const lost = unmet(settings, readFileSync(join(linux, '.config'), 'utf8'));
  if (lost.length > 0) return `the fragments ask for what Kconfig does not give:\n${lost.join('\n')}`;

  const progress = startProgress(`building Linux ${source.version}`, usualObjects);
  const compiled = await step(
    script,
    ['compile', linux, build.arch, String(availableParallelism())],
    (line) => /^\s+(?:CC|AS)\s/.test(line) && progress.step(),
  );
  const { objects, milliseconds } = progress.stop();
  if (compiled !== undefined) return compiled;
  const release = readFileSync(join(linux, 'include', 'config', 'kernel.release'), 'utf8').trim();
  const collected = await step(script, ['collect', linux, build.arch, results]);
  if (collected !== undefined) return collected;
  note(`Linux ${release} is built: ${objects} objects, ${duration(milliseconds)}`);

  const pinned = pinnedSource();
  const patches = readdirSync(inRoot('kernel', 'patches')).toSorted();
  const provenance = {
    release,
    arch: build.arch,
    source: {
      package: pinned.package,
      version: source.version,
      tarball: pinned.tarball,
      sha256: source.sha256,
    },
    patches: patches.map((name) => ({ name, sha256: sha256(inRoot('kernel', 'patches', name)) })),
    fragments: fragments.map(({ name }) => name),
    compiler: await versionOf(`${tools}gcc`),
    linker: await versionOf(`${tools}ld`),
    files: Object.fromEntries(
      [image, 'vmlinux', 'config'].map((name) => [name, { sha256: sha256(join(results, name)) }]),
    ),
  };
  writeFileSync(join(results, 'provenance.json'), `${JSON.stringify(provenance, null, 2)}\n`);
  return undefined;
}

/**
 * Builds the kernel from nothing. The work tree is gone afterwards, however it ends; the log stays.
 * @param {Build} build
 * @returns {Promise<Built>}
 */
export async function buildKernel(build) {
  if (process.arch !== 'x64') return { missing: 'the guest kernel is built on x86-64 machines only' };
  const problems = problemsOf(fragmentsOf(build.arch));
  if (problems.length > 0) return { missing: problems.join('\n') };
  const absent = await ensurePrograms([...architecture(build.arch).programs, ...programs]);
  if (absent !== undefined) return { missing: absent };
  const source = await findSource(note);
  if ('missing' in source) return source;
  const folder = build.folderFor(source.version);

  const logFile = join(build.store, `build-${build.arch}.log`);
  const log = createWriteStream(logFile);
  const work = mkdtempSync(join(build.store, 'work-'));
  const clean = () => removeTree(work);
  process.on('exit', clean);
  note(`log: ${logFile}`);
  try {
    const failure = await make(build, source, work, log);
    if (failure !== undefined) return { missing: `${failure}\nlog: ${logFile}` };
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(work, 'results'), folder);
    // 150 MB that are needed again only when something here changes.
    rmSync(source.root, { recursive: true, force: true });
    return { folder };
  } finally {
    log.end();
    clean();
    process.off('exit', clean);
  }
}
