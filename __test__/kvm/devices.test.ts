import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { KvmError, type Device } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf, makeVm } from '../helpers/machine.ts';

type Access = [
  what: 'read' | 'write' | 'read64' | 'write64',
  offset: number,
  value?: number | bigint,
  size?: number,
];

/** A device that notes its accesses and answers reads with their offset, or from a list. */
function recorder(log: Access[], answers: number[] = []): Device {
  return {
    read: (offset, size) => {
      log.push(['read', offset, undefined, size]);
      return answers.shift() ?? offset;
    },
    write: (offset, value, size) => void log.push(['write', offset, value, size]),
  };
}

/** mov dx, 0x505; in al, dx; inc dx; in ax, dx; mov bx, ax; mov eax, 0x11223344; out dx, eax; hlt */
const OFFSETS = realModeGuest(
  [0xba, 0x05, 0x05, 0xec, 0x42, 0xed, 0x89, 0xc3],
  [0x66, 0xb8, 0x44, 0x33, 0x22, 0x11, 0x66, 0xef, 0xf4],
);

for (const [name, run] of LANES) {
  test(`${name}: a device sees offsets and sizes, and its answers arrive`, async (t) => {
    const { vm, vcpu } = boot(t, OFFSETS);
    const log: Access[] = [];
    vm.io.attach({ base: 0x504, length: 8 }, recorder(log, [0x12, 0x3456]));
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(log, [
      ['read', 1, undefined, 1],
      ['read', 2, undefined, 2],
      ['write', 2, 0x1122_3344, 4],
    ]);
    t.is(vcpu.regs.rbx, 0x3456n);
  });

  test(`${name}: a memory device sees sizes 1, 2 and 4`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-sizes');
    const log: Access[] = [];
    vm.mmio.attach({ base: 0x10000, length: 0x20 }, recorder(log, [0xa1, 0xb2c3, 0xd4e5_f607]));
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(log, [
      ['read', 0, undefined, 1],
      ['write', 0x10, 0xa1, 1],
      ['read', 2, undefined, 2],
      ['write', 0x12, 0xb2c3, 2],
      ['read', 4, undefined, 4],
      ['write', 0x14, 0xd4e5_f607, 4],
    ]);
  });

  test(`${name}: 8 bytes become two accesses, low half first`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-8-byte');
    const log: Access[] = [];
    vm.mmio.attach({ base: 0x10000, length: 0x10 }, recorder(log, [0x1111_2222, 0x3333_4444]));
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(log, [
      ['read', 0, undefined, 4],
      ['read', 4, undefined, 4],
      ['write', 8, 0x1111_2222, 4],
      ['write', 12, 0x3333_4444, 4],
    ]);
    t.is(vcpu.regs.rax, 0x3333_4444_1111_2222n);
  });

  test(`${name}: 8 bytes go to read64 and write64 where the device has them`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-8-byte');
    const log: Access[] = [];
    const device: Device = {
      read: () => t.fail(),
      write: () => void t.fail(),
      read64: (offset) => {
        log.push(['read64', offset]);
        return 0xfedc_ba98_7654_3210n;
      },
      write64: (offset, value) => void log.push(['write64', offset, value]),
    };
    vm.mmio.attach({ base: 0x10000, length: 0x10 }, device);
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(log, [
      ['read64', 0],
      ['write64', 8, 0xfedc_ba98_7654_3210n],
    ]);
  });

  test(`${name}: what a device lacks reads all ones and drops writes`, async (t) => {
    const { vm, vcpu } = boot(t, OFFSETS);
    vm.io.attach({ base: 0x500, length: 0x10 }, {});
    exitOf(await run(vcpu, { ioIn: () => t.fail(), ioOut: () => void t.fail() }), 'hlt');
    t.is(vcpu.regs.rbx, 0xffffn);
  });

  test(`${name}: string accesses come element by element`, async (t) => {
    const { vm, vcpu } = boot(t, 'string-in-word');
    const log: Access[] = [];
    vm.io.attach(
      { base: 0x4ff, length: 4 },
      recorder(
        log,
        [1, 2, 3, 4, 5, 6, 7, 8].map((value) => value * 0x101),
      ),
    );
    exitOf(await run(vcpu, {}), 'hlt');
    t.deepEqual(
      log,
      Array.from({ length: 8 }, () => ['read', 1, undefined, 2]),
    );
    t.deepEqual([...vm.memory.read(0x2000, 16)], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]);
  });

  test(`${name}: a wrong answer of a device is a typed error, and the vCPU lives`, async (t) => {
    const refused: [value: unknown, code: string][] = [
      [256, 'ERR_OUT_OF_RANGE'],
      [-1, 'ERR_OUT_OF_RANGE'],
      [0.5, 'ERR_OUT_OF_RANGE'],
      [undefined, 'ERR_INVALID_ARG_TYPE'],
      ['1', 'ERR_INVALID_ARG_TYPE'],
      [1n, 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [value, code] of refused) {
      const { vm, vcpu } = boot(t, 'pio-in-loop');
      const attachment = vm.io.attach({ base: 0x500, length: 1 }, { read: () => value as number });
      await t.throwsAsync(run(vcpu, {}), { code }, String(value));
      attachment.detach();
      exitOf(await run(vcpu, {}), 'ioIn');
      t.is(vcpu.regs.rax & 0xffn, 0xffn);
    }
  });

  test(`${name}: what a device throws ends the run`, async (t) => {
    const { vm, vcpu } = boot(t, 'exit-storm');
    const error = new Error('mine');
    vm.io.attach(
      { base: 0x601, length: 1 },
      {
        write: () => {
          throw error;
        },
      },
    );
    t.is(await t.throwsAsync(run(vcpu, { ioOut: () => {} })), error);
    t.is(exitOf(await run(vcpu, {}), 'ioOut').port, 0x602);
  });

  test(`${name}: a device may be attached and detached while the guest runs`, async (t) => {
    const { vm, vcpu } = boot(t, 'exit-storm');
    const values: number[] = [];
    const attachment = vm.io.attach(
      { base: 0x601, length: 1 },
      {
        write: (_offset, value) => {
          values.push(value);
          if (values.length === 2) attachment.detach();
        },
      },
    );
    let late = 0;
    let own = 0;
    const end = await run(vcpu, {
      ioOut: (exit) => {
        if (exit.port === 0x601) exit.stop();
        if (exit.port === 0x6f0 && ++own === 1)
          vm.io.attach({ base: 0x6f0, length: 1 }, { write: () => void late++ });
      },
    });
    t.is(exitOf(end, 'ioOut').port, 0x601);
    t.deepEqual(values, [1, 1]);
    t.deepEqual([own, late], [1, 1]);
  });
}

