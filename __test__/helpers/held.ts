/** What a process holds for its machines: the counts that a leak raises. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

import type { ExecutionContext } from 'ava';

/** Guest memory of this size is found again among the mappings of the process: nothing else has it. */
export const MARKED_MEMORY = 46 * 2 ** 20 + 0x3000;

/** What is counted. */
export interface MachineParts {
  /** Descriptors of KVM, its machines and vCPUs, and event counters. */
  descriptors: number;
  /** Mappings of vCPUs. */
  vcpus: number;
  /** Mappings as large as {@link MARKED_MEMORY}. */
  memories: number;
  /** Threads that run a vCPU. */
  threads: number;
}

/** The counts of now. */
export function machineParts(): MachineParts {
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n');
  const size = (line: string): number => {
    const [start = '0', end = '0'] = (line.split(' ')[0] ?? '').split('-');
    return Number.parseInt(end, 16) - Number.parseInt(start, 16);
  };
  return {
    descriptors: descriptorNames().filter((name) => /kvm|\[eventfd\]/.test(name)).length,
    vcpus: maps.filter((line) => line.includes('anon_inode:kvm-vcpu')).length,
    memories: maps.filter((line) => size(line) === MARKED_MEMORY).length,
    threads: threadNames().filter((name) => name.startsWith('vmhatch-vcpu')).length,
  };
}

function descriptorNames(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => read(() => readlinkSync(`/proc/self/fd/${fd}`)));
}

function threadNames(): string[] {
  const folder = '/proc/self/task';
  return readdirSync(folder).map((id) => read(() => readFileSync(`${folder}/${id}/comm`, 'utf8').trim()));
}

/** What may be gone by the time that it is looked at. */
function read(look: () => string): string {
  try {
    return look();
  } catch {
    return '';
  }
}

/** Fails if something leaves more behind than there was; threads get a moment to end. */
export async function leavesNothing(t: ExecutionContext, work: () => Promise<void>): Promise<void> {
  const before = machineParts();
  await work();
  const patience = performance.now() + 20_000;
  let after = machineParts();
  while (JSON.stringify(after) !== JSON.stringify(before) && performance.now() < patience) {
    await new Promise((resolve) => void setTimeout(resolve, 5));
    after = machineParts();
  }
  t.deepEqual(after, before, 'something is left behind');
}
