// The guest kernel as an npm package: npm/kernel-x64 with the kernel's files, and all that it was built from.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { inRoot } from '../shared/paths.mjs';

/**
 * Where the source is and how to build it again, in words: the licence asks for both.
 * @param {any} provenance
 */
function sourceText({ release, arch, source, compiler, linker, patches }) {
  return `# The source of this kernel

Linux ${release}, built from Debian's source package \`${source.package}\`, version \`${source.version}\`
(\`${source.tarball}\`, SHA-256 \`${source.sha256}\`).
Debian's archive has it; when it has moved on, Debian's snapshot archive still does.

Patched by \`source/patches\` (${patches.map((/** @type {{ name: string }} */ { name }) => name).join(', ')}), configured by
\`source/common.config\` and \`source/${arch}.config\`; the result of that is \`config\`. Built with ${compiler} and
${linker} by \`source/build.sh\`:

    apt-get download ${source.package}=${source.version}
    dpkg-deb -x ${source.package}_*.deb package
    mkdir linux results
    tar -xJf package/usr/src/${source.tarball} --strip-components=1 -C linux
    source/build.sh configure "$PWD/linux" ${arch}
    source/build.sh compile "$PWD/linux" ${arch} "$(nproc)"
    source/build.sh collect "$PWD/linux" ${arch} "$PWD/results"

It needs these packages: gcc, binutils, make, patch, xz-utils, zstd, flex, bison, bc, libelf-dev.
`;
}

/**
 * Fills a folder from which \`npm pack\` makes the package.
 * @param {import('../kernel.mjs').Kernel} kernel
 * @param {string} target made where it is missing; it must be empty
 */
export function packKernel(kernel, target) {
  if (kernel.arch !== 'x86_64') throw new Error(`the kernel for ${kernel.arch} has no npm package`);
  if (existsSync(target) && readdirSync(target).length > 0) throw new Error(`${target} is not empty`);
  const provenance = JSON.parse(readFileSync(kernel.provenance, 'utf8'));
  mkdirSync(target, { recursive: true });
  cpSync(inRoot('npm', 'kernel-x64'), target, { recursive: true });
  for (const path of [kernel.image, kernel.vmlinux, kernel.config, kernel.provenance]) {
    copyFileSync(path, join(target, path.slice(kernel.folder.length + 1)));
  }
  mkdirSync(join(target, 'source'));
  for (const name of ['common.config', `${provenance.arch}.config`, 'source.json', 'build.sh', 'patches']) {
    cpSync(inRoot('kernel', name), join(target, 'source', name), { recursive: true });
  }
  writeFileSync(join(target, 'SOURCE.md'), sourceText(provenance));
}
