/** The same of ports, which only x86_64 has. */
import test from 'ava';

import { Serial, type Vm } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

const emptyBus = (vm: Vm): void => vm.setEmptyBus(true);

/** Reads 1, 2 and 4 bytes of port 0x500 to 0x2000, then 3 bytes as a string; writes as many; halts. */
const ALL_SIZES = realModeGuest(
  [0xba, 0x00, 0x05, 0xbf, 0x00, 0x20, 0xfc], // mov dx, 0x500; mov di, 0x2000; cld
  [0xec, 0xaa], //                               in al, dx; stosb
  [0xed, 0xab], //                               in ax, dx; stosw
  [0x66, 0xed, 0x66, 0xab], //                   in eax, dx; stosd
  [0xb9, 3, 0, 0xf3, 0x6c], //                   mov cx, 3; rep insb
  [0xb8, 0x34, 0x12, 0xee, 0xef, 0x66, 0xef], // mov ax, 0x1234; out dx, al; out dx, ax; out dx, eax
  [0xbe, 0x00, 0x20, 0xb9, 3, 0, 0xf3, 0x6e], // mov si, 0x2000; mov cx, 3; rep outsb
  [0xf4],
);

for (const [name, run] of LANES) {
  test(`${name}: on an empty bus ports read as all ones, writes are dropped, nobody is asked`, async (t) => {
    const { vm, vcpu } = boot(t, ALL_SIZES, { prepare: emptyBus });
    const end = await run(vcpu, { ioIn: () => t.fail(), ioOut: () => t.fail() });
    exitOf(end, 'hlt');
    t.deepEqual([...vm.memory.read(0x2000, 11)], [...Array.from({ length: 10 }, () => 0xff), 0]);
    t.is(vcpu.stats.byRoute.javascript, 1, 'the end alone');
  });

  test(`${name}: on an empty bus devices at ports are asked all the same`, async (t) => {
    // mov dx, 0x500; in al, dx; mov bl, al; inc dx; in al, dx; mov bh, al; hlt
    const guest = realModeGuest(0xba, 0x00, 0x05, 0xec, 0x88, 0xc3, 0x42, 0xec, 0x88, 0xc7, 0xf4);
    const { vm, vcpu } = boot(t, guest, { prepare: emptyBus });
    const claim = vm.io.attach({ base: 0x501, length: 1 }, { read: () => 0x42 });
    exitOf(await run(vcpu, {}), 'hlt');
    t.is(vcpu.regs.rbx & 0xffffn, 0x42ffn);
    claim.detach();
    vcpu.setRegs({ rip: 0x1000 });
    exitOf(await run(vcpu, {}), 'hlt');
    t.is(vcpu.regs.rbx & 0xffffn, 0xffffn);
  });

  test(`${name}: without it, and when it is taken back, accesses of ports are exits`, async (t) => {
    const { vm, vcpu } = boot(t, 'pio-in-loop');
    t.is(exitOf(await run(vcpu, {}), 'ioIn').port, 0x500);
    vm.setEmptyBus(true);
    t.like(await run(vcpu, {}, { timeoutMs: 50 }), { reason: 'timeout' });
    vm.setEmptyBus(false);
    t.is(exitOf(await run(vcpu, {}), 'ioIn').port, 0x500);
  });
}

/** Writes 1, 2, 3 to port 0x500, reads 0x505, writes 4 to 0x500 and 5 to 0x501, reads 0x500, writes 6; halts. */
const MIXED = realModeGuest(
  [0xba, 0x00, 0x05], //                       mov dx, 0x500
  [0xb0, 1, 0xee, 0xb0, 2, 0xee, 0xb0, 3, 0xee], // mov al, 1; out dx, al; and so on
  [0xb2, 0x05, 0xec, 0xb2, 0x00], //           mov dl, 5; in al, dx; mov dl, 0
  [0xb0, 4, 0xee, 0x42, 0xb0, 5, 0xee, 0x4a], // mov al, 4; out dx, al; inc dx; mov al, 5; out dx, al; dec dx
  [0xec, 0xb0, 6, 0xee, 0xf4], //              in al, dx; mov al, 6; out dx, al; hlt
);

/** What a device of all the ports sees, in the order of the program. */
const MIXED_LOG = ['0=1', '0=2', '0=3', '5?', '0=4', '1=5', '0?', '0=6'];

for (const [name, run] of LANES) {
  for (const [what, posted, count] of [
    ['nothing', false, 0],
    ['its first port', { offset: 0, length: 1 }, 5],
    ['another port', { offset: 1, length: 1 }, 1],
    ['some of its ports', { offset: 0, length: 4 }, 6],
    ['all of it', { offset: 0, length: 8 }, 6],
    ['all of it, in short', true, 6],
  ] as const) {
    test(`${name}: a device with ${what} posted sees its accesses in order`, async (t) => {
      const { vm, vcpu } = boot(t, MIXED);
      const log: string[] = [];
      const device = {
        read: (offset: number) => (log.push(`${offset}?`), 0),
        write: (offset: number, value: number) => void log.push(`${offset}=${value}`),
      };
      vm.io.attach({ base: 0x500, length: 8 }, device, { posted });
      exitOf(await run(vcpu, {}), 'hlt');
      await until(() => log.length === MIXED_LOG.length);
      t.deepEqual(log, MIXED_LOG);
      t.is(vcpu.stats.byRoute.posted, count);
    });
  }

  test(`${name}: bytes that are posted are printed before the status is read`, async (t) => {
    // A device beside the port notes at each status read how much was printed by then.
    const serial = new Serial();
    const printed: string[] = [];
    // mov dx, 0x3f8; mov al, 'a'; out; inc al; out; mov dl, 0xfd; in al, dx; mov dx, 0x500; out dx, al
    const guest = realModeGuest(
      [0xba, 0xf8, 0x03, 0xb0, 0x61, 0xee, 0xfe, 0xc0, 0xee, 0xb2, 0xfd, 0xec, 0xba, 0x00, 0x05, 0xee],
      [0xba, 0xf8, 0x03, 0xb0, 0x63, 0xee, 0xba, 0x00, 0x05, 0xee, 0xf4],
    );
    const { vm, vcpu } = boot(t, guest);
    vm.io.attach({ base: 0x3f8, length: 8 }, serial, { posted: { offset: 0, length: 1 } });
    const look = {
      write: (_offset: number, value: number) =>
        void printed.push(`${Buffer.from(serial.takeOutput()).toString()} ${value}`),
    };
    vm.io.attach({ base: 0x500, length: 1 }, look);
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(printed, ['ab 96', 'c 99']);
    t.is(vcpu.stats.byRoute.posted, 3);
  });
}
