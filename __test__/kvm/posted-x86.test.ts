// Posted writes to ports, and beside a guest that sleeps inside KVM: what only x86_64 has.
import test from 'ava';

import type { Vcpu } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

/** Writes al to port 0x500 `count` times, one more each time; then out 0x501, al; hlt. */
const burst = (count: number) =>
  realModeGuest(
    [0xb9, count & 0xff, count >> 8], //  mov cx, count
    [0xba, 0x00, 0x05], //                mov dx, 0x500
    [0xee, 0xfe, 0xc0, 0xe2, 0xfb], //    again: out dx, al; inc al; loop again
    [0x42, 0xee, 0xf4], //                inc dx; out dx, al; hlt
  );

/** out 0x80, al (7), then sti; hlt for ever: with an interrupt controller in the kernel, no exit comes. */
const WRITE_THEN_SLEEP = realModeGuest(0xb0, 0x07, 0xe6, 0x80, 0xfb, 0xf4, 0xeb, 0xfd);

for (const [name, run] of LANES) {
  test(`${name}: posted port writes make no exits and come before the exit that follows`, async (t) => {
    // Before Linux 6.12 KVM takes its ring for full when 85 writes wait.
    const { vm, vcpu } = boot(t, burst(80));
    const seen: number[] = [];
    vm.io.attach(
      { base: 0x500, length: 1 },
      { write: (_at, value) => void seen.push(value) },
      { posted: true },
    );
    let before = 0;
    const end = await run(vcpu, {
      ioOut: (exit) => {
        before = seen.length;
        t.is(exit.port, 0x501);
      },
    });
    exitOf(end, 'hlt');
    t.is(before, 80);
    t.deepEqual(
      seen,
      Array.from({ length: 80 }, (_, value) => value),
    );
    const { byRoute, exits } = vcpu.stats;
    t.is(byRoute.posted, 80);
    t.is(exits, 2);
  });

  test(`${name}: more posted port writes than the ring holds all come, in order`, async (t) => {
    const { vm, vcpu } = boot(t, burst(1000));
    const seen: number[] = [];
    vm.io.attach(
      { base: 0x500, length: 1 },
      { write: (_at, value) => void seen.push(value) },
      { posted: true },
    );
    let before = 0;
    exitOf(await run(vcpu, { ioOut: () => void (before = seen.length) }), 'hlt');
    t.is(before, 1000);
    t.true(seen.every((value, index) => value === (index & 0xff)));
  });

  test(`${name}: reads of posted ports come at once, after its writes`, async (t) => {
    // mov dx, 0x500; out dx, al; in al, dx; hlt
    const { vm, vcpu } = boot(t, realModeGuest(0xba, 0x00, 0x05, 0xee, 0xec, 0xf4), { regs: { rax: 9 } });
    let value = 0;
    vm.io.attach(
      { base: 0x500, length: 1 },
      { write: (_at, written) => void (value = written), read: () => value + 1 },
      { posted: true },
    );
    exitOf(await run(vcpu, {}), 'hlt');
    t.is(vcpu.regs.rax & 0xffn, 10n);
  });
}

for (const [name, start] of [
  ['sliced', (vcpu: Vcpu) => vcpu.runSliced({})],
  ['background', (vcpu: Vcpu) => vcpu.runInBackground({})],
] as const) {
  test(`a posted write arrives while the guest sleeps inside KVM: ${name}`, async (t) => {
    const { vm, vcpu } = boot(t, WRITE_THEN_SLEEP, { prepare: (machine) => machine.createIrqChip() });
    const seen: number[] = [];
    vm.io.attach(
      { base: 0x80, length: 1 },
      { write: (_at, value) => void seen.push(value) },
      { posted: true },
    );
    const running = start(vcpu);
    await until(() => seen.length > 0);
    vcpu.kickHandle.kick();
    t.is((await running).reason, 'kicked');
    t.deepEqual(seen, [7]);
  });
}

test('a posted write arrives while the guest sleeps inside KVM: sync', (t) => {
  const { vm, vcpu } = boot(t, WRITE_THEN_SLEEP, { prepare: (machine) => machine.createIrqChip() });
  const write = (): void => vcpu.kickHandle.kick();
  vm.io.attach({ base: 0x80, length: 1 }, { write }, { posted: true });
  t.deepEqual(vcpu.run({}), { reason: 'kicked' });
});
