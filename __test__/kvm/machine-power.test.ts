/** The devices by which a guest powers off, resets, panics, and says that it has booted. */
import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { AcpiPower, BootTimer, PvPanic, type RustDevice } from '../../index.ts';
import { realModeGuest, type Guest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf } from '../helpers/machine.ts';

/** mov dx, port; mov al, value; out dx, al; hlt */
const write = (port: number, value: number): Guest =>
  realModeGuest([0xba, port & 0xff, port >> 8, 0xb0, value, 0xee, 0xf4]);

const POWER = { base: 0x600, length: 3 };
const PANIC = { base: 0x505, length: 1 };
const TIMER = { base: 0x3f0, length: 1 };

for (const [name, run] of LANES) {
  for (const [device, port, value, told] of [
    ['AcpiPower', 0x600, 0x34, 'acpi-sleep'],
    ['AcpiPower', 0x602, 0x42, 'acpi-reset'],
    ['PvPanic', 0x505, 1, 'pvpanic'],
    ['PvPanic', 0x505, 3, 'pvpanic'],
  ] as const) {
    test(`${name}: ${value} to port 0x${port.toString(16)} ends the run: ${told}`, async (t) => {
      const { vm, vcpu } = boot(t, write(port, value));
      if (device === 'AcpiPower') vm.io.attach(POWER, new AcpiPower());
      else vm.io.attach(PANIC, new PvPanic());
      t.deepEqual(await run(vcpu, {}), { reason: 'device', device: told, code: 0 });
      exitOf(await run(vcpu, {}), 'hlt');
    });
  }

  test(`${name}: other values do nothing`, async (t) => {
    for (const [port, value] of [
      [0x600, 0x14],
      [0x600, 0x20],
      [0x601, 0x34],
      [0x602, 0x34],
      [0x602, 0],
      [0x505, 2],
      [0x505, 0],
    ] as const) {
      const { vm, vcpu } = boot(t, write(port, value));
      vm.io.attach(POWER, new AcpiPower());
      vm.io.attach(PANIC, new PvPanic());
      exitOf(await run(vcpu, {}), 'hlt');
    }
    t.pass();
  });

  test(`${name}: a boot timer takes the time of the first write, by port and by address`, async (t) => {
    // mov dx, 0x3f0; mov al, 122; out dx, al; inc al; out dx, al; hlt
    const byPort = realModeGuest([0xba, 0xf0, 0x03, 0xb0, 122, 0xee, 0xfe, 0xc0, 0xee, 0xf4]);
    // mov byte ptr [0x9000], 123; hlt
    const byAddress = realModeGuest([0xc6, 0x06, 0x00, 0x90, 123, 0xf4]);
    for (const guest of [byPort, byAddress]) {
      const { vm, vcpu } = boot(t, guest);
      const timer = new BootTimer();
      vm.io.attach(TIMER, timer);
      vm.mmio.attach({ base: 0x9000, length: 1 }, timer);
      t.is(timer.bootTimeMs, undefined);
      await sleep(50);
      timer.restart();
      const began = performance.now();
      exitOf(await run(vcpu, {}), 'hlt');
      const passed = performance.now() - began;
      const first = timer.bootTimeMs!;
      t.true(first > 0 && first <= passed, `${first} of ${passed} ms`);
      // Once more: the first time stays, until it is forgotten.
      vcpu.setRegs({ rip: 0x1000 });
      exitOf(await run(vcpu, {}), 'hlt');
      t.is(timer.bootTimeMs, first);
      timer.restart();
      t.is(timer.bootTimeMs, undefined);
    }
  });
}

test('driven from JavaScript they note what was asked', (t) => {
  const power = new AcpiPower();
  t.is(power.takeRequest(), undefined);
  power.write(0, 0x34, 1);
  t.deepEqual(power.takeRequest(), { device: 'acpi-sleep', code: 0 });
  t.is(power.takeRequest(), undefined);
  power.write(2, 0x42, 1);
  t.deepEqual(power.takeRequest(), { device: 'acpi-reset', code: 0 });
  const panic = new PvPanic();
  t.is(panic.read(0, 1), 3, 'the events that it knows');
  panic.write(0, 1, 1);
  t.deepEqual(panic.takeRequest(), { device: 'pvpanic', code: 0 });
  const timer = new BootTimer();
  timer.write(0, 123, 1);
  t.true(timer.bootTimeMs! >= 0);
});

test('their state is saved and restored, and no other’s', (t) => {
  const devices: (() => RustDevice)[] = [() => new AcpiPower(), () => new PvPanic(), () => new BootTimer()];
  for (const make of devices) {
    const state = make().save();
    make().restore(state);
    for (const other of devices) {
      if (other !== make) t.throws(() => other().restore(state), { code: 'ERR_KVM_STATE' });
    }
  }
  const timer = new BootTimer();
  const before = timer.save();
  timer.write(0, 123, 1);
  const booted = new BootTimer();
  booted.restore(timer.save());
  t.is(booted.bootTimeMs, timer.bootTimeMs);
  timer.restore(before);
  t.is(timer.bootTimeMs, undefined);
});
