/** What a whole machine wants of its buses: nobody's accesses are answered, and part of a range is posted. */
import test from 'ava';

import type { PostedRange, Vm } from '../../index.ts';
import { OUTPUT, boot, ended, scaled } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf, makeVm } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

const emptyBus = (vm: Vm): void => vm.setEmptyBus(true);

for (const [name, run] of LANES) {
  test(`${name}: on an empty bus memory reads as all ones, in every size`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-sizes', { prepare: emptyBus });
    const values: bigint[] = [];
    const note = (_offset: number, value: number | bigint): void => void values.push(BigInt(value));
    vm.mmio.attach({ base: OUTPUT + 0x10, length: 8 }, { write: note });
    ended(await run(vcpu, { mmioRead: () => t.fail(), mmioWrite: () => t.fail() }));
    const wide = boot(t, 'mmio-8-byte', { prepare: emptyBus });
    wide.vm.mmio.attach({ base: OUTPUT + 8, length: 8 }, { write: note, write64: note });
    ended(await run(wide.vcpu, {}));
    t.deepEqual(values, [0xffn, 0xffffn, 0xffff_ffffn, 2n ** 64n - 1n]);
  });

  test(`${name}: on an empty bus writes are dropped, nobody is asked`, async (t) => {
    const { vcpu } = boot(t, 'mmio-sizes', { prepare: emptyBus });
    ended(await run(vcpu, { mmioRead: () => t.fail(), mmioWrite: () => t.fail() }));
    t.is(vcpu.stats.byRoute.javascript, 1, 'the end alone');
  });

  test(`${name}: on an empty bus devices are asked all the same`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-echo', { prepare: emptyBus });
    const written: number[] = [];
    const claim = vm.mmio.attach({ base: OUTPUT, length: 4 }, { read: () => 0x42 });
    vm.mmio.attach(
      { base: OUTPUT + 4, length: 4 },
      {
        write: (_offset, value) => {
          written.push(value);
          if (written.length === 2) claim.detach();
          if (written.length === 3) vcpu.kickHandle.kick();
        },
      },
    );
    t.is((await run(vcpu, {})).reason, 'kicked');
    t.deepEqual(written, [0x42, 0x42, 0xffff_ffff]);
  });

  test(`${name}: without it, and when it is taken back, accesses are exits`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-storm');
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 0);
    vm.setEmptyBus(true);
    t.like(await run(vcpu, {}, { timeoutMs: 50 }), { reason: 'timeout' });
    vm.setEmptyBus(false);
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').address, OUTPUT);
  });

  test(`${name}: part of a range of addresses is posted`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-sizes');
    const log: number[][] = [];
    const device = { read: () => 7, write: (...access: number[]) => void log.push(access) };
    vm.mmio.attach({ base: OUTPUT, length: 0x20 }, device, { posted: { offset: 0x12, length: 2 } });
    ended(await run(vcpu, {}));
    t.deepEqual(log, [
      [0x10, 7, 1],
      [0x12, 7, 2],
      [0x14, 7, 4],
    ]);
    t.is(vcpu.stats.byRoute.posted, 1);
  });
}

test('a guest that runs sees the change at its next access', async (t) => {
  const { vm, vcpu } = boot(t, 'mmio-storm', { prepare: emptyBus });
  const running = vcpu.runInBackground();
  await until(() => vcpu.stats.exits > scaled(100));
  vm.setEmptyBus(false);
  t.is(exitOf(await running, 'mmioWrite').address, OUTPUT);
});

test('setEmptyBus() takes true or false, on a machine that is open', (t) => {
  const vm = makeVm(t);
  for (const value of [undefined, null, 0, 1, 'true']) {
    t.throws(() => vm.setEmptyBus(value as unknown as boolean), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"empty"/,
    });
  }
  vm.setEmptyBus(true);
  vm.setEmptyBus(true);
  vm.close();
  t.throws(() => vm.setEmptyBus(true), { code: 'ERR_KVM_CLOSED' });
});

test('a posted range is a part of the range', (t) => {
  const vm = makeVm(t);
  const attach = (posted: unknown): unknown =>
    vm.io.attach({ base: 0x500, length: 8 }, {}, { posted: posted as PostedRange });
  for (const posted of [
    { offset: 8, length: 1 },
    { offset: -1, length: 1 },
    { offset: 0, length: 9 },
    { offset: 7, length: 2 },
    { offset: 0, length: 0 },
    { offset: 0.5, length: 1 },
  ]) {
    t.throws(() => attach(posted), { code: 'ERR_OUT_OF_RANGE', message: /"options\.posted\.\w+"/ });
  }
  for (const posted of [null, 1, 'all', { offset: 0 }, { length: 1 }, { offset: '0', length: 1 }, []]) {
    t.throws(() => attach(posted), { code: 'ERR_INVALID_ARG_TYPE', message: /"options\.posted/ });
  }
  t.throws(() => attach({ offset: 0, length: 1, size: 1 }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /'options\.posted\.size' is not known/,
  });
  // None of these left a claim.
  vm.io.attach({ base: 0x500, length: 8 }, {}, { posted: { offset: 7, length: 1 } }).detach();
});
