// The platforms with a prebuilt addon: one package each in npm/, named like the platform.

/**
 * @typedef {object} Target
 * @property {string} platform as npm/ and the loader name it
 * @property {string} triple as rustc names it
 * @property {'gnu' | 'musl'} libc
 * @property {'x64' | 'arm64'} cpu as Node names it
 * @property {number} machine e_machine of ELF
 */

/** The oldest glibc that the gnu addons load on: CentOS 7's, older than that of any system that Node 20 runs on. */
export const oldestGlibc = '2.17';

/** The largest an addon may be: it is downloaded by everybody who installs the package. */
export const mostBytes = 4_000_000;

/** The one function of an addon that others may call. */
export const entryPoint = 'napi_register_module_v1';

const machines = /** @type {const} */ ({ x64: 62, arm64: 183 });
const architectures = /** @type {const} */ ({ x64: 'x86_64', arm64: 'aarch64' });

/** @type {readonly Target[]} */
export const targets = /** @type {const} */ (['x64', 'arm64']).flatMap((cpu) =>
  /** @type {const} */ (['gnu', 'musl']).map((libc) => ({
    platform: `linux-${cpu}-${libc}`,
    triple: `${architectures[cpu]}-unknown-linux-${libc}`,
    libc,
    cpu,
    machine: machines[cpu],
  })),
);

/**
 * The target of that platform (linux-x64-gnu) or triple (x86_64-unknown-linux-gnu).
 * @param {string} name
 */
export function targetOf(name) {
  return targets.find(({ platform, triple }) => platform === name || triple === name);
}

/**
 * The name of a target's addon, which its package and the loader agree on.
 * @param {Target} target
 */
export function addonName({ platform }) {
  return `vmhatch.${platform}.node`;
}
