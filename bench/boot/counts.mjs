// What a boot asks of KVM: exits, from the counters that KVM keeps, and ioctls, as strace sees them.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const counters = '/sys/kernel/debug/kvm';

/** Makes KVM's counters readable, where this user may. */
export function mountCounters() {
  if (!existsSync(counters)) spawnSync('mount', ['-t', 'debugfs', 'none', '/sys/kernel/debug']);
  return existsSync(join(counters, 'exits'));
}

/**
 * KVM's counters at the guest's mark. They are sums over the guests that exist, so there must be no other.
 * @param {(onMark: () => void) => Promise<unknown>} boot
 * @returns {Promise<Record<string, number>>}
 */
export async function countExits(boot) {
  const names = ['exits', 'io_exits', 'mmio_exits', 'halt_exits', 'irq_injections'];
  /** @type {Record<string, number>} */
  const counts = {};
  await boot(() => {
    for (const name of names) counts[name] = Number(readFileSync(join(counters, name), 'utf8'));
  });
  return counts;
}

/**
 * The ioctls of a whole boot by a process of its own, by name. Undefined where there is no strace.
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {Record<string, number> | undefined}
 */
export function countIoctls(command, args) {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-bench-'));
  try {
    const log = join(folder, 'ioctls');
    const traced = ['-f', '-qq', '-e', 'trace=ioctl', '-e', 'signal=none', '-o', log, command, ...args];
    if (spawnSync('strace', traced, { stdio: 'ignore' }).error !== undefined) return undefined;
    /** @type {Record<string, number>} */
    const counts = {};
    for (const [, name] of readFileSync(log, 'utf8').matchAll(/ioctl\(\d+(?:<[^>]*>)?, (KVM_\w+)/g)) {
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
