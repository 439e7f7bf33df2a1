import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { KvmError, type Device } from '../../index.ts';
import { OUTPUT, boot, ended } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, makeVm } from '../helpers/machine.ts';
import { recorder, type Access } from '../helpers/recorder.ts';

for (const [name, run] of LANES) {
  test(`${name}: a memory device sees sizes 1, 2 and 4`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-sizes');
    const log: Access[] = [];
    vm.mmio.attach({ base: OUTPUT, length: 0x20 }, recorder(log, [0xa1, 0xb2c3, 0xd4e5_f607]));
    ended(await run(vcpu, {}));
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
    vm.mmio.attach({ base: OUTPUT, length: 0x10 }, recorder(log, [0x1111_2222, 0x3333_4444]));
    ended(await run(vcpu, {}));
    t.deepEqual(log, [
      ['read', 0, undefined, 4],
      ['read', 4, undefined, 4],
      ['write', 8, 0x1111_2222, 4],
      ['write', 12, 0x3333_4444, 4],
    ]);
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
    vm.mmio.attach({ base: OUTPUT, length: 0x10 }, device);
    ended(await run(vcpu, {}));
    t.deepEqual(log, [
      ['read64', 0],
      ['write64', 8, 0xfedc_ba98_7654_3210n],
    ]);
  });

  test(`${name}: what a device lacks reads all ones and drops writes`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-sizes');
    const written: number[] = [];
    vm.mmio.attach({ base: OUTPUT, length: 8 }, {});
    vm.mmio.attach(
      { base: OUTPUT + 0x10, length: 8 },
      { write: (_offset, value) => void written.push(value) },
    );
    ended(await run(vcpu, { mmioRead: () => t.fail(), mmioWrite: () => void t.fail() }));
    t.deepEqual(written, [0xff, 0xffff, 0xffff_ffff]);
    const { vm: deaf, vcpu: second } = boot(t, 'mmio-sizes');
    deaf.mmio.attach({ base: OUTPUT, length: 0x20 }, { read: () => 1 });
    ended(await run(second, {}));
  });

  test(`${name}: a wrong answer of a device is a typed error, and the vCPU lives`, async (t) => {
    const refused: [value: unknown, code: string][] = [
      [2 ** 32, 'ERR_OUT_OF_RANGE'],
      [-1, 'ERR_OUT_OF_RANGE'],
      [0.5, 'ERR_OUT_OF_RANGE'],
      [undefined, 'ERR_INVALID_ARG_TYPE'],
      ['1', 'ERR_INVALID_ARG_TYPE'],
      [1n, 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [value, code] of refused) {
      const { vm, vcpu } = boot(t, 'mmio-echo');
      const attachment = vm.mmio.attach({ base: OUTPUT, length: 4 }, { read: () => value as number });
      await t.throwsAsync(run(vcpu, {}), { code }, String(value));
      attachment.detach();
      t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 0xffff_ffff);
    }
  });

  test(`${name}: what a device throws ends the run`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-echo');
    const error = new Error('mine');
    vm.mmio.attach(
      { base: OUTPUT + 4, length: 4 },
      {
        write: () => {
          throw error;
        },
      },
    );
    t.is(await t.throwsAsync(run(vcpu, { mmioRead: () => 1 })), error);
    exitOf(await run(vcpu, {}), 'mmioRead');
  });

  test(`${name}: a device may be attached and detached while the guest runs`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-echo', { regs: { step: 1 } });
    const values: number[] = [];
    const attachment = vm.mmio.attach(
      { base: OUTPUT + 4, length: 4 },
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
      mmioRead: () => {
        if (++own === 1) vm.mmio.attach({ base: OUTPUT, length: 4 }, { read: () => ++late });
        return 0;
      },
    });
    t.is(exitOf(end, 'mmioWrite').value, 3);
    t.deepEqual(values, [1, 2]);
    t.deepEqual([own, late], [1, 2]);
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

test('`using` detaches', (t) => {
  const { vm, vcpu } = boot(t, 'mmio-storm');
  {
    using attachment = vm.mmio.attach({ base: OUTPUT, length: 4 }, { write: () => vcpu.kickHandle.kick() });
    t.is(attachment.base, OUTPUT);
    t.is(vcpu.run().reason, 'kicked');
  }
  t.is(exitOf(vcpu.run(), 'mmioWrite').address, OUTPUT);
});

// ---- promises

test('in the background, devices may answer later', async (t) => {
  const { vm, vcpu } = boot(t, 'mmio-sizes');
  const log: string[] = [];
  vm.mmio.attach(
    { base: OUTPUT, length: 8 },
    {
      // Now and then at once.
      read: (offset) => {
        log.push(`read ${offset}`);
        return offset === 2 ? 0x41 : sleep(2).then(() => 0x42);
      },
    },
  );
  vm.mmio.attach(
    { base: OUTPUT + 0x10, length: 8 },
    {
      write: async (offset, value) => {
        await sleep(2);
        log.push(`write ${offset} ${value}`);
      },
    },
  );
  ended(await vcpu.runInBackground());
  t.deepEqual(log, ['read 0', 'write 0 66', 'read 2', 'write 2 65', 'read 4', 'write 4 66']);
});

test('in the background, 8 bytes may be answered later', async (t) => {
  const { vm, vcpu } = boot(t, 'mmio-8-byte');
  const written: number[] = [];
  vm.mmio.attach(
    { base: OUTPUT, length: 0x10 },
    {
      read: async (offset) => 0x1000 + offset,
      write: async (_offset, value) => void written.push(value),
    },
  );
  ended(await vcpu.runInBackground());
  t.deepEqual(written, [0x1000, 0x1004]);
});

test('a device that rejects or answers wrongly later ends the run', async (t) => {
  const { vm, vcpu } = boot(t, 'mmio-echo');
  const error = new Error('late');
  using rejecting = vm.mmio.attach({ base: OUTPUT, length: 8 }, { read: () => Promise.reject(error) });
  t.is(await t.throwsAsync(vcpu.runInBackground()), error);
  rejecting.detach();
  vm.mmio.attach({ base: OUTPUT, length: 8 }, { read: async () => 2 ** 32 });
  await t.throwsAsync(vcpu.runInBackground(), { code: 'ERR_OUT_OF_RANGE' });
});
