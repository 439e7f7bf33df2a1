// Debian's kernels, unpacked into the cache: the one for clouds is a stock Linux that a guest boots, the generic one
// runs the emulated host. The metapackage says which kernel is the archive's present one.
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { architectures, machines } from './host/machines.mjs';
import { isPlainImage, packedImage } from './kernel/arm64-image.mjs';
import { findInArchive } from './shared/archive.mjs';
import { findPackage, ownArchitecture } from './shared/debian.mjs';
import { unpack } from './shared/unpack.mjs';
import { inWorkFolder } from './shared/work-folder.mjs';

/**
 * @typedef {object} Kernel
 * @property {string} vmlinuz the bzImage; on arm64 the Image, unpacked
 * @property {string} version as `uname -r` says it
 * @property {string} modules the folder of its modules
 */

/** @typedef {import('./shared/debian.mjs').FindOptions} FindOptions */

/**
 * Where a package comes from: this machine's release of Debian, or another one.
 * @typedef {(name: string, options: FindOptions) => Promise<{ root: string, depends: string } | { missing: string }>} Source
 */

/** The release after the one that the usual kernels come from. */
const newerSuite = 'trixie';

/** @type {Source} */
const findNewerPackage = (name, options) =>
  findInArchive({ architecture: ownArchitecture, ...options, name, suites: [newerSuite], kept: 2 });

/**
 * The kernel package that a metapackage depends on.
 * @param {string} depends its Depends field
 */
export function kernelPackage(depends) {
  return /(?:^|[\s,|])(linux-image-\d[^\s,|(:]*)/.exec(depends)?.[1];
}

/**
 * An arm64 kernel as boot loaders take it: the file itself, or what is packed in it, which is put beside it.
 * @param {string} vmlinuz
 * @returns {Promise<string | undefined>} undefined: it cannot be unpacked here
 */
export async function plainImage(vmlinuz) {
  const image = `${vmlinuz}.Image`;
  if (existsSync(image)) return image;
  const bytes = readFileSync(vmlinuz);
  if (isPlainImage(bytes)) return vmlinuz;
  const found = packedImage(bytes);
  return (
    found &&
    inWorkFolder(dirname(vmlinuz), async (work) => {
      const plain = await unpack(found, work, isPlainImage);
      if (plain === undefined) return undefined;
      renameSync(plain, image);
      return image;
    })
  );
}

/**
 * @param {Source} source
 * @param {string} name the metapackage
 * @param {FindOptions} options
 * @returns {Promise<Kernel | { missing: string }>}
 */
async function findKernelOnce(source, name, options) {
  const meta = await source(name, options);
  if ('missing' in meta) return meta;
  const image = kernelPackage(meta.depends);
  if (image === undefined) return { missing: `${name} depends on no kernel: '${meta.depends}'` };
  const found = await source(image, { ...options, refresh: false });
  if ('missing' in found) return found;
  const version = image.slice('linux-image-'.length);
  const vmlinuz = join(found.root, 'boot', `vmlinuz-${version}`);
  // Later releases of Debian keep /lib in /usr.
  const folders = ['lib', 'usr/lib'].map((folder) => join(found.root, folder, 'modules', version));
  const modules = folders.find((folder) => existsSync(folder));
  if (!existsSync(vmlinuz) || modules === undefined) return { missing: `${found.root} holds no kernel` };
  if ((options.architecture ?? ownArchitecture) !== 'arm64') return { vmlinuz, version, modules };
  const plain = await plainImage(vmlinuz);
  if (plain === undefined) return { missing: `${vmlinuz} is no Image, and packed in no way that is known` };
  return { vmlinuz: plain, version, modules };
}

/**
 * @param {Source} source
 * @param {string} name the metapackage
 * @param {FindOptions} options
 * @returns {Promise<Kernel | { missing: string }>}
 */
async function findKernel(source, name, options) {
  const found = await findKernelOnce(source, name, options);
  if (!('missing' in found) || options.refresh || options.download === false) return found;
  // The cached metapackage may name a kernel that the archive no longer has.
  return findKernelOnce(source, name, { ...options, refresh: true });
}

/**
 * Debian's kernel for clouds: few drivers, virtio among them.
 * @param {FindOptions} [options]
 */
export function findCloudKernel(options = {}) {
  return findKernel(findPackage, `linux-image-cloud-${options.architecture ?? ownArchitecture}`, options);
}

/**
 * Debian's kernel for every machine: it has 9p, which the emulated host's root needs.
 * @param {FindOptions} [options]
 */
export function findGenericKernel(options = {}) {
  return findKernel(findPackage, `linux-image-${options.architecture ?? ownArchitecture}`, options);
}

/**
 * The kernel for every machine of the next release of Debian: what KVM has learned in two years. On arm64 the one with
 * pages of 16 KiB, which some hosts have.
 * @param {FindOptions} [options]
 */
export function findNewerKernel(options = {}) {
  const architecture = options.architecture ?? ownArchitecture;
  const flavour = architecture === 'arm64' ? 'arm64-16k' : architecture;
  return findKernel(findNewerPackage, `linux-image-${flavour}`, options);
}

const usage = `Usage: node scripts/debian-kernel.mjs [--arch ${architectures.join('|')}] [--generic|--newer] [--refresh] [--no-download]

Prints the path of Debian's cloud kernel, which is unpacked into the cache if it is not there: a bzImage, for aarch64 an
Image.

  --arch         for which architecture (this machine's)
  --generic      the kernel for every machine instead
  --newer        that of the next release of Debian instead, for aarch64 with pages of 16 KiB
  --refresh      ask the archive for its kernel of today
  --no-download  only look into the cache`;

async function main() {
  const flag = /** @type {const} */ ({ type: 'boolean', default: false });
  const options = /** @type {const} */ ({
    arch: { type: 'string' },
    generic: flag,
    newer: flag,
    refresh: flag,
    'no-download': flag,
    help: flag,
  });
  const { values } = parseArgs({ options });
  if (values.help) {
    console.log(usage);
    return;
  }
  const arch = values.arch === undefined ? undefined : architectures.find((each) => each === values.arch);
  if (values.arch !== undefined && arch === undefined)
    throw new TypeError(`--arch takes ${architectures.join(' or ')}, not '${values.arch}'`);
  const architecture = arch === undefined ? ownArchitecture : machines[arch].debian;
  const wanted = { architecture, refresh: values.refresh, download: !values['no-download'] };
  const find = values.newer ? findNewerKernel : values.generic ? findGenericKernel : findCloudKernel;
  const found = await find(wanted);
  if ('missing' in found) throw new Error(`No kernel: ${found.missing}`);
  console.log(found.vmlinuz);
}

if (process.argv[1] === import.meta.filename) {
  try {
    await main();
  } catch (error) {
    const wrong = error instanceof TypeError;
    console.error(error instanceof Error ? error.message : error);
    if (wrong) console.error(`\n${usage}`);
    process.exitCode = wrong ? 2 : 1;
  }
}