test('ranges of devices may touch, not overlap', (t) => {
  const vm = makeVm(t);
  for (const bus of [vm.io, vm.mmio]) {
    const attachment = bus.attach({ base: 0x500, length: 8 }, {});
    bus.attach({ base: 0x4ff, length: 1 }, {});
    bus.attach({ base: 0x508, length: 1 }, {});
    for (const range of [
      { base: 0x500, length: 8 },
      { base: 0x507, length: 1 },
      { base: 0x400, length: 0x1000 },
    ]) {
      t.throws(() => bus.attach(range, {}), { instanceOf: KvmError, code: 'ERR_KVM_RANGE_CLAIMED' });
    }
    t.deepEqual([attachment.base, attachment.length], [0x500, 8]);
    attachment.detach();
    attachment.detach();
    bus.attach({ base: 0x503, length: 2 }, {});
  }
});

test('ranges and devices are checked', (t) => {
  const { io, mmio } = makeVm(t);
  t.throws(() => io.attach({ base: 0xffff, length: 2 }, {}), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => io.attach({ base: 0x1_0000, length: 1 }, {}), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => io.attach({ base: 0, length: 0 }, {}), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => mmio.attach({ base: 2 ** 52, length: 1 }, {}), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => io.attach({ base: 0, size: 1 } as never, {}), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => io.attach({ base: 0, length: 1 }, null as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => io.attach({ base: 0, length: 1 }, {}, { posted: 1 as never }), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
  t.notThrows(() => io.attach({ base: 0, length: 0x1_0000 }, {}));
});

test('an access belongs to the device that has its first byte, as on hardware', (t) => {
  const { vm, vcpu } = boot(t, OFFSETS);
  const first: Access[] = [];
  const second: Access[] = [];
  vm.io.attach({ base: 0x505, length: 2 }, recorder(first, [0x12, 0x3456]));
  vm.io.attach({ base: 0x507, length: 4 }, recorder(second));
  exitOf(vcpu.run(), 'hlt');
  t.deepEqual(first, [
    ['read', 0, undefined, 1],
    ['read', 1, undefined, 2],
    ['write', 1, 0x1122_3344, 4],
  ]);
  t.deepEqual(second, []);
});

test('`using` detaches', (t) => {
  const { vm, vcpu } = boot(t, 'pio-out-loop');
  {
    using attachment = vm.io.attach({ base: 0x500, length: 1 }, { write: () => vcpu.kickHandle.kick() });
    t.is(attachment.base, 0x500);
    t.is(vcpu.run().reason, 'kicked');
  }
  t.is(exitOf(vcpu.run(), 'ioOut').port, 0x500);
});

// ---- promises

test('in the background, devices may answer later', async (t) => {
  const { vm, vcpu } = boot(t, 'kvm-ioctls-example', { regs: { rax: 1, rbx: 1 } });
  const log: string[] = [];
  vm.io.attach(
    { base: 0x3f8, length: 1 },
    {
      read: async () => {
        await sleep(2);
        log.push('read');
        return 0x41;
      },
      write: async (_offset, value) => {
        await sleep(2);
        log.push(`write ${value}`);
      },
    },
  );
  vm.mmio.attach({ base: 0x8000, length: 1 }, { read: async () => 0x42, write: async () => {} });
  exitOf(await vcpu.runInBackground(), 'hlt');
  t.deepEqual(log, ['write 50', 'read']);
  const { rax, rdx } = vcpu.getRegs();
  t.deepEqual([rax & 0xffn, rdx & 0xffn], [0x41n, 0x42n]);
});

test('in the background, strings and 8 bytes may be answered later', async (t) => {
  const { vm, vcpu } = boot(t, 'string-in');
  let next = 1;
  vm.io.attach(
    { base: 0x500, length: 1 },
    {
      // Now and then at once.
      read: () => (next % 3 === 0 ? next++ : sleep(1).then(() => next++)),
    },
  );
  exitOf(await vcpu.runInBackground(), 'hlt');
  t.deepEqual(
    vm.memory.read(0x2000, 16),
    Uint8Array.from({ length: 16 }, (_, at) => at + 1),
  );

  const { vm: wide, vcpu: second } = boot(t, 'mmio-8-byte');
  const written: number[] = [];
  wide.mmio.attach(
    { base: 0x10000, length: 0x10 },
    {
      read: async (offset) => 0x1000 + offset,
      write: async (_offset, value) => void written.push(value),
    },
  );
  exitOf(await second.runInBackground(), 'hlt');
  t.deepEqual(written, [0x1000, 0x1004]);
  t.is(second.regs.rax, 0x1004_0000_1000n);
});

test('a device that rejects or answers wrongly later ends the run', async (t) => {
  const { vm, vcpu } = boot(t, 'pio-in-loop');
  const error = new Error('late');
  using rejecting = vm.io.attach({ base: 0x500, length: 1 }, { read: () => Promise.reject(error) });
  t.is(await t.throwsAsync(vcpu.runInBackground()), error);
  rejecting.detach();
  vm.io.attach({ base: 0x500, length: 1 }, { read: async () => 256 });
  await t.throwsAsync(vcpu.runInBackground(), { code: 'ERR_OUT_OF_RANGE' });
});
