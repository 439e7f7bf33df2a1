// Debian's kernels, unpacked into the cache: the one for clouds is a stock Linux that a guest boots, the generic one
// runs the emulated host. The metapackage says which kernel is the archive's present one.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findPackage, ownArchitecture } from './shared/debian.mjs';

/**
 * @typedef {object} Kernel
 * @property {string} vmlinuz the bzImage (on arm64: the Image)
 * @property {string} version as `uname -r` says it
 * @property {string} modules the folder of its modules
 */

/** @typedef {import('./shared/debian.mjs').FindOptions} FindOptions */

/**
 * The kernel package that a metapackage depends on.
 * @param {string} depends its Depends field
 */
export function kernelPackage(depends) {
  return /(?:^|[\s,|])(linux-image-\d[^\s,|(:]*)/.exec(depends)?.[1];
}

/**
 * @param {string} name the metapackage
 * @param {FindOptions} options
 * @returns {Promise<Kernel | { missing: string }>}
 */
async function findKernelOnce(name, options) {
  const meta = await findPackage(name, options);
  if ('missing' in meta) return meta;
  const image = kernelPackage(meta.depends);
  if (image === undefined) return { missing: `${name} depends on no kernel: '${meta.depends}'` };
  const found = await findPackage(image, { ...options, refresh: false });
  if ('missing' in found) return found;
  const version = image.slice('linux-image-'.length);
  const vmlinuz = join(found.root, 'boot', `vmlinuz-${version}`);
  // Later releases of Debian keep /lib in /usr.
  const folders = ['lib', 'usr/lib'].map((folder) => join(found.root, folder, 'modules', version));
  const modules = folders.find((folder) => existsSync(folder));
  if (!existsSync(vmlinuz) || modules === undefined) return { missing: `${found.root} holds no kernel` };
  return { vmlinuz, version, modules };
}

/**
 * @param {string} name the metapackage
 * @param {FindOptions} options
 * @returns {Promise<Kernel | { missing: string }>}
 */
async function findKernel(name, options) {
  const found = await findKernelOnce(name, options);
  if (!('missing' in found) || options.refresh || options.download === false) return found;
  // The cached metapackage may name a kernel that the archive no longer has.
  return findKernelOnce(name, { ...options, refresh: true });
}

/**
 * Debian's kernel for clouds: few drivers, virtio among them.
 * @param {FindOptions} [options]
 */
export function findCloudKernel(options = {}) {
  return findKernel(`linux-image-cloud-${options.architecture ?? ownArchitecture}`, options);
}

/**
 * Debian's kernel for every machine: it has 9p, which the emulated host's root needs.
 * @param {FindOptions} [options]
 */
export function findGenericKernel(options = {}) {
  return findKernel(`linux-image-${options.architecture ?? ownArchitecture}`, options);
}

const usage = `Usage: node scripts/debian-kernel.mjs [--generic] [--refresh] [--no-download]

Prints the path of Debian's cloud kernel, which is unpacked into the cache if it is not there.

  --generic      the kernel for every machine instead
  --refresh      ask the archive for its kernel of today
  --no-download  only look into the cache`;

if (process.argv[1] === import.meta.filename) {
  const args = new Set(process.argv.slice(2));
  const known = new Set(['--generic', '--refresh', '--no-download', '--help']);
  const unknown = [...args].find((arg) => !known.has(arg));
  if (unknown !== undefined) {
    console.error(`Unknown argument '${unknown}'.\n\n${usage}`);
    process.exitCode = 2;
  } else if (args.has('--help')) {
    console.log(usage);
  } else {
    const options = { refresh: args.has('--refresh'), download: !args.has('--no-download') };
    const found = await (args.has('--generic') ? findGenericKernel(options) : findCloudKernel(options));
    if ('missing' in found) {
      console.error(`No kernel: ${found.missing}`);
      process.exitCode = 1;
    } else {
      console.log(found.vmlinuz);
    }
  }
}
