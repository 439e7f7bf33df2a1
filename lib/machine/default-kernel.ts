import { createRequire } from 'node:module';
import type { CheckedSource } from './source.ts';
import { bootError } from './source.ts';

/** The packages that hold a kernel, by Node's name for the processor. */
const PACKAGES: Readonly<Record<string, string>> = { x64: 'vmhatch-kernel-x64' };

/**
 * The kernel of the installed kernel package: the ELF image, which is entered without being unpacked.
 *
 * @throws `ERR_KVM_BOOT` when none is installed
 */
export function defaultKernel(): CheckedSource {
  const name = PACKAGES[process.arch];
  if (name === undefined)
    throw bootError('kernel', `none is given, and there is no package for ${process.arch}`);
  // From the program first: it may have installed the kernel where this package does not look.
  for (const from of [`${process.cwd()}/`, import.meta.url]) {
    try {
      return { path: createRequire(from).resolve(`${name}/vmlinux`) };
    } catch {
      // Not there.
    }
  }
  throw bootError('kernel', `none is given, and the package ${name} is not installed (npm install ${name})`);
}
