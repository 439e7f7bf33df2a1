// The machines that QEMU emulates: one for each architecture that KVM hosts of ours have.

/** @typedef {'x86_64' | 'aarch64'} Architecture */

/**
 * @typedef {object} Machine
 * @property {string} debian the architecture by Debian's name
 * @property {string} node by Node's name
 * @property {string} qemu the program
 * @property {string} package that holds it
 * @property {readonly string[]} modules of the kernel, asked for by name; what these need comes before them
 * @property {readonly string[]} board what QEMU is told of the machine and its processor
 * @property {string} append what the kernel is told beside what every kernel is
 */

/** What the streams and the files of a job need: 9p, and ports, both over PCI. */
const channels = ['virtio_pci', '9pnet_virtio', '9p', 'virtio_console'];

/** @param {string} line */
const words = (line) => line.split(' ');

/** @param {string} features of a processor */
const without = (features) =>
  words(features)
    .map((feature) => `-${feature}`)
    .join(',');

/** @type {Readonly<Record<Architecture, Machine>>} */
export const machines = {
  x86_64: {
    debian: 'amd64',
    node: 'x64',
    qemu: 'qemu-system-x86_64',
    package: 'qemu-system-x86',
    modules: [...channels, 'kvm-amd'],
    // QEMU lets a guest's guest change XCR0 without its hypervisor being asked. KVM then sets what it believes at each entry,
    // and programs there lose the registers beyond SSE when another one runs. So there are none.
    board: words(
      `-machine q35 -accel tcg,thread=multi -cpu max,+svm,+npt,${without('xsave avx avx2 f16c fma vaes vpclmulqdq pku')}`,
    ),
    // Two sessions stood still with all processors idle, as if a timer interrupt had been lost at an exit of a nested
    // guest, which with one-shot timers is the last one. With periodic ticks the next one comes anyway.
    append: 'console=ttyS0 tsc=reliable no_timer_check nohz=off highres=off',
  },
  aarch64: {
    debian: 'arm64',
    node: 'arm64',
    qemu: 'qemu-system-aarch64',
    package: 'qemu-system-arm',
    // KVM is built into Debian's kernel.
    modules: channels,
    // Pointer authentication by the architecture's own cipher is slow to emulate. QEMU before 8.2 overlooks that code
    // changes when vector instructions write it, as the C library's memcpy() does where there is SVE: a guest would run
    // what an earlier one has left in the same page.
    board: words(
      '-machine virt,virtualization=on,gic-version=3 -accel tcg,thread=multi -cpu max,pauth-impdef=on,sve=off',
    ),
    append: 'console=ttyAMA0',
  },
};

export const architectures = /** @type {readonly Architecture[]} */ (Object.keys(machines));
