// What the tests boot: Linux's kernels and the initrd, as variables for the tests.
import { findCloudKernel } from '../debian-kernel.mjs';
import { machines } from '../host/machines.mjs';
import { makeInitrd } from '../initrd.mjs';
import { findKernel } from '../kernel.mjs';
import { say } from '../shared/terminal.mjs';

/** The variables of each architecture's. Only on x86_64 a machine boots the vmlinux as well. */
const variables = {
  x86_64: {
    initrd: 'VMHATCH_TEST_INITRD',
    image: 'VMHATCH_TEST_BZIMAGE',
    vmlinux: 'VMHATCH_TEST_VMLINUX',
    cloud: 'VMHATCH_TEST_CLOUD_KERNEL',
  },
  aarch64: {
    initrd: 'VMHATCH_TEST_ARM64_INITRD',
    image: 'VMHATCH_TEST_ARM64_IMAGE',
    vmlinux: undefined,
    cloud: 'VMHATCH_TEST_ARM64_CLOUD_KERNEL',
  },
};

/**
 * Makes what is not there. What cannot be had is said; the tests that need it say so, too.
 * @param {import('./report.mjs').Report} report
 * @param {import('../host/machines.mjs').Architecture} arch the guests'
 */
export async function prepareGuests(report, arch) {
  /** @type {(what: string, missing: string | undefined, found: readonly [name: string | undefined, path: string | undefined][]) => void} */
  const provide = (what, missing, found) => {
    if (missing !== undefined) report.skip(`${what}: ${missing}`);
    const paths = [];
    for (const [name, path] of found) {
      if (name === undefined || path === undefined) continue;
      process.env[name] = path;
      paths.push(path);
    }
    say(`${what}: ${missing ?? paths.join(', ')}`);
  };
  const names = variables[arch];
  const initrd = await makeInitrd({ arch });
  provide('initrd', initrd.missing, [[names.initrd, initrd.path]]);
  const own = await findKernel({ arch, build: true });
  if ('missing' in own) provide('own kernel', own.missing, []);
  else {
    provide('own kernel', undefined, [
      [names.image, own.image],
      [names.vmlinux, own.vmlinux],
    ]);
  }
  const cloud = await findCloudKernel({ architecture: machines[arch].debian });
  if ('missing' in cloud) provide('cloud kernel', cloud.missing, []);
  else provide('cloud kernel', undefined, [[names.cloud, cloud.vmlinuz]]);
}
