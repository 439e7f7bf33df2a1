/** What every boot of Linux must show, whatever the kernel, the protocol, the vCPUs and the memory. */
import type { ExecutionContext } from 'ava';
import { bootLinux, complaints, exitOf, type LinuxOptions } from './linux.ts';

/** The sizes of memory: one that is small for a kernel, one that reaches beyond 4 GiB. */
export const MEMORY = { '128MiB': 2 ** 27, '5GiB': 5 * 2 ** 30 } as const;

/** One boot. */
export interface Boot extends Required<Pick<LinuxOptions, 'kernel' | 'image' | 'protocol'>> {
  cpus: 1 | 2 | 4;
  memory: keyof typeof MEMORY;
}

/** The files of each kernel, and how they are entered. */
const WAYS: readonly Pick<Boot, 'kernel' | 'image' | 'protocol'>[] = [
  { kernel: 'own', image: 'vmlinux', protocol: 'pvh' },
  { kernel: 'own', image: 'vmlinux', protocol: 'elf64' },
  { kernel: 'own', image: 'bzImage', protocol: 'linux64' },
  { kernel: 'own', image: 'bzImage', protocol: 'pvh' },
  { kernel: 'cloud', image: 'bzImage', protocol: 'linux64' },
  { kernel: 'cloud', image: 'bzImage', protocol: 'pvh' },
];

/** All boots there are. */
export const ALL_BOOTS: readonly Boot[] = WAYS.flatMap((way) =>
  ([1, 2, 4] as const).flatMap((cpus) =>
    (['128MiB', '5GiB'] as const).map((memory) => Object.assign({ cpus, memory }, way)),
  ),
);

/** Those of all in which each two of kernel, image, protocol, vCPUs and memory that can meet do meet. */
export function pairsOf(boots: readonly Boot[]): Boot[] {
  const pairs = (boot: Boot): string[] => {
    const values = Object.values(boot).map(String);
    return values.flatMap((one, at) => values.slice(at + 1).map((other) => `${one} ${other}`));
  };
  const wanted = new Set(boots.flatMap(pairs));
  const chosen: Boot[] = [];
  while (wanted.size > 0) {
    // The one with the most pairs that are still wanted, and of those a boot that costs less.
    const worth = (boot: Boot): number =>
      pairs(boot).filter((pair) => wanted.has(pair)).length - (boot.kernel === 'cloud' ? boot.cpus / 8 : 0);
    const best = boots.reduce((one, other) => (worth(other) > worth(one) ? other : one));
    for (const pair of pairs(best)) wanted.delete(pair);
    chosen.push(best);
  }
  return chosen;
}

/** What a kernel keeps for itself before it counts: its own image, and a part of the memory for the map of it. */
const KEPT = { bytes: 48 * 2 ** 20, part: 0.04 } as const;

/** Boots, asks Linux what it sees, and powers it off. */
export async function prove(t: ExecutionContext, boot: Boot): Promise<void> {
  const linux = await bootLinux(t, boot);
  const { machine, console } = linux;
  const bytes = MEMORY[boot.memory];
  t.is(machine.protocol, boot.protocol);
  t.is(await console.command('echo typed $((6 * 7))'), 'typed 42');
  t.is(await console.command('nproc'), String(boot.cpus));
  const total = Number(await console.command("awk '/MemTotal/ { print $2 }' /proc/meminfo")) * 1024;
  t.true(total <= bytes && total >= bytes * (1 - KEPT.part) - KEPT.bytes, `MemTotal is ${total} of ${bytes}`);
  const clock = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
  t.is(await console.command(`cat ${clock}`), 'kvm-clock');
  t.deepEqual(complaints(await console.command('dmesg')), []);
  t.true(machine.bootTime! > 0);
  console.type('poweroff');
  const exit = await exitOf(linux);
  t.is(exit.reason, 'poweroff');
  t.regex(exit.consoleTail, /reboot: Power down/);
  const times = [linux.createMs, machine.bootTime!, linux.promptMs].map((ms) => Math.round(ms));
  t.log(`made in ${times[0]} ms, ${times[1]} ms to init, ${times[2]} ms to the prompt`);
}
