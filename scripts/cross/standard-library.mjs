// A rustc that finds the source of its own standard library, which cargo builds for targets that the toolchain has no
// library of. The toolchain itself is left as it is: a second sysroot, made of links, has the source beside the rest.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { hashOf } from '../shared/hash.mjs';
import { withLock } from '../shared/lock.mjs';
import { cacheDirectory } from '../shared/paths.mjs';
import { ask } from '../shared/process.mjs';
import { inWorkFolder } from '../shared/work-folder.mjs';
import { findInArchive } from '../shared/archive.mjs';

const store = join(cacheDirectory, 'sysroots');

/** Where the archive keeps compilers that are newer than a release of Debian. */
const suites = ['trixie-backports', 'trixie'];

/**
 * @typedef {object} Compiler
 * @property {string} rustc the program that cargo shall use
 * @property {string} sysroot its own, or ours
 */

/** @typedef {{ version: string, sysroot: string, verbose: string }} Toolchain */

/** @returns {Promise<Toolchain | { missing: string }>} */
export async function findToolchain() {
  const verbose = (await ask('rustc', '--version', '--verbose')) ?? '';
  const sysroot = await ask('rustc', '--print', 'sysroot');
  const version = /^release: (\S+)$/m.exec(verbose)?.[1];
  if (sysroot === undefined || version === undefined) return { missing: 'rustc is not on this machine' };
  return { version, sysroot, verbose };
}

/**
 * @param {string} sysroot
 * @param {string} triple
 */
export function hasLibrary(sysroot, triple) {
  return existsSync(join(sysroot, 'lib', 'rustlib', triple, 'lib'));
}

/**
 * Links to everything in a folder, but for one entry.
 * @param {string} from
 * @param {string} to
 * @param {string} but
 */
function linkAll(from, to, but) {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from).filter((entry) => entry !== but)) {
    symlinkSync(join(from, name), join(to, name));
  }
}

/**
 * @param {string} folder an empty folder
 * @param {string} home where it will be
 * @param {Toolchain} toolchain
 * @param {string} source the folder that holds `library`
 */
function fillSysroot(folder, home, { sysroot }, source) {
  linkAll(sysroot, folder, 'lib');
  linkAll(join(sysroot, 'lib'), join(folder, 'lib'), 'rustlib');
  const rustlib = join(folder, 'lib', 'rustlib');
  linkAll(join(sysroot, 'lib', 'rustlib'), rustlib, 'src');
  mkdirSync(join(rustlib, 'src'));
  symlinkSync(source, join(rustlib, 'src', 'rust'));
  const rustc = join(folder, 'rustc');
  const quoted = [join(sysroot, 'bin', 'rustc'), home].map(
    (path) => `'${path.replaceAll("'", String.raw`'\''`)}'`,
  );
  writeFileSync(rustc, `#!/bin/sh\nexec ${quoted[0]} --sysroot ${quoted[1]} "$@"\n`);
  chmodSync(rustc, 0o755);
}

/**
 * A compiler from which cargo can build the standard library.
 * @param {Toolchain} toolchain
 * @returns {Promise<Compiler | { missing: string }>}
 */
export async function compilerWithSource(toolchain) {
  const { version, sysroot } = toolchain;
  if (existsSync(join(sysroot, 'lib', 'rustlib', 'src', 'rust', 'library', 'Cargo.toml'))) {
    return { rustc: join(sysroot, 'bin', 'rustc'), sysroot };
  }
  const found = await findInArchive({
    name: 'rust-src',
    suites,
    architecture: 'all',
    only: './usr/src/rustc-*/library/*',
    accepts: (candidate) => candidate.startsWith(`${version}+`),
  });
  const advice = `The source of Rust ${version}'s standard library is missing (rustup component add rust-src)`;
  if ('missing' in found) return { missing: `${advice}: ${found.missing}` };
  const source = join(found.root, 'usr', 'src', `rustc-${version}`);
  if (!existsSync(join(source, 'library', 'Cargo.toml'))) return { missing: `${advice}: ${source} has none` };
  const home = join(store, `${version}-${hashOf([], [sysroot, source])}`);
  return withLock(join(store, 'lock'), async () => {
    if (!existsSync(home)) {
      await inWorkFolder(store, async (work) => {
        const folder = join(work, 'sysroot');
        fillSysroot(folder, home, toolchain, source);
        mkdirSync(dirname(home), { recursive: true });
        rmSync(home, { recursive: true, force: true });
        renameSync(folder, home);
      });
    }
    return { rustc: join(home, 'rustc'), sysroot: home };
  });
}
