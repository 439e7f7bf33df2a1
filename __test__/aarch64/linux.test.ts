// Linux in a Machine of aarch64.
import test from 'ava';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootArmLinux, onArmLinux } from '../helpers/arm-linux.ts';
import { exitOf, toPrompt } from '../helpers/linux.ts';

const MiB = 2 ** 20;

for (const { kernel, cpus, memoryMiB } of [
  { kernel: 'cloud', cpus: 2, memoryMiB: 256 },
  { kernel: 'own', cpus: 1, memoryMiB: 128 },
  { kernel: 'own', cpus: 2, memoryMiB: 1024 },
] as const) {
  onArmLinux(test, `${kernel} kernel, vCPUs: ${cpus}, memory: ${memoryMiB} MiB`, kernel, async (t) => {
    const bytes = memoryMiB * MiB;
    const linux = await bootArmLinux(t, kernel, { cpus, memory: bytes });
    const { machine, console, promptMs } = linux;
    t.is(machine.protocol, 'image');
    t.is(await console.command('echo typed $((6 * 7))'), 'typed 42');
    t.is(await console.command('uname -m'), 'aarch64');
    t.is(await console.command('nproc'), String(cpus));
    const total = Number(await console.command("awk '/MemTotal/ { print $2 }' /proc/meminfo")) * 1024;
    t.true(total <= bytes && total >= bytes * 0.96 - 80 * MiB, `MemTotal is ${total} of ${bytes}`);
    t.deepEqual(machine.placed.map(({ name }) => name).toSorted(), ['device tree', 'initrd', 'kernel']);
    t.regex(await console.command('cat /proc/interrupts'), /GICv[23]\s+27 Level\s+arch_timer/);
    t.is(await console.command('tr "\\0" . </proc/device-tree/psci/method'), 'hvc.');
    console.type('poweroff');
    const exit = await exitOf(linux);
    t.is(exit.reason, 'poweroff');
    t.regex(exit.consoleTail, /reboot: Power down/);
    t.log(`made in ${Math.round(linux.createMs)} ms, ${Math.round(promptMs)} ms to the prompt`);
  });
}

onArmLinux(test, 'a reboot is a reset, a panic is a panic', 'own', async (t) => {
  const rebooting = await bootArmLinux(t, 'own');
  rebooting.console.type('reboot');
  t.is((await exitOf(rebooting)).reason, 'reset');
  const panicking = await bootArmLinux(t, 'own', { cpus: 2 });
  panicking.console.type('echo c >/proc/sysrq-trigger');
  const { consoleTail, ...end } = await exitOf(panicking);
  t.deepEqual(end, { reason: 'panic', message: 'sysrq triggered crash' });
  t.regex(consoleTail, /Kernel panic/);
});

onArmLinux(test, 'pause, resume, reset and stop', 'own', async (t) => {
  const { machine, console } = await bootArmLinux(t, 'own', { cpus: 2 });
  console.type('i=0; while usleep 20000; do i=$((i + 1)); echo tick $i; done');
  await console.expect('tick 5');
  await machine.pause();
  await sleep(200);
  const { length } = console.text;
  await sleep(500);
  t.is(console.text.length, length);
  await machine.resume();
  await console.expect('tick 12');
  await machine.reset();
  await toPrompt(console);
  await console.makeQuiet();
  t.is(await console.command('nproc'), '2');
  await machine.stop();
  t.is((await machine.exited).reason, 'killed');
});

onArmLinux(test, 'a device in JavaScript, told by the device tree', 'own', async (t) => {
  const accesses: string[] = [];
  const device = {
    read(offset: number, size: number): number {
      accesses.push(`read ${offset} ${size}`);
      return offset === 0 ? 0x766d_6874 : 0x2a;
    },
    async write(offset: number, value: number, size: number) {
      await sleep(5);
      accesses.push(`write ${offset} ${size} ${value}`);
    },
  };
  const { console } = await bootArmLinux(t, 'own', {
    devices: [
      {
        device,
        mmio: { base: 0xa00_0000, length: 0x1000 },
        interrupt: 16,
        deviceTree: { name: 'thermometer', compatible: ['vmhatch,thermometer', 'vmhatch,device'] },
      },
    ],
  });
  const node = '/proc/device-tree/thermometer@a000000';
  t.is(await console.command(`tr "\\0" , <${node}/compatible`), 'vmhatch,thermometer,vmhatch,device,');
  t.is(await console.command('devmem 0xa000000 32'), '0x766D6874');
  await console.command('devmem 0xa000010 16 21');
  t.is(await console.command('devmem 0xa000014 8'), '0x2A');
  t.deepEqual(accesses, ['read 0 4', 'write 16 2 21', 'read 20 1']);
});

onArmLinux(test, 'a second serial port', 'own', async (t) => {
  const { machine, console } = await bootArmLinux(t, 'own', { console2: true });
  let second = '';
  machine.console2!.on('data', (bytes: Buffer) => (second += bytes.toString()));
  await console.command('echo to the second >/dev/ttyS1');
  t.is(second, 'to the second\r\n');
});
