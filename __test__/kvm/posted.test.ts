import test from 'ava';

import { DebugConsole } from '../../index.ts';
import { OUTPUT, boot, ended } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf } from '../helpers/machine.ts';

/** What the guest of a burst writes to, and what it says at its end. */
const BURST = { base: OUTPUT, length: 1 };
const BEHIND = OUTPUT + 8;

for (const [name, run] of LANES) {
  test(`${name}: posted writes make no exits and come before the exit that follows`, async (t) => {
    // Before Linux 6.12 KVM takes its ring for full when 85 writes wait.
    const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { step: 80 } });
    const seen: number[] = [];
    vm.mmio.attach(BURST, { write: (_at, value) => void seen.push(value) }, { posted: true });
    let before = 0;
    const end = await run(vcpu, {
      mmioWrite: (exit) => {
        before = seen.length;
        t.is(exit.address, BEHIND);
      },
    });
    ended(end);
    t.is(before, 80);
    t.deepEqual(
      seen,
      Array.from({ length: 80 }, (_, value) => value),
    );
    const { byRoute, exits } = vcpu.stats;
    t.is(byRoute.posted, 80);
    t.is(exits, 2);
  });

  test(`${name}: more posted writes than the ring holds all come, in order`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { step: 1000 } });
    const seen: number[] = [];
    vm.mmio.attach(BURST, { write: (_at, value) => void seen.push(value) }, { posted: true });
    let before = 0;
    ended(await run(vcpu, { mmioWrite: () => void (before = seen.length) }));
    t.is(before, 1000);
    t.true(seen.every((value, index) => value === (index & 0xff)));
  });

  test(`${name}: posted memory writes keep offset and size`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-widths', { regs: { value: 0x1234_5678 } });
    const seen: number[][] = [];
    vm.mmio.attach(
      { base: OUTPUT - 2, length: 0x10 },
      { write: (offset, value, size) => void seen.push([offset, value, size]) },
      { posted: true },
    );
    ended(await run(vcpu, {}));
    t.deepEqual(seen, [
      [2, 0x78, 1],
      [2, 0x5678, 2],
      [2, 0x1234_5678, 4],
    ]);
    t.is(vcpu.stats.byRoute.posted, 3);
  });

  test(`${name}: reads of a posted range come at once, after its writes`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-echo', { regs: { step: 2 } });
    const read: number[] = [];
    let value = 9;
    vm.mmio.attach(
      { base: OUTPUT, length: 8 },
      {
        write: (_at, written) => void (value = written),
        read: () => {
          read.push(value);
          if (read.length === 3) vcpu.kickHandle.kick();
          return value;
        },
      },
      { posted: true },
    );
    t.is((await run(vcpu, {})).reason, 'kicked');
    t.deepEqual(read, [9, 11, 13]);
  });

  test(`${name}: posted writes reach a Rust device`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { step: 300 } });
    const console = new DebugConsole();
    vm.mmio.attach(BURST, console, { posted: true });
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').address, BEHIND);
    t.is(console.takeOutput().length, 300);
  });
}

test('after a detach the writes are exits again', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { step: 3 } });
  const attachment = vm.mmio.attach(BURST, {}, { posted: true });
  attachment.detach();
  t.is(exitOf(vcpu.run(), 'mmioWrite').address, OUTPUT);
});

test('what a posted write throws ends the run, and the vCPU lives', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { step: 1 } });
  const error = new Error('mine');
  const write = (): void => {
    throw error;
  };
  vm.mmio.attach(BURST, { write }, { posted: true });
  t.is(
    t.throws(() => vcpu.run({ mmioWrite: () => {} })),
    error,
  );
  ended(vcpu.run({ mmioWrite: () => {} }));
  t.pass();
});
