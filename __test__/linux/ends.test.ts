// How a Linux machine ends, and what it is after: power-off, reset by each way there is, panic, halt.
import test from 'ava';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootLinux, complaints, exitOf, onLinux, toPrompt } from '../helpers/linux.ts';

onLinux(test, 'a reboot by ACPI starts it again, if it is meant to', 'own', async (t) => {
  const linux = await bootLinux(t, { cmdline: 'reboot=acpi', verbose: true, config: { onReset: 'restart' } });
  const { machine, console } = linux;
  let resets = 0;
  machine.on('reset', () => resets++);
  const first = machine.bootTime!;
  await console.command('echo kept >/tmp/file');
  console.type('reboot');
  await console.expect('Linux version');
  await toPrompt(console);
  await console.makeQuiet();
  t.is(resets, 1);
  t.is(machine.state, 'running');
  t.is(
    await console.command('cat /tmp/file 2>&1 || true'),
    "cat: can't open '/tmp/file': No such file or directory",
  );
  t.true(machine.bootTime! > 0);
  t.not(machine.bootTime, first);
  console.type('poweroff');
  t.is((await exitOf(linux)).reason, 'poweroff');
  t.is(resets, 1);
});

onLinux(test, 'a reboot by the keyboard controller, or by ACPI, is a reset', 'own', async (t) => {
  for (const way of ['kbd', 'acpi']) {
    const linux = await bootLinux(t, { cmdline: `reboot=${way}` });
    linux.console.type('reboot');
    const exit = await exitOf(linux);
    t.is(exit.reason, 'reset', way);
    t.regex(exit.consoleTail, /reboot: Restarting system\r\n/);
  }
});

onLinux(test, 'a reboot by a triple fault is one', 'own', async (t) => {
  const linux = await bootLinux(t, { cmdline: 'reboot=triple', cpus: 2 });
  linux.console.type('reboot');
  const exit = await exitOf(linux);
  t.is(exit.reason, 'tripleFault');
  t.true(exit.reason === 'tripleFault' && exit.vcpu < 2);
});

onLinux(test, 'a panic that never reboots ends the machine by pvpanic', 'own', async (t) => {
  const linux = await bootLinux(t, { cmdline: 'panic=0', cpus: 2 });
  linux.console.type('echo c >/proc/sysrq-trigger');
  const { consoleTail, ...end } = await exitOf(linux);
  t.deepEqual(end, { reason: 'panic', message: 'sysrq triggered crash' });
  t.regex(consoleTail, /Kernel panic/);
});

onLinux(test, 'a panic without pvpanic is told by what it printed', 'own', async (t) => {
  const linux = await bootLinux(t, { cmdline: 'acpi=off', cpus: 2 });
  t.is(await linux.console.command('nproc'), '2');
  linux.console.type('echo c >/proc/sysrq-trigger');
  const { consoleTail, ...end } = await exitOf(linux);
  t.deepEqual(end, { reason: 'panic', message: 'sysrq triggered crash' });
  t.regex(consoleTail, /Rebooting|Kernel panic/);
});

onLinux(test, 'a stock kernel without its pvpanic module: likewise', 'cloud', async (t) => {
  const linux = await bootLinux(t, { kernel: 'cloud' });
  linux.console.type('echo c >/proc/sysrq-trigger');
  t.like(await exitOf(linux), { reason: 'panic', message: 'sysrq triggered crash' });
});

onLinux(test, 'a first program that ends is a panic', 'own', async (t) => {
  const linux = await bootLinux(t, { cmdline: 'rdinit=/bin/busybox -- false', shell: false });
  t.like(await exitOf(linux), { reason: 'panic', message: 'Attempted to kill init! exitcode=0x00000100' });
  t.is(linux.machine.bootTime, undefined);
});

onLinux(test, 'a halted machine runs on, and can be stopped', 'own', async (t) => {
  const linux = await bootLinux(t, { cpus: 2 });
  const { machine, console } = linux;
  console.type('halt');
  await console.expect('reboot: System halted');
  await sleep(200);
  t.is(machine.state, 'running');
  await machine.stop();
  t.is((await exitOf(linux)).reason, 'killed');
});

onLinux(
  test,
  'without ACPI the CPUs come from the MP table, and a power-off only halts',
  'own',
  async (t) => {
    const linux = await bootLinux(t, { cpus: 2, verbose: true, config: { acpi: false } });
    const { machine, console } = linux;
    // It looks for tables, and says that there are none.
    t.deepEqual(
      complaints(console.text).filter((line) => !line.includes('A valid RSDP was not found')),
      [],
    );
    t.notRegex(console.text, /ACPI: RSDP/);
    t.is(await console.command('nproc'), '2');
    t.regex(await console.command('cat /proc/interrupts'), /^ *\d+: .*IO-APIC +4-edge +ttyS0$/m);
    console.type('poweroff');
    await console.expect('reboot: Power off not available: System halted instead');
    await sleep(200);
    t.is(machine.state, 'running');
    await machine.stop();
    t.is((await exitOf(linux)).reason, 'killed');
  },
);

onLinux(test, 'the boot timer takes its mark from memory too, and only the first one', 'own', async (t) => {
  const mark = 'busybox devmem 0xd0000000 8 123';
  const script =
    'busybox mkdir -p /dev; busybox mount -t devtmpfs dev /dev; busybox mount -t proc proc /proc';
  const linux = await bootLinux(t, {
    cmdline: `rdinit=/bin/busybox -- sh -c "${script}; echo by hand; exec sh -i"`,
    shell: false,
  });
  const { machine, console } = linux;
  await console.expect('by hand');
  await console.expect('# ');
  await console.makeQuiet();
  t.is(machine.bootTime, undefined);
  const start = performance.now();
  await console.command(mark);
  const first = machine.bootTime!;
  t.true(first > 0);
  await console.command(mark);
  t.is(machine.bootTime, first);
  t.log(`marked at ${Math.round(first)} ms, ${Math.round(performance.now() - start)} ms for both marks`);
});
