// What the guest kernel's build depends on by architecture, beside the configuration.

/**
 * @typedef {object} Architecture
 * @property {string} image the file that boot loaders take, as the kernel's makefiles name it
 * @property {string} tools what the compiler's and the binutils' names begin with, as kernel/build.sh has it
 * @property {readonly { program: string, package: string }[]} programs
 * @property {readonly string[]} unneeded of the source, as tar's patterns
 * @property {number} objects of the last build that somebody counted: the progress line says "about"
 */

/** @type {Readonly<Record<string, Architecture>>} */
const all = {
  x86_64: {
    image: 'bzImage',
    tools: '',
    programs: [
      { program: 'gcc', package: 'gcc' },
      { program: 'ld', package: 'binutils' },
    ],
    unneeded: ['arch/[!x]*/*.[chS]', 'arch/[!x]*/*.dts*', 'drivers/clk/*.[ch]'],
    objects: 1320,
  },
  aarch64: {
    image: 'Image',
    tools: 'aarch64-linux-gnu-',
    programs: [
      { program: 'gcc', package: 'gcc' },
      { program: 'aarch64-linux-gnu-gcc', package: 'gcc-aarch64-linux-gnu' },
      { program: 'aarch64-linux-gnu-ld', package: 'binutils-aarch64-linux-gnu' },
    ],
    unneeded: ['arch/[!a]*/*.[chS]', 'arch/a[!r]*/*.[chS]', 'arch/*/*.dts*', 'drivers/clk/*/*.[ch]'],
    objects: 1010,
  },
};

/** The architectures that have a guest kernel. */
export const architectures = Object.keys(all);

/**
 * @param {string} arch
 * @returns {Architecture}
 */
export function architecture(arch) {
  const found = Object.hasOwn(all, arch) ? all[arch] : undefined;
  if (found === undefined) throw new TypeError(`there is no guest kernel for '${arch}'`);
  return found;
}
