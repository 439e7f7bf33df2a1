// What the process that holds a Linux machine does with it, and what Linux does with the process's devices.
import test from 'ava';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootLinux, exitOf, onLinux, toPrompt } from '../helpers/linux.ts';
import { ScriptUart } from '../helpers/script-uart.ts';

/** `stop()` works within a second; where all processors are emulated and busy it is given more. */
const STOP_LIMIT_MS = 10_000;

onLinux(
  test,
  'paused it prints nothing, its clock goes on, and so does it after; all from a free event loop',
  'own',
  async (t) => {
    let ticks = 0;
    const ticker = setInterval(() => ticks++, 10);
    t.teardown(() => clearInterval(ticker));
    const { machine, console, promptMs } = await bootLinux(t, { cpus: 2 });
    // Were the loop held while the guest runs, there would be as good as none.
    t.true(ticks > 10, `${ticks} ticks of 10 ms in ${promptMs} ms`);
    t.log(`${ticks} ticks of 10 ms in the ${Math.round(promptMs)} ms to the prompt`);

    const uptime = async (): Promise<number> =>
      Number((await console.command('cat /proc/uptime')).split(' ')[0]);
    const before = await uptime();
    console.type('i=0; while usleep 20000; do i=$((i + 1)); echo tick $i; done');
    await console.expect('tick 5');
    await machine.pause();
    t.is(machine.state, 'paused');
    // What was printed before is still on its way.
    await sleep(200);
    const { length } = console.text;
    await sleep(1500);
    t.is(console.text.length, length);
    const last = Number(console.text.trimEnd().match(/(\d+)$/)![1]);
    await machine.resume();
    await console.expect(`tick ${last + 1}`);
    await console.expect(`tick ${last + 3}`);
    // Ctrl-C.
    await console.paste(Uint8Array.of(3));
    await console.command('true');
    t.true((await uptime()) - before > 1.5);
    const counted = console.text.match(/(?<=tick )\d+/g)!.map(Number);
    t.deepEqual(
      counted,
      counted.map((_, index) => index + 1),
    );
  },
);

onLinux(test, 'reset() from outside boots it again', 'own', async (t) => {
  const { machine, console } = await bootLinux(t, { cpus: 2 });
  await machine.reset();
  await toPrompt(console);
  await console.makeQuiet();
  t.is(await console.command('nproc'), '2');
});

onLinux(test, 'stop() ends a kernel that spins with interrupts off on each CPU', 'own', async (t) => {
  const linux = await bootLinux(t, { cpus: 2 });
  const { machine, console } = linux;
  const symbol = (await console.command("grep ' __x64_sys_sethostname$' /proc/kallsyms")).split(' ')[0]!;
  const address = BigInt(`0x${symbol}`);
  // Linux maps its image there (arch/x86/include/asm/page_64_types.h), and ours does not move it.
  const physical = Number(address - 0xffff_ffff_8000_0000n);
  // cli; jmp to itself
  machine.vm.memory.write(physical, Uint8Array.of(0xfa, 0xeb, 0xfe));
  const spin = (cpu: number): string => `(taskset -c ${cpu} sh -c 'usleep 300000; hostname x' &)`;
  console.type(`${spin(0)}; ${spin(1)}; echo they begin`);
  await console.expect('they begin');
  await sleep(3000);
  const start = performance.now();
  await machine.stop();
  const stopMs = performance.now() - start;
  t.is((await exitOf(linux)).reason, 'killed');
  t.true(stopMs < STOP_LIMIT_MS, `stop() took ${stopMs} ms`);
  t.log(`stop() took ${Math.round(stopMs)} ms`);
  const spinning = machine.vm.vcpus.filter((vcpu) => {
    const { rip, rflags } = vcpu.getRegs();
    return rip >= address && rip <= address + 1n && (rflags & 0x200n) === 0n;
  });
  t.is(spinning.length, 2);
});

onLinux(
  test,
  'a device in JavaScript: found by ACPI, read and written by a program of the guest',
  'own',
  async (t) => {
    const accesses: string[] = [];
    const registers = new Map([[0, 0x76_6d_68_74]]);
    const device = {
      read(offset: number, size: number) {
        accesses.push(`read ${offset} ${size}`);
        return registers.get(offset) ?? 0;
      },
      // Later, as a device does that asks a disk.
      async write(offset: number, value: number, size: number) {
        await sleep(5);
        accesses.push(`write ${offset} ${size}`);
        registers.set(offset + 4, value * 2);
      },
    };
    const { console } = await bootLinux(t, {
      config: {
        devices: [
          { device, mmio: { base: 0xd000_2000, length: 0x1000 }, acpi: { name: 'REGS', hid: 'VMHT0001' } },
        ],
      },
    });
    t.is(await console.command('cat /sys/bus/acpi/devices/VMHT0001:00/path'), '\\_SB_.REGS');
    t.regex(await console.command('cat /proc/iomem'), /^d0002000-d0002fff : VMHT0001:00/m);
    t.is(await console.command('devmem 0xd0002000 32'), '0x766D6874');
    await console.command('devmem 0xd0002010 16 21');
    t.is(await console.command('devmem 0xd0002014 8'), '0x2A');
    t.deepEqual(accesses, ['read 0 4', 'write 16 2', 'read 20 1']);
  },
);

onLinux(
  test,
  'a serial port in JavaScript: its interrupts drive the driver of Linux, both ways',
  'own',
  async (t) => {
    const uart = new ScriptUart();
    const { console } = await bootLinux(t, {
      prepare: (machine) => uart.connect(machine.interrupt(5)),
      config: {
        devices: [
          {
            device: uart,
            mmio: { base: 0xd000_2000, length: 8 },
            interrupt: 5,
            acpi: { name: 'UART', hid: 'PNP0501', uid: 7 },
          },
        ],
      },
    });
    t.regex(
      await console.command('dmesg'),
      /ttyS1 at MMIO 0xd0002000 \(irq = \d+, base_baud = 115200\) is a 16450/,
    );
    await console.command('stty -F /dev/ttyS1 raw -echo; exec 5<>/dev/ttyS1');
    await console.command('echo to the script >&5');
    t.is(uart.sent, 'to the script\n');
    console.type('read -r line <&5; echo got "$line"; echo');
    uart.type('from the script\n');
    await console.expect(/got from the script\r?\n/);
    const counted = /^ *\d+: +(\d+) +IO-APIC +5-edge +ttyS1$/m.exec(
      await console.command('cat /proc/interrupts'),
    )!;
    t.true(
      // Edges that come before the first is handled are one; one each way is the least.
      Number(counted[1]) >= 2 && Number(counted[1]) <= uart.interrupts,
      `${counted[1]} of ${uart.interrupts}`,
    );
  },
);
