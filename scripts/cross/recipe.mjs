// How cargo is called for a target: all of it that decides the addon's bytes, so that a change of it builds them again.
import { existsSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { oldestGlibc } from './targets.mjs';

/** @typedef {import('./targets.mjs').Target} Target */

/**
 * Flags that make the file say nothing about this machine. The crates of this checkout are compiled by relative paths.
 * @param {Target} target
 * @param {import('./standard-library.mjs').Compiler} compiler
 */
function rustFlags(target, compiler) {
  const cargoHome = process.env['CARGO_HOME'] || join(homedir(), '.cargo');
  const source = join(compiler.sysroot, 'lib', 'rustlib', 'src', 'rust');
  const places = [
    [cargoHome, '/cargo'],
    [source, '/rust'],
    // The toolchain's own library was compiled elsewhere, and rustc says where its source is here.
    [existsSync(source) ? realpathSync(source) : source, '/rust'],
  ];
  const flags = places.map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  if (target.libc === 'musl') flags.push('-Ctarget-feature=-crt-static');
  return flags.join('\x1f');
}

/**
 * @param {Target} target
 * @param {import('./standard-library.mjs').Compiler} compiler
 * @param {boolean} hasLibrary the compiler has the standard library of the target; otherwise it is compiled, too
 * @returns {{ args: string[], env: Record<string, string | undefined> }} of cargo
 */
export function recipe(target, compiler, hasLibrary) {
  const version = target.libc === 'gnu' ? `.${oldestGlibc}` : '';
  const library = hasLibrary ? [] : ['-Zbuild-std=std,panic_unwind'];
  const args = ['zigbuild', '--release', '--locked', '--package', 'vmhatch-node', ...library];
  return {
    args: [...args, '--target', `${target.triple}${version}`],
    env: {
      RUSTC: compiler.rustc,
      // The library is built from source by an option that only a development compiler has otherwise.
      RUSTC_BOOTSTRAP: hasLibrary ? undefined : '1',
      RUSTFLAGS: undefined,
      CARGO_ENCODED_RUSTFLAGS: rustFlags(target, compiler),
      CARGO_BUILD_TARGET: undefined,
    },
  };
}
