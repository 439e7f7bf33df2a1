/** What this process holds of the kernel: the counts that a leak raises. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

export interface Held {
  /** Open descriptors of KVM and event counters, and memfds. */
  descriptors: number;
  /** Mappings of vCPUs and memfds. */
  maps: number;
  threads: number;
  /** Resident memory in MiB. */
  residentMb: number;
}

const OURS = /kvm|\[eventfd\]|vmhatch/;

/** Event counters of Node's own are counted too: compare with what was there before. */
export function held(): Held {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return {
    descriptors: descriptorNames().filter((name) => OURS.test(name)).length,
    // The addon's own file is mapped for good.
    maps: maps.filter((line) => OURS.test(line) && !line.includes('.node')).length,
    threads: readdirSync('/proc/self/task').length,
    residentMb: Math.round(process.memoryUsage.rss() / 2 ** 20),
  };
}

function descriptorNames(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return 'gone';
    }
  });
}
