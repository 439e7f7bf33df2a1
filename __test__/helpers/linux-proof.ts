/** What every boot of Linux must show, whatever the kernel, the protocol, the vCPUs and the memory. */
import type { ExecutionContext } from 'ava';
import type { BootProtocol } from '../../index.ts';
import {
  ALL,
  bootLinux,
  complaints,
  exitOf,
  onLinux,
  tooLittleMemory,
  type KernelName,
  type LinuxOptions,
} from './linux.ts';

/** A file of a kernel and the way in. */
export interface Way {
  image: 'bzImage' | 'vmlinux';
  protocol: BootProtocol;
}

const CPUS = [1, 2, 4] as const;
const GIB = 2 ** 30;
const MEMORY = { '128MiB': GIB / 8, '5GiB': 5 * GIB } as const;
const SIZES = Object.keys(MEMORY) as (keyof typeof MEMORY)[];

/** What a kernel keeps for itself before it counts: its own image, and a part of the memory for the map of it. */
const KEPT = { bytes: 48 * 2 ** 20, part: 0.04 } as const;

interface Boot extends Way {
  cpus: number;
  memory: keyof typeof MEMORY;
}

/** Boots of one kernel: all there are, or a choice in which each two of way, vCPUs and memory meet. */
export function bootsOf(ways: readonly Way[]): Boot[] {
  const boots: Boot[] = [];
  for (const [one, { image, protocol }] of ways.entries()) {
    for (const [two, cpus] of CPUS.entries()) {
      for (const [three, memory] of SIZES.entries()) {
        if (ALL || (one + two + three) % 2 === 0) boots.push({ image, protocol, cpus, memory });
      }
    }
  }
  return boots;
}

/** A test for each of the boots. */
export function testBoots(
  test: Parameters<typeof onLinux>[0],
  kernel: KernelName,
  ways: readonly Way[],
): void {
  for (const { image, protocol, cpus, memory } of bootsOf(ways)) {
    const title = `${kernel} ${image} by ${protocol}, ${cpus} vCPUs, ${memory}`;
    onLinux(test, title, kernel, async (t) => {
      const lacking = tooLittleMemory(MEMORY[memory]);
      if (lacking === undefined) {
        await prove(t, { kernel, image, protocol, cpus, memory });
      } else {
        t.log(`skipped: ${lacking}`);
        t.pass();
      }
    });
  }
}

async function prove(
  t: ExecutionContext,
  options: Required<Omit<LinuxOptions, 'cmdline' | 'shell' | 'prepare' | 'config'>>,
) {
  const { cpus, memory, protocol } = options;
  const linux = await bootLinux(t, options);
  const { machine, console } = linux;
  const bytes = MEMORY[memory as keyof typeof MEMORY];
  t.is(machine.protocol, protocol);
  t.is(await console.command('echo typed $((6 * 7))'), 'typed 42');
  t.is(await console.command('nproc'), String(cpus));
  t.is(await console.command('grep -c ^processor /proc/cpuinfo'), String(cpus));
  const total = Number(await console.command("awk '/MemTotal/ { print $2 }' /proc/meminfo")) * 1024;
  t.true(total <= bytes && total >= bytes * (1 - KEPT.part) - KEPT.bytes, `MemTotal is ${total} of ${bytes}`);
  const clock = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
  t.is(await console.command(`cat ${clock}`), 'kvm-clock');
  t.true(machine.bootTime! > 0);
  console.type('poweroff');
  const exit = await exitOf(linux);
  t.is(exit.reason, 'poweroff');
  t.regex(exit.consoleTail, /Power down/);
  t.deepEqual(complaints(console.text), []);
  t.log(`${Math.round(machine.bootTime!)} ms to init, ${Math.round(linux.promptMs)} ms to the prompt`);
}
